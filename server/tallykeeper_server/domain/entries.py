"""The entries of the ledger: one for each mutation that was applied."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tallykeeper_server.domain.levels import Counter, CounterName, Reservation, StockLevel, StockName
from tallykeeper_server.domain.limits import ANSWER_LINES_MAX


class Crossing(Enum):
    """The border that a mutation made a stock level cross."""

    LOW = "L"
    OUT = "O"
    BACK_IN_STOCK = "B"


@dataclass(frozen=True, slots=True)
class EntryLine:
    """The change that a mutation made to one stock level or counter."""

    name: CounterName | StockName
    change: int
    """The change of the counter's value, or of the copies on hand: within +-(2^54-2)."""
    reserved_change: int
    crossings: tuple[Crossing, ...]
    after: Counter | StockLevel | None
    """The level after the change; None if it was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One mutation as the ledger keeps it, or a mark in place of an entry that cannot be read."""

    revision: int
    commit_time_ms: int
    """The time of the change in milliseconds since 1970; 0 if a damaged entry does not say it."""
    operation: str
    request_id: str
    reason: str
    reference: str
    identity: str
    lines: tuple[EntryLine, ...]
    reservation: Reservation | None
    """The reservation that the mutation is about, as it is after the mutation, without its lines."""
    damage: str = ""
    """The fault of the entry, in words; empty if it has none. A part that cannot be read is empty."""
    stream_id: str = ""
    """The ID of a damaged entry in the ledger's stream; empty if the ledger has no such entry."""
    missing_from: int = 0
    """The first of several missing revisions, of which ``revision`` is the last; else 0."""

    @property
    def first_revision(self) -> int:
        """The first revision that the entry stands for."""
        return self.missing_from or self.revision


def damaged_entry(revision: int, damage: str, *, stream_id: str = "", missing_from: int = 0, time_ms: int = 0) -> Entry:
    """Return a mark in place of an entry that cannot be read at all."""
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
    """Return a mark in place of entries that the ledger should have and does not have."""
    missing = f"revision {first} is" if first == last else f"revisions {first} to {last} are"
    return damaged_entry(last, f"{missing} missing from the ledger", missing_from=0 if first == last else first)


_ENTRY_BYTES: Final = 700
_LINE_BYTES: Final = 900


def memory_bytes_of(entry: Entry) -> int:
    """Return the memory that an entry takes, in bytes: a high estimate, measured with short names and CPython 3.11."""
    texts = len(entry.request_id) + len(entry.reason) + len(entry.reference) + len(entry.identity)
    return _ENTRY_BYTES + 4 * texts + _LINE_BYTES * len(entry.lines)


def first_entries_size(entries: Iterable[Entry]) -> int:
    """Return the number of entries, from the first, that fit into one answer by their lines: at least one."""
    lines = size = 0
    for entry in entries:
        lines += len(entry.lines)
        if lines > ANSWER_LINES_MAX and size:
            break
        size += 1
    return max(1, size)
