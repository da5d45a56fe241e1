"""The counters of a namespace, live, with a search by the beginning of the name."""

from functools import partial

from nicegui import ui

from tallykeeper_console.pages.shell import Shell
from tallykeeper_console.pages.tables import ListingTable, heading, search_field
from tallykeeper_console.views import levels
from tallykeeper_console.views.paged_list import PAGE_SIZE, Listing, Page


async def _fetch(shell: Shell, namespace: str, prefix: str, token: str) -> Page:
    response = await shell.console.client.list_counters(
        prefix, page_size=PAGE_SIZE, page_token=token, namespace=namespace
    )
    return Page([levels.counter_row(namespace, counter) for counter in response.counters], response.next_page_token)


async def page(shell: Shell, namespace: str = "", prefix: str = "") -> None:
    """Show the counters, and read them again for as long as they are shown."""
    namespace = shell.show(namespace, "counters")
    heading("Counters")
    listing = Listing(partial(_fetch, shell, namespace, prefix))

    async def search(value: str) -> None:
        await shown.step(lambda: listing.search(partial(_fetch, shell, namespace, value)))

    with ui.element("div").classes("filters"):
        search_field("Counter begins with", prefix, search)
    shown = ListingTable(shell, listing, levels.COUNTER_COLUMNS, label="Counters", empty="No counter matches.")
    shown.prepare = levels.Trends("value").mark
    await shown.run()
