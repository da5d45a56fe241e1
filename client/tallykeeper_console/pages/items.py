"""An item with its levels and their history, and a counter with its history."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from nicegui import ui

from tallykeeper.v1.ledger_pb2 import ListEntriesResponse
from tallykeeper_client import CounterNotFound, ItemNotFound, RevisionAhead, RevisionTrimmed, TallykeeperError
from tallykeeper_console.pages.forms import ActionBar
from tallykeeper_console.pages.shell import REFRESH_SECONDS, Shell
from tallykeeper_console.pages.tables import heading, table
from tallykeeper_console.views import addresses, entries, figures, levels
from tallykeeper_console.views.chart import step_chart
from tallykeeper_console.views.history import History, Name
from tallykeeper_console.views.paged_list import Row

ENTRIES_SHOWN_MAX: Final = 100
HISTORY_TIMEOUT_SECONDS: Final = 60.0
"""The time for one step back in the history: the server searches a large part of the ledger for a rare name."""


@dataclass(slots=True)
class Subject:
    """The item or counter of a page, and the parts of the page that show it."""

    shell: Shell
    namespace: str
    name: Name
    history: History
    levels: Any
    totals: Any
    chart: Any = None
    older: Any = None
    revision: int = 0
    listed: Any = None
    trends: levels.Trends = field(default_factory=lambda: levels.Trends("on_hand"))

    async def read_levels(self) -> list[Row]:
        """Return the rows of the levels as they are now; none if there is no such name."""
        client = self.shell.console.client
        if self.name.is_counter:
            try:
                found = await client.get_counter(self.name.name, namespace=self.namespace)
            except CounterNotFound:
                self.totals.set_text("There is no such counter now.")
                return []
            self.revision = max(self.revision, found.revision)
            self.totals.set_text(f"Value {figures.number(found.counter.value)}")
            return [levels.counter_row(self.namespace, found.counter)]
        try:
            item = await client.get_item(self.name.name, namespace=self.namespace)
        except ItemNotFound:
            self.totals.set_text("There is no such item now.")
            return []
        self.revision = max(self.revision, item.revision)
        self.totals.set_text(
            f"On hand {figures.number(item.total_on_hand)}, reserved {figures.number(item.total_reserved)}, "
            f"available {figures.number(item.total_available)}, at {figures.number(len(item.stock_levels))} "
            + ("location" if len(item.stock_levels) == 1 else "locations")
        )
        return [{**levels.stock_row(self.namespace, level), "href": ""} for level in item.stock_levels]

    async def refresh(self) -> None:
        """Read and show the levels."""
        rows = await self.read_levels()
        self.trends.mark(rows)
        if self.shell.console.allow_changes:
            rows = [{**row, "selectable": True} for row in rows]
        if rows != self.levels.rows:
            self.levels.rows = rows

    async def read_page(self, token: str) -> ListEntriesResponse:
        """Read a page of the ledger, the newest entry first."""
        return await self.shell.console.client.list_entries(
            item="" if self.name.is_counter else self.name.name,
            counter=self.name.name if self.name.is_counter else "",
            newest_first=True,
            page_size=100,
            timeout_seconds=HISTORY_TIMEOUT_SECONDS,
            page_token=token,
            namespace=self.namespace,
        )

    async def look_back(self) -> None:
        """Read and show older entries."""
        try:
            await self.history.look_back(self.read_page)
        except TallykeeperError as error:
            self.shell.failed(error)
        self.draw_history()

    def draw_history(self) -> None:
        """Show the history as a chart and as a table."""
        drawing = step_chart(
            self.history.series(), title=f"History of {self.name.name}; the table below has the numbers"
        )
        self.chart.set_content(drawing or '<p class="empty">No change in this part of the ledger.</p>')
        self.listed.rows = [entries.entry_row(entry) for entry in self.history.newest_first[:ENTRIES_SHOWN_MAX]]
        self.older.set_visibility(not self.history.complete)


async def item_page(shell: Shell, namespace: str, name: str = "") -> None:
    """Show an item, and follow it for as long as it is shown."""
    await _page(shell, namespace, Name(name, is_counter=False))


async def counter_page(shell: Shell, namespace: str, name: str = "") -> None:
    """Show a counter, and follow it for as long as it is shown."""
    await _page(shell, namespace, Name(name, is_counter=True))


async def _page(shell: Shell, namespace: str, name: Name) -> None:
    namespace = shell.show(namespace, "counters" if name.is_counter else "stock")
    subject = _draw(shell, namespace, name)
    _draw_actions(subject)
    while True:
        try:
            await subject.refresh()
            async with asyncio.TaskGroup() as tasks:
                if not subject.history.newest_first:
                    tasks.create_task(subject.look_back())
                await _follow(subject)
        except* (RevisionAhead, RevisionTrimmed):
            subject.history, subject.revision = History(name), 0
        except* TallykeeperError as errors:
            shell.failed(_first(errors))
        await asyncio.sleep(REFRESH_SECONDS)


def _first(errors: BaseExceptionGroup[TallykeeperError]) -> TallykeeperError:
    """Return one of the errors of a group, to show it."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _draw(shell: Shell, namespace: str, name: Name) -> Subject:
    heading("Counter" if name.is_counter else "Item")
    ui.label(name.name).classes("name")
    totals = ui.label().classes("lead").props('role="status"')
    columns = levels.COUNTER_COLUMNS if name.is_counter else levels.STOCK_COLUMNS[1:]
    subject = Subject(shell, namespace, name, History(name), table(columns, "Levels"), totals)
    subject.levels.classes("short")
    subject.trends = levels.Trends("value" if name.is_counter else "on_hand")
    ui.label("History").classes("section").props('role="heading" aria-level="2"')
    subject.chart = ui.html("", sanitize=False).classes("chart-box")
    with ui.element("div").classes("filters"):
        subject.older = ui.button("Look further back", on_click=subject.look_back).props("flat dense no-caps")
        query = {"counter" if name.is_counter else "item": name.name}
        ui.link("All entries in the ledger", addresses.page(namespace, "ledger", **query))
    subject.listed = table(entries.COLUMNS, "Entries")
    return subject


