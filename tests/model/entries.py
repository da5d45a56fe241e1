"""The ledger's entry of a mutation."""

from collections.abc import Iterator

from tallykeeper.v1 import ledger_pb2
from tallykeeper.v1.ledger_pb2 import ThresholdCrossing
from tests.model.contents import Change, Contents, CounterKey, Key, Level
from tests.model.counters import Counter
from tests.model.reservation import Reservation
from tests.model.stock import Stock


def entry_of(change: Change, before: Contents) -> ledger_pb2.Entry:
    """Return the entry of a mutation, with the fields that follow from the change."""
    entry = ledger_pb2.Entry(lines=[_line(key, before.levels.get(key), after) for key, after in change.levels.items()])
    if change.reservation is not None:
        entry.reservation.CopyFrom(_reservation(change.reservation))
    return entry


def _line(key: Key, before: Level | None, after: Level | None) -> ledger_pb2.EntryLine:
    line, difference = ledger_pb2.EntryLine(), _quantity(after) - _quantity(before)
    if isinstance(key, CounterKey):
        line.counter.counter = key.counter
        line.counter.value_change = difference
        if isinstance(after, Counter):
            line.counter.after.CopyFrom(after.message(key.counter))
        return line
    line.stock.item, line.stock.location = key.item, key.location
    line.stock.on_hand_change = difference
    line.stock.reserved_change = _reserved(after) - _reserved(before)
    if isinstance(after, Stock):
        line.stock.after.CopyFrom(after.message(key.item, key.location))
        if isinstance(before, Stock):
            line.stock.crossings.extend(_crossings(before, after))
    return line


def _crossings(before: Stock, after: Stock) -> Iterator[ThresholdCrossing]:
    if after.low and not before.low:
        yield ThresholdCrossing.THRESHOLD_CROSSING_LOW
    if after.out and not before.out:
        yield ThresholdCrossing.THRESHOLD_CROSSING_OUT
    if before.out and not after.out:
        yield ThresholdCrossing.THRESHOLD_CROSSING_BACK_IN_STOCK


def _quantity(level: Level | None) -> int:
    if isinstance(level, Stock):
        return level.on_hand
    return level.value if level else 0


def _reserved(level: Level | None) -> int:
    return level.reserved if isinstance(level, Stock) else 0


def _reservation(held: Reservation) -> ledger_pb2.EntryReservation:
    shown = ledger_pb2.EntryReservation(reservation_id=held.reservation_id, state=held.state, holder=held.holder)
    shown.expire_time.FromMilliseconds(held.expire_at_ms)
    return shown
