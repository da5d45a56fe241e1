"""What the ledger keeps: one entry for each mutation that was applied."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tallykeeper_server.domain.levels import Counter, CounterName, Reservation, StockLevel, StockName
from tallykeeper_server.domain.limits import ANSWER_LINES_MAX

OPERATIONS: Final = frozenset(
    {
        "counter_increment",
        "counter_set",
        "counter_configure",
        "counter_delete",
        "stock_decrement",
        "stock_increment",
        "stock_set",
        "stock_move",
        "stock_configure",
        "stock_delete",
        "reservation_reserve",
        "reservation_commit",
        "reservation_release",
        "reservation_extend",
        "reservation_expire",
    }
)
"""The operations that an entry can be of."""


class Crossing(Enum):
    """What a mutation made a stock level cross."""

    LOW = "L"
    OUT = "O"
    BACK_IN_STOCK = "B"


@dataclass(frozen=True, slots=True)
class EntryLine:
    """What a mutation did to one level or counter."""

    name: CounterName | StockName
    change: int
    """By how much the counter's value changed, or the copies on hand: within +-(2^54-2)."""
    reserved_change: int
    crossings: tuple[Crossing, ...]
    after: Counter | StockLevel | None
    """None if it was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One mutation as the ledger keeps it, or a mark in the place of what cannot be read."""

    revision: int
    commit_time_ms: int
    """0 if a damaged entry does not say it."""
    operation: str
    request_id: str
    reason: str
    reference: str
    identity: str
    lines: tuple[EntryLine, ...]
    reservation: Reservation | None
    """The reservation that it was about, as it left it, without its lines."""
    damage: str = ""
    """What is wrong with the entry, in words; empty if nothing is. What cannot be read of it is empty."""
    stream_id: str = ""
    """Where a damaged entry stands in the ledger's stream; empty if the ledger has nothing there."""
    missing_from: int = 0
    """The first of several revisions that are missing, of which ``revision`` is the last; else 0."""

    @property
    def first_revision(self) -> int:
        """The first revision for which it stands."""
        return self.missing_from or self.revision


def damaged_entry(revision: int, damage: str, *, stream_id: str = "", missing_from: int = 0, time_ms: int = 0) -> Entry:
    """Return a mark in the place of an entry of which nothing can be read."""
    return Entry(
        revision=revision,
        commit_time_ms=time_ms,
        operation="",
        request_id="",
        reason="",
        reference="",
        identity="",
        lines=(),
        reservation=None,
        damage=damage,
        stream_id=stream_id,
        missing_from=missing_from,
    )


def missing_entries(first: int, last: int) -> Entry:
    """Return a mark in the place of entries that the ledger should have and has not."""
    missing = f"revision {first} is" if first == last else f"revisions {first} to {last} are"
    return damaged_entry(last, f"{missing} missing from the ledger", missing_from=0 if first == last else first)


_ENTRY_BYTES: Final = 700
_LINE_BYTES: Final = 900


def memory_bytes_of(entry: Entry) -> int:
    """Return about how much memory an entry takes; measured with short names and CPython 3.11, on the safe side."""
    texts = len(entry.request_id) + len(entry.reason) + len(entry.reference) + len(entry.identity)
    return _ENTRY_BYTES + 4 * texts + _LINE_BYTES * len(entry.lines)


def first_entries_size(entries: Iterable[Entry]) -> int:
    """Return how many of the first entries have as many lines together as one answer may have: at least one."""
    lines = size = 0
    for entry in entries:
        lines += len(entry.lines)
        if lines > ANSWER_LINES_MAX and size:
            break
        size += 1
    return max(1, size)
