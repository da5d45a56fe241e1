"""A table of one page of a listing, with its search and the way to other pages."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Self

from nicegui import ui

from tallykeeper_client import TallykeeperError
from tallykeeper_console.pages.shell import REFRESH_SECONDS, Shell
from tallykeeper_console.views import figures
from tallykeeper_console.views.paged_list import KEY, Listing, Row

NUMERIC: Final = frozenset(
    {
        *("on_hand", "reserved", "available", "safety_stock", "backorder_limit", "low_stock_threshold", "value"),
        *("min", "max", "revision", "stock_levels", "counters", "reservations", "ledger"),
    }
)
"""The columns of numbers, which are aligned at their last digit."""

_ROW: Final = """
<tr :class="{ selected: props.selected }">
  <td v-if="props.row.selectable !== undefined" class="choose"><input v-if="props.row.selectable" type="checkbox"
    v-model="props.selected" :data-focus="'choose ' + props.key" :aria-label="'Choose ' + props.cols[0].value"></td>
  <td v-for="(col, index) in props.cols" :key="col.name" :class="col.kind"
    :title="col.kind === 'text' ? col.value : null">
    <a v-if="index === 0 && props.row.href" class="row-link" :href="props.row.href"
      :data-focus="'row ' + props.key">{{ col.value }}</a>
    <span v-else-if="index === 0" class="row-link" tabindex="0"
      :data-focus="'row ' + props.key">{{ typeof col.value === "number"
      ? col.value.toLocaleString("en-US") : col.value }}</span>
    <span v-else-if="col.kind === 'state'" class="sign" :data-sign="String(col.value)[0]">{{ col.value }}</span>
    <template v-else-if="col.kind === 'number'">{{ typeof col.value === "number"
      ? col.value.toLocaleString("en-US").replace("-", "\\u2212") : col.value }}</template>
    <template v-else-if="col.kind === 'remaining'"><template v-if="props.row.is_open"><meter min="0" max="1"
      :value="props.row.share" :aria-label="'Part of the time that is left of ' + props.cols[0].value"></meter>
      {{ col.value }}</template></template>
    <template v-else>{{ col.value }}</template>
  </td>
</tr>
"""
"""One template draws a whole row, because each use of a template is a component in the browser."""

_ROWS_DRAWN: Final = 24
"""The number of rows that the browser draws before and around those in view; the others follow when it scrolls."""


def kind_of(name: str) -> str:
    """Return the kind of a column, by which the template draws it."""
    if name in NUMERIC:
        return "number"
    return name if name in {"state", "remaining"} else "text"


def table(columns: Sequence[tuple[str, str]], label: str) -> Any:  # noqa: ANN401  # NiceGUI has no types here
    """Draw an empty table whose first column is the link or the name of a row."""
    drawn = ui.table(
        rows=[],
        columns=[
            {
                "name": name,
                "label": title,
                "field": name,
                "kind": kind_of(name),
                "align": "right" if name in NUMERIC else "left",
            }
            for name, title in columns
        ],
        row_key=KEY,
        pagination=0,
    )
    drawn.props(
        f'dense flat virtual-scroll hide-no-data hide-pagination hide-selected-banner aria-label="{label}" '
        f':virtual-scroll-slice-size="{_ROWS_DRAWN}" :virtual-scroll-item-size="32"'
    )
    drawn.add_slot("body", _ROW)
    return drawn.classes("rows")


class ListingTable:
    """The table of a listing, which reads its page again once a second."""

    def __init__(
        self, shell: Shell, listing: Listing, columns: Sequence[tuple[str, str]], *, label: str, empty: str
    ) -> None:
        self._shell = shell
        self._listing = listing
        self._label = label
        self._empty_text = empty
        self.prepare: Callable[[list[Row]], None] = lambda _: None
        self.live = True
        self.table = table(columns, label)
        self._empty = ui.label(empty).classes("empty")
        self._empty.set_visibility(False)
        with ui.element("div").classes("pager").props('role="navigation" aria-label="Pages of the list"'):
            self._previous = self._button("‹ Previous", "[", self._listing.previous)
            self._next = self._button("Next ›", "]", self._listing.next)
            self._where = ui.label().classes("hint").props('role="status" aria-live="polite"')

    async def step(self, move: Callable[[], Awaitable[bool]]) -> None:
        """Make a move in the listing and show the outcome. An error is shown in the frame, and the rows stay."""
        try:
            if await move():
                self.draw()
        except TallykeeperError as error:
            self._shell.failed(error)

    async def run(self) -> None:
        """Read the page again once a second, for as long as it is shown."""
        while True:
            if self.live or not self._listing.loaded:
                await self.step(self._listing.refresh)
            await asyncio.sleep(REFRESH_SECONDS)

    def draw(self) -> Self:
        """Show the rows of the listing. Rows that did not change cause no traffic."""
        rows = [dict(row) for row in self._listing.rows]
        self.prepare(rows)
        if rows != self.table.rows:
            self.table.rows = rows
        self._empty.set_visibility(not rows)
        self._previous.set_enabled(self._listing.has_previous)
        self._next.set_enabled(self._listing.has_next)
        more = ", more follow" if self._listing.has_next else ""
        counted = "1 row" if len(rows) == 1 else f"{figures.number(len(rows))} rows"
        self._where.set_text(f"Page {figures.number(self._listing.number)}: {counted}{more}")
        return self

    def _button(self, text: str, key: str, move: Callable[[], Awaitable[bool]]) -> Any:  # noqa: ANN401
        button = ui.button(text, on_click=lambda: self.step(move)).props(f'flat dense no-caps data-keys="{key}"')
        button.set_enabled(False)
        return button


def search_field(label: str, value: str, on_change: Callable[[str], Awaitable[None]]) -> Any:  # noqa: ANN401
    """Draw a field that searches while it is typed into."""
    field = ui.input(label, value=value, on_change=lambda event: on_change(event.value or ""))
    field.props('dense outlined clearable debounce=150 data-search autocomplete=off input-class="search"')
    return field.classes("search-field")


def heading(title: str, text: str = "") -> None:
    """Draw the title of a page."""
    ui.html(f"{title}", tag="h1", sanitize=True)
    if text:
        ui.label(text).classes("lead")
