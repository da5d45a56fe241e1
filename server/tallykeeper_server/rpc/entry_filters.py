"""Which entries a listing lets pass, and which a watch."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.levels import CounterName, StockName

Passes: TypeAlias = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """What all of a listing's entries have in common; what is empty, or None, may be anything."""

    item: str
    counter: str
    location: str
    reservation_id: str
    operations: Collection[str]
    """The names of the Lua operations."""
    reference: str
    request_id: str
    start_ms: int | None
    end_ms: int | None

    def passes(self, entry: Entry) -> bool:
        """Tell whether an entry is one of the listing, or, if it is damaged, may be one."""
        if entry.damage:
            return not entry.commit_time_ms or self._is_of_the_time(entry.commit_time_ms)
        return (
            (not self.operations or entry.operation in self.operations)
            and (not self.reference or entry.reference == self.reference)
            and (not self.request_id or entry.request_id == self.request_id)
            and self._is_of_the_time(entry.commit_time_ms)
            and (not self.reservation_id or _reservation_of(entry) == self.reservation_id)
            and (not self.counter or any(line.name == CounterName(self.counter) for line in entry.lines))
            and (not (self.item or self.location) or any(self._has(line.name) for line in entry.lines))
        )

    def _is_of_the_time(self, time_ms: int) -> bool:
        return (self.start_ms is None or time_ms >= self.start_ms) and (self.end_ms is None or time_ms < self.end_ms)

    def _has(self, name: CounterName | StockName) -> bool:
        return (
            isinstance(name, StockName)
            and (not self.item or name.item == self.item)
            and (not self.location or name.location == self.location)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFilter:
    """What a watch is about. No items, no counters and no reservations: everything."""

    items: frozenset[str]
    counters: frozenset[str]
    reservation_ids: frozenset[str]
    locations: frozenset[str]

    @property
    def is_open(self) -> bool:
        """Whether every name of every kind is watched, of stock perhaps at some locations only."""
        return not (self.items or self.counters or self.reservation_ids)

    def passes(self, entry: Entry) -> bool:
        """Tell whether an entry is one that is watched, or, if it is damaged, may be one."""
        if entry.damage or (self.is_open and not self.locations):
            return True
        return _reservation_of(entry) in self.reservation_ids or any(self.has(line.name) for line in entry.lines)

    def has(self, name: CounterName | StockName) -> bool:
        """Tell whether a level is one that is watched."""
        if isinstance(name, CounterName):
            return self.is_open or name.counter in self.counters
        return (self.is_open or name.item in self.items) and (not self.locations or name.location in self.locations)


def _reservation_of(entry: Entry) -> str | None:
    return None if entry.reservation is None else entry.reservation.name.reservation_id
