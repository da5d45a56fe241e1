"""What the ledger keeps: one entry for each mutation that was applied."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from tallykeeper_server.domain.levels import Counter, CounterName, Reservation, StockLevel, StockName
from tallykeeper_server.domain.limits import ANSWER_LINES_MAX


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
    """One mutation as the ledger keeps it."""

    revision: int
    commit_time_ms: int
    operation: str
    request_id: str
    reason: str
    reference: str
    identity: str
    lines: tuple[EntryLine, ...]
    reservation: Reservation | None
    """The reservation that it was about, as it left it, without its lines."""


def first_entries_size(entries: Iterable[Entry]) -> int:
    """Return how many of the first entries have as many lines together as one answer may have: at least one."""
    lines = size = 0
    for entry in entries:
        lines += len(entry.lines)
        if lines > ANSWER_LINES_MAX and size:
            break
        size += 1
    return max(1, size)
