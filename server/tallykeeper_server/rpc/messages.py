"""Makes messages of levels, times and entries of the ledger."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1 import counter_pb2, inventory_pb2, ledger_pb2, reservation_pb2
from tallykeeper_server.domain.entries import Crossing, Entry, EntryLine
from tallykeeper_server.domain.levels import (
    Counter,
    CounterName,
    DamagedLevel,
    ReadLevel,
    Reservation,
    ReservationState,
    StockLevel,
    StockName,
)

_STATES: Final = {
    ReservationState.ACTIVE: reservation_pb2.RESERVATION_STATE_ACTIVE,
    ReservationState.COMMITTED: reservation_pb2.RESERVATION_STATE_COMMITTED,
    ReservationState.RELEASED: reservation_pb2.RESERVATION_STATE_RELEASED,
    ReservationState.EXPIRED: reservation_pb2.RESERVATION_STATE_EXPIRED,
}
_CROSSINGS: Final = {
    Crossing.LOW: ledger_pb2.THRESHOLD_CROSSING_LOW,
    Crossing.OUT: ledger_pb2.THRESHOLD_CROSSING_OUT,
    Crossing.BACK_IN_STOCK: ledger_pb2.THRESHOLD_CROSSING_BACK_IN_STOCK,
}
STATE_OF_MESSAGE: Final[dict[int, ReservationState]] = {value: state for state, value in _STATES.items()}


@lru_cache(maxsize=64)  # the changes of one script have one time
def timestamp_of(milliseconds: int) -> Timestamp:
    """Return a time given in milliseconds since 1970. The message is shared: do not change it."""
    seconds, rest = divmod(milliseconds, 1_000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)


def duration_of(milliseconds: int) -> Duration:
    """Return a length of time given in milliseconds."""
    seconds, rest = divmod(milliseconds, 1_000)
    return Duration(seconds=seconds, nanos=rest * 1_000_000)


def fill_counter(message: counter_pb2.Counter, counter: Counter) -> None:
    """Fill in the message of a counter. To set its fields takes a third of the time of the constructor."""
    message.counter = counter.name.counter
    message.value = counter.value
    if counter.min is not None:
        message.min = counter.min
    if counter.max is not None:
        message.max = counter.max
    if counter.expire_at_ms is not None:
        message.expire_time.CopyFrom(timestamp_of(counter.expire_at_ms))


def counter_message(counter: Counter) -> counter_pb2.Counter:
    """Return a counter as a message."""
    message = counter_pb2.Counter()
    fill_counter(message, counter)
    return message


def counter_messages(levels: Iterable[ReadLevel | None]) -> list[counter_pb2.Counter]:
    """Return the messages of counters. Those that do not exist are left out; a damaged one has the field ``damage``."""
    return [
        _damaged_counter_message(level) if isinstance(level, DamagedLevel) else counter_message(cast("Counter", level))
        for level in levels
        if level is not None
    ]


def _damaged_counter_message(level: DamagedLevel) -> counter_pb2.Counter:
    return counter_pb2.Counter(counter=cast("CounterName", level.name).counter, damage=level.damage)


def fill_stock(message: inventory_pb2.StockLevel, level: StockLevel) -> None:
    """Fill in the message of a stock level. Fields that are 0, as most are, need not be set."""
    name, on_hand, reserved, safety_stock, backorder_limit, low_stock_threshold = level
    message.item = name.item
    message.location = name.location
    message.on_hand = on_hand
    message.available = level.available
    if reserved:
        message.reserved = reserved
        if reserved > on_hand + backorder_limit:
            message.short_copies = level.short_copies
    if safety_stock:
        message.safety_stock = safety_stock
    if backorder_limit:
        message.backorder_limit = backorder_limit
    if low_stock_threshold:
        message.low_stock_threshold = low_stock_threshold


def stock_message(level: StockLevel) -> inventory_pb2.StockLevel:
    """Return a stock level as a message."""
    message = inventory_pb2.StockLevel()
    fill_stock(message, level)
    return message


def stock_messages(levels: Iterable[ReadLevel | None]) -> list[inventory_pb2.StockLevel]:
    """Return the messages of stock levels. Those that do not exist are left out; a damaged one has ``damage``."""
    return [
        _damaged_stock_message(level) if isinstance(level, DamagedLevel) else stock_message(cast("StockLevel", level))
        for level in levels
        if level is not None
    ]


def _damaged_stock_message(level: DamagedLevel) -> inventory_pb2.StockLevel:
    name = cast("StockName", level.name)
    return inventory_pb2.StockLevel(item=name.item, location=name.location, damage=level.damage)


def reservation_state_message(state: ReservationState) -> reservation_pb2.ReservationState:
    """Return the number of a reservation's state in the contract."""
    return _STATES[state]


def reservation_message(reservation: Reservation, state: ReservationState) -> reservation_pb2.Reservation:
    """Return the message of a reservation that is in ``state`` now."""
    resolved_at_ms = reservation.resolved_at_ms
    return reservation_pb2.Reservation(
        reservation_id=reservation.name.reservation_id,
        state=_STATES[state],
        holder=reservation.holder,
        lines=[
            reservation_pb2.ReservationLine(
                item=line.name.item, location=line.name.location, copies=line.copies, copies_committed=line.committed
            )
            for line in reservation.lines
        ],
        create_time=timestamp_of(reservation.created_at_ms),
        expire_time=timestamp_of(reservation.expire_at_ms),
        resolve_time=None if resolved_at_ms is None else timestamp_of(resolved_at_ms),
    )


def entry_message(entry: Entry, kind: ledger_pb2.OperationKind | None) -> ledger_pb2.Entry:
    """Return an entry as a message. ``kind`` is that of its operation; None if the operation cannot be read."""
    return ledger_pb2.Entry(
        revision=entry.revision,
        commit_time=timestamp_of(entry.commit_time_ms) if entry.commit_time_ms else None,
        operation=kind,
        request_id=entry.request_id,
        reason=entry.reason,
        reference=entry.reference,
        identity=entry.identity,
        lines=map(_line_message, entry.lines),
        reservation=None if entry.reservation is None else _reservation_message(entry.reservation),
        damage=entry.damage or None,
        missing_from=entry.missing_from or None,
    )


def _line_message(line: EntryLine) -> ledger_pb2.EntryLine:
    if isinstance(line.name, CounterName):
        return ledger_pb2.EntryLine(
            counter=ledger_pb2.CounterChange(
                counter=line.name.counter,
                value_change=line.change,
                after=counter_message(line.after) if isinstance(line.after, Counter) else None,
            )
        )
    return ledger_pb2.EntryLine(
        stock=ledger_pb2.StockChange(
            item=line.name.item,
            location=line.name.location,
            on_hand_change=line.change,
            reserved_change=line.reserved_change,
            crossings=[_CROSSINGS[crossing] for crossing in line.crossings],
            after=stock_message(line.after) if isinstance(line.after, StockLevel) else None,
        )
    )


def _reservation_message(reservation: Reservation) -> ledger_pb2.EntryReservation:
    return ledger_pb2.EntryReservation(
        reservation_id=reservation.name.reservation_id,
        state=reservation_state_message(reservation.state),
        holder=reservation.holder,
        expire_time=timestamp_of(reservation.expire_at_ms),
    )
