"""The namespaces of the server, to choose one."""

from functools import partial

from nicegui import ui

from tallykeeper_console.pages.shell import Shell
from tallykeeper_console.pages.tables import ListingTable, heading, search_field
from tallykeeper_console.views import namespaces
from tallykeeper_console.views.paged_list import PAGE_SIZE, Listing, Page


async def _fetch(shell: Shell, prefix: str, token: str) -> Page:
    response = await shell.console.client.list_namespaces(prefix, page_size=PAGE_SIZE, page_token=token)
    return Page([namespaces.namespace_row(each) for each in response.namespaces], response.next_page_token)


async def page(shell: Shell) -> None:
    """Show the namespaces, and read them again for as long as they are shown."""
    shell.show("", "namespaces")
    heading("Namespaces")
    listing = Listing(partial(_fetch, shell, ""))

    async def search(value: str) -> None:
        await shown.step(lambda: listing.search(partial(_fetch, shell, value)))

    with ui.element("div").classes("filters"):
        search_field("Namespace begins with", "", search)
    shown = ListingTable(shell, listing, namespaces.COLUMNS, label="Namespaces", empty="No namespace was changed yet.")
    await shown.run()
