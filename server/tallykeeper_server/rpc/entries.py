"""Entries of the ledger as messages."""

from typing import Final

from tallykeeper.v1 import ledger_pb2
from tallykeeper_server.domain.entries import Crossing, Entry, EntryLine
from tallykeeper_server.domain.levels import Counter, CounterName, Reservation, StockLevel
from tallykeeper_server.rpc.messages import (
    counter_message,
    reservation_state_message,
    stock_message,
    timestamp_of,
)

KIND_OF_OPERATION: Final = {
    "counter_increment": ledger_pb2.OPERATION_KIND_INCREMENT,
    "counter_set": ledger_pb2.OPERATION_KIND_SET_COUNTER,
    "counter_configure": ledger_pb2.OPERATION_KIND_CONFIGURE_COUNTER,
    "counter_delete": ledger_pb2.OPERATION_KIND_DELETE_COUNTER,
    "stock_decrement": ledger_pb2.OPERATION_KIND_DECREMENT_COPIES,
    "stock_increment": ledger_pb2.OPERATION_KIND_INCREMENT_COPIES,
    "stock_set": ledger_pb2.OPERATION_KIND_SET_STOCK,
    "stock_move": ledger_pb2.OPERATION_KIND_MOVE_COPIES,
    "stock_configure": ledger_pb2.OPERATION_KIND_CONFIGURE_STOCK,
    "stock_delete": ledger_pb2.OPERATION_KIND_DELETE_STOCK,
    "reservation_reserve": ledger_pb2.OPERATION_KIND_RESERVE,
    "reservation_commit": ledger_pb2.OPERATION_KIND_COMMIT,
    "reservation_release": ledger_pb2.OPERATION_KIND_RELEASE,
    "reservation_extend": ledger_pb2.OPERATION_KIND_EXTEND,
    "reservation_expire": ledger_pb2.OPERATION_KIND_EXPIRE,
}
_CROSSINGS: Final = {
    Crossing.LOW: ledger_pb2.THRESHOLD_CROSSING_LOW,
    Crossing.OUT: ledger_pb2.THRESHOLD_CROSSING_OUT,
    Crossing.BACK_IN_STOCK: ledger_pb2.THRESHOLD_CROSSING_BACK_IN_STOCK,
}


def entry_message(entry: Entry) -> ledger_pb2.Entry:
    """Return an entry as a message."""
    return ledger_pb2.Entry(
        revision=entry.revision,
        commit_time=timestamp_of(entry.commit_time_ms) if entry.commit_time_ms else None,
        operation=KIND_OF_OPERATION.get(entry.operation, ledger_pb2.OPERATION_KIND_UNSPECIFIED),
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
