"""The one page that a browser loads. Its parts are exchanged in place, which is faster than loading another page."""

from nicegui import ui

from tallykeeper_console.pages import activity, counters, items, ledger, namespaces, reservations, stock, verify
from tallykeeper_console.pages.context import Console
from tallykeeper_console.pages.shell import Shell


def page(console: Console) -> None:
    """Draw the frame of the page, and in it the page that the address names."""
    shell = Shell(console)
    with shell.content:
        ui.sub_pages(
            {
                "/": stock.page,
                "/namespaces": namespaces.page,
                "/{namespace}/stock": stock.page,
                "/{namespace}/item": items.item_page,
                "/{namespace}/counters": counters.page,
                "/{namespace}/counter": items.counter_page,
                "/{namespace}/reservations": reservations.page,
                "/{namespace}/ledger": ledger.page,
                "/{namespace}/activity": activity.page,
                "/{namespace}/verify": verify.page,
            },
            data={"shell": shell},
        )
