"""The stock of a namespace: its levels, live, with a search by the beginning of the item."""

from functools import partial

from nicegui import ui

from tallykeeper_console.pages.shell import Shell
from tallykeeper_console.pages.tables import ListingTable, heading, search_field
from tallykeeper_console.views import levels
from tallykeeper_console.views.paged_list import PAGE_SIZE, Listing, Page


async def _fetch(shell: Shell, namespace: str, chosen: dict[str, str], token: str) -> Page:
    response = await shell.console.client.list_stock(
        chosen["prefix"],
        location=chosen["location"],
        any_location=not chosen["location"],
        page_size=PAGE_SIZE,
        page_token=token,
        namespace=namespace,
    )
    return Page([levels.stock_row(namespace, level) for level in response.stock_levels], response.next_page_token)


async def page(shell: Shell, namespace: str = "", prefix: str = "") -> None:
    """Show the stock, and read it again for as long as it is shown."""
    namespace = shell.show(namespace, "stock")
    chosen = {"prefix": prefix, "location": ""}
    heading("Stock")

    listing = Listing(partial(_fetch, shell, namespace, dict(chosen)))

    async def search(name: str, value: str) -> None:
        chosen[name] = value.strip() if name == "location" else value
        await shown.step(lambda: listing.search(partial(_fetch, shell, namespace, dict(chosen))))

    with ui.element("div").classes("filters"):
        search_field("Item begins with", prefix, partial(search, "prefix"))
        search_field("Location (all if empty)", "", partial(search, "location")).props(remove="data-search")
    shown = ListingTable(shell, listing, levels.STOCK_COLUMNS, label="Stock levels", empty="No stock level matches.")
    shown.prepare = levels.Trends("on_hand").mark
    await shown.run()
