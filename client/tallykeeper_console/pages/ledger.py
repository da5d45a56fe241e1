"""The ledger of a namespace, live: the newest entries first, with filters."""

from functools import partial

from nicegui import ui

from tallykeeper_console.pages.shell import Shell
from tallykeeper_console.pages.tables import ListingTable, heading, search_field
from tallykeeper_console.views import entries
from tallykeeper_console.views.paged_list import PAGE_SIZE, Listing, Page


async def _fetch(shell: Shell, namespace: str, chosen: dict[str, str], token: str) -> Page:
    response = await shell.console.client.list_entries(
        item=chosen["item"],
        counter=chosen["counter"],
        reference=chosen["reference"],
        operation=entries.OPERATIONS[chosen["operation"]],
        newest_first=True,
        page_size=PAGE_SIZE,
        page_token=token,
        namespace=namespace,
    )
    return Page([entries.entry_row(entry) for entry in response.entries], response.next_page_token)


async def page(shell: Shell, namespace: str = "", item: str = "", counter: str = "") -> None:
    """Show the newest entries, and read them again while the page is live."""
    namespace = shell.show(namespace, "ledger")
    chosen = {"item": item, "counter": counter, "reference": "", "operation": entries.ANY}
    heading("Ledger")
    listing = Listing(partial(_fetch, shell, namespace, dict(chosen)))

    async def choose(name: str, value: str) -> None:
        chosen[name] = value
        await shown.step(lambda: listing.search(partial(_fetch, shell, namespace, dict(chosen))))

    def set_live(event: object) -> None:
        shown.live = bool(getattr(event, "value", True))

    with ui.element("div").classes("filters"):
        search_field("Item", item, partial(choose, "item"))
        search_field("Counter", counter, partial(choose, "counter")).props(remove="data-search")
        search_field("Reference", "", partial(choose, "reference")).props(remove="data-search")
        ui.select(
            list(entries.OPERATIONS),
            value=entries.ANY,
            label="Operation",
            on_change=lambda event: choose("operation", event.value),
        ).props("dense outlined options-dense").classes("choice")
        ui.switch("Live", value=True, on_change=set_live).props("dense")
    shown = ListingTable(shell, listing, entries.COLUMNS, label="Entries", empty="No entry in this part of the ledger.")
    await shown.run()
