"""The history of an item or a counter: the entries that changed it, as series to draw.

The entries come from the ledger. A point is the value after an entry. At most `POINTS_MAX` points are kept, the newest.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from tallykeeper.v1.ledger_pb2 import ListEntriesResponse
from tallykeeper_client import Entry, WatchResponse
from tallykeeper_console.views import figures
from tallykeeper_console.views.chart import Series

POINTS_MAX: Final = 500
"""The number of entries that a history keeps."""

PAGES_MAX: Final = 1
"""The number of answers that one step looks through: each one searches a limited, but large, part of the ledger."""

_ON_HAND: Final = ", on hand"
_AVAILABLE: Final = ", available"

ReadPage: TypeAlias = Callable[[str], Awaitable[ListEntriesResponse]]
"""Reads the page of the ledger with a token, the newest entry first; the first page has the empty token."""


@dataclass(frozen=True, slots=True)
class Name:
    """The name of an item or of a counter, so that one history serves both."""

    name: str
    is_counter: bool


class History:
    """The newest entries of a name, in the order of their revisions.

    A watch adds newer entries while `look_back` reads older ones. Each entry is kept once, even if both read it.
    """

    def __init__(self, name: Name) -> None:
        self._name = name
        self._entries: deque[Entry] = deque(maxlen=POINTS_MAX)
        self._token = ""
        self._begun = False

    @property
    def complete(self) -> bool:
        """True if there are no older entries, or no place for them."""
        return (self._begun and not self._token) or len(self._entries) == POINTS_MAX

    @property
    def newest_first(self) -> list[Entry]:
        """The entries, the newest first."""
        return list(reversed(self._entries))

    async def look_back(self, read: ReadPage, pages_max: int = PAGES_MAX) -> None:
        """Read older entries, from a limited part of the ledger."""
        for _ in range(pages_max):
            if self.complete:
                return
            page = await read(self._token)
            self._add_older(page.entries)
            self._token, self._begun = page.next_page_token, True

    def follow(self, response: WatchResponse) -> bool:
        """Add the entries that a watch gave. Return True if any of them was new."""
        last = self._entries[-1].revision if self._entries else 0
        new = [entry for entry in response.entries if entry.revision > last]
        self._entries.extend(new)
        return bool(new)

    def series(self) -> list[Series]:
        """Return the lines to draw: a counter's value, or the copies on hand at each location.

        The available copies of a location have a line if they ever differ from those on hand.
        """
        points: dict[str, list[tuple[float, int]]] = {}
        for entry in self._entries:
            at = figures.seconds_of(entry.commit_time)
            for label, value in self._values(entry):
                points.setdefault(label, []).append((at, value))
        return [
            Series(label, tuple(found))
            for label, found in sorted(points.items())
            if found != points.get(label.replace(_AVAILABLE, _ON_HAND)) or not label.endswith(_AVAILABLE)
        ]

    def _add_older(self, newest_first: Iterable[Entry]) -> None:
        first = self._entries[0].revision if self._entries else None
        for entry in newest_first:
            if len(self._entries) == POINTS_MAX:
                return
            if first is None or entry.revision < first:
                self._entries.appendleft(entry)

    def _values(self, entry: Entry) -> Iterator[tuple[str, int]]:
        for line in entry.lines:
            if self._name.is_counter:
                if line.counter.counter == self._name.name:
                    yield "value", line.counter.after.value
            elif line.stock.item == self._name.name:
                after = line.stock.after
                yield f"{line.stock.location}{_ON_HAND}", after.on_hand
                yield f"{line.stock.location}{_AVAILABLE}", after.available