def _draw_actions(subject: Subject) -> None:
    actions = subject.shell.console.actions(subject.namespace)
    if actions is None:
        return
    with ui.element("div") as place:
        bar = ActionBar(actions, "Choose a level to change it.")
    place.move(target_index=3)

    def select() -> None:
        for row in subject.levels.selected[:1]:
            if subject.name.is_counter:
                bar.offer(subject.name.name, actions.of_counter(subject.name.name))
            else:
                bar.offer(
                    f"{subject.name.name} @ {row['location']}", actions.of_stock(subject.name.name, row["location"])
                )
            return
        bar.offer_nothing()

    subject.levels.set_selection("single")
    subject.levels.on_select(select)


async def _follow(subject: Subject) -> None:
    """Add entries as they are made, and draw them once a second at most."""
    fresh: list[bool] = []
    gather = asyncio.create_task(_gather(subject, fresh))
    try:
        while not gather.done():
            await asyncio.sleep(REFRESH_SECONDS)
            if fresh:
                fresh.clear()
                subject.draw_history()
            await subject.refresh()
        gather.result()
    finally:
        gather.cancel()


async def _gather(subject: Subject, fresh: list[bool]) -> None:
    """Add the entries of a watch to the history, and note that there are some."""
    watch = subject.shell.console.client.watch_responses(
        items=() if subject.name.is_counter else (subject.name.name,),
        counters=(subject.name.name,) if subject.name.is_counter else (),
        after_revision=subject.revision,
        namespace=subject.namespace,
    )
    async with aclosing(watch):
        async for response in watch:
            if subject.history.follow(response):
                fresh[:] = [True]
