"""The reservations of a namespace, with the time that is left of each open one."""

import time
from functools import partial

from nicegui import ui

from tallykeeper_console.pages.forms import ActionBar
from tallykeeper_console.pages.shell import Shell
from tallykeeper_console.pages.tables import ListingTable, heading, search_field
from tallykeeper_console.views import reservations
from tallykeeper_console.views.actions import Actions
from tallykeeper_console.views.paged_list import KEY, PAGE_SIZE, Listing, Page, Row


async def _fetch(shell: Shell, namespace: str, chosen: dict[str, str], token: str) -> Page:
    response = await shell.console.client.list_reservations(
        state=reservations.STATES[chosen["state"]],
        holder=chosen["holder"],
        item=chosen["item"],
        page_size=PAGE_SIZE,
        page_token=token,
        namespace=namespace,
    )
    now = time.time()
    return Page(
        [reservations.reservation_row(each, now=now) for each in response.reservations], response.next_page_token
    )


async def page(shell: Shell, namespace: str = "", item: str = "") -> None:
    """Show the reservations, and read them again for as long as they are shown."""
    namespace = shell.show(namespace, "reservations")
    chosen = {"state": "Open", "holder": "", "item": item}
    heading("Reservations")
    listing = Listing(partial(_fetch, shell, namespace, dict(chosen)))

    async def choose(name: str, value: str) -> None:
        chosen[name] = value
        await shown.step(lambda: listing.search(partial(_fetch, shell, namespace, dict(chosen))))

    with ui.element("div").classes("filters"):
        search_field("Holder", "", partial(choose, "holder"))
        search_field("Item", item, partial(choose, "item")).props(remove="data-search")
        ui.select(
            list(reservations.STATES), value="Open", label="State", on_change=lambda event: choose("state", event.value)
        ).props("dense outlined options-dense").classes("choice")
    actions = shell.console.actions(namespace)
    bar = None if actions is None else ActionBar(actions, "Choose an open reservation to change it.")
    shown = ListingTable(shell, listing, reservations.COLUMNS, label="Reservations", empty="No reservation matches.")
    if actions is not None and bar is not None:
        _offer_changes(shown, actions, bar)
    await shown.run()


def _offer_changes(shown: ListingTable, actions: Actions, bar: ActionBar) -> None:
    """Offer the changes of the row that is chosen."""

    def select() -> None:
        chosen = [row for row in shown.table.selected if row["is_open"]]
        if chosen:
            bar.offer(chosen[0]["reservation"], actions.of_reservation(chosen[0][KEY]))
        else:
            bar.offer_nothing()

    def prepare(rows: list[Row]) -> None:
        for row in rows:
            row["selectable"] = row["is_open"]

    shown.prepare = prepare
    shown.table.set_selection("single")
    shown.table.on_select(select)
