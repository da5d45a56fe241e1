"""The frame around every page: navigation, the state of the connection, the theme, and the keys."""

from pathlib import Path
from typing import Final

from nicegui import ui

from tallykeeper_client import TallykeeperError
from tallykeeper_console.pages.context import Console
from tallykeeper_console.views import addresses, figures

STATIC: Final = Path(__file__).parents[1] / "static"
KEYS: Final = (
    ("/", "Search"),
    ("↓ ↑", "Next or previous row"),
    ("Enter", "Open the row"),
    ("] [", "Next or previous page"),
    ("g s", "Stock"),
    ("g c", "Counters"),
    ("g r", "Reservations"),
    ("g l", "Ledger"),
    ("g a", "Activity"),
    ("g v", "Verify"),
    ("g n", "Namespaces"),
    ("t", "Theme: automatic, light, dark"),
    ("?", "These keys"),
)
REFRESH_SECONDS: Final = 1.0


class Shell:
    """The frame of one browser tab."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._namespace = console.namespace
        ui.add_css(STATIC / "console.css")
        ui.add_head_html('<script src="/static/console.js"></script>')
        side = ui.left_drawer(fixed=True, bordered=True).classes("side").props("width=190 breakpoint=800 show-if-above")
        with side:
            self._nav = ui.element("nav").props('aria-label="Pages"')
        with ui.header().classes("bar").props("height-hint=52"):
            menu = ui.element("button").classes("icon menu").props('type="button" aria-label="Pages" title="Pages"')
            with menu.on("click", side.toggle):
                ui.label("☰")
            ui.html('<a href="/" class="brand" aria-label="Tallykeeper, start">▦ Tallykeeper</a>', sanitize=False)
            self._place = ui.link("", addresses.NAMESPACES).classes("place").props('title="Choose a namespace (g n)"')
            ui.element("div").classes("spacer")
            self._rate = ui.label().classes("figure")
            self._state = ui.label("◌ connecting").classes("state").props('role="status" aria-live="polite"')
            ui.label("changes allowed" if console.allow_changes else "read-only").classes("mode")
            self._button("◐", "theme", "Theme: automatic, light, dark (t)")
            self._button("?", "keys", "Keys (?)")
        self.content = ui.element("main").classes("content").props('tabindex="-1"')
        ui.skip_link("Skip to the content", target=self.content)
        self._draw_keys()
        ui.timer(REFRESH_SECONDS, self._refresh)

    def show(self, namespace: str, page: str) -> str:
        """Note the page that is shown, and return its namespace. An empty one is the console's own."""
        self._namespace = namespace or self.console.namespace
        self._place.set_text(self._namespace)
        self._nav.clear()
        with self._nav:
            for name, title in addresses.PAGES.items():
                self._nav_link(title, addresses.page(self._namespace, name), f"g {name[0]}", current=name == page)
            ui.element("hr")
            self._nav_link("Namespaces", addresses.NAMESPACES, "g n", current=page == "namespaces")
        self._refresh()
        return self._namespace

    def failed(self, error: TallykeeperError) -> None:
        """Show that the server did not answer a page's read."""
        self._state.set_text(f"✖ {error.message}")
        self._state.classes(add="bad")

    def _refresh(self) -> None:
        pulse = self.console.pulses.of(self._namespace)
        if pulse.error is not None:
            self.failed(pulse.error)
            self._rate.set_text("")
        elif pulse.latest is not None:
            self._state.set_text(f"● connected, revision {figures.number(pulse.latest.revision)}")
            self._state.classes(remove="bad")
            rate = pulse.samples.rate()
            self._rate.set_text("" if rate is None else f"{figures.number(round(rate))} changes/s")

    def _nav_link(self, title: str, address: str, keys: str, *, current: bool) -> None:
        with ui.link(target=address).classes("nav").props(f'data-keys="{keys}"') as link:
            ui.label(title)
            ui.label(keys).classes("hint").props('aria-hidden="true"')
        if current:
            link.props('aria-current="page"')

    def _button(self, sign: str, kind: str, label: str) -> None:
        ui.html(
            f'<button type="button" class="icon" data-action="{kind}" aria-label="{label}" title="{label}">{sign}'
            "</button>",
            sanitize=False,
        )

    def _draw_keys(self) -> None:
        rows = "".join(f"<tr><th><kbd>{keys}</kbd></th><td>{text}</td></tr>" for keys, text in KEYS)
        ui.html(
            f'<dialog id="keys" aria-label="Keys"><h2>Keys</h2><table>{rows}</table>'
            '<form method="dialog"><button class="plain" autofocus>Close</button></form></dialog>',
            sanitize=False,
        )
