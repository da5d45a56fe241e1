"""Descriptions, in words, of changes and of the present state."""

from collections.abc import Iterator
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1.inventory_pb2 import LineAvailability
from tallykeeper.v1.ledger_pb2 import (
    DifferenceKind,
    Entry,
    EntryLine,
    OperationKind,
    RequestOutcome,
    StockChange,
    ThresholdCrossing,
)
from tallykeeper.v1.namespace_pb2 import Durability
from tallykeeper.v1.reservation_pb2 import Reservation, ReservationLine, ReservationState

DAMAGED: Final = "damaged"
"""The text for a value that the store has lost."""


def state_word(state: int) -> str:
    """Return the word for a reservation's state, such as ``active``."""
    return ReservationState.Name(state).removeprefix("RESERVATION_STATE_").lower()


def reservation_word(reservation: Reservation) -> str:
    """Return the word for a reservation's state, or ``damaged``."""
    return DAMAGED if reservation.damage else state_word(reservation.state)


def entry_word(entry: Entry) -> str:
    """Return the word for the kind of an entry's mutation, or ``damaged``."""
    return DAMAGED if entry.damage else operation_word(entry.operation)


def operation_word(kind: int) -> str:
    """Return the word for a kind of mutation, such as ``decrement_copies``."""
    return OperationKind.Name(kind).removeprefix("OPERATION_KIND_").lower()


def outcome_word(outcome: int) -> str:
    """Return the word for a request's outcome, such as ``applied``."""
    return RequestOutcome.Name(outcome).removeprefix("REQUEST_OUTCOME_").lower()


def durability_word(durability: int) -> str:
    """Return the word for a durability, such as ``fsync``."""
    return Durability.Name(durability).removeprefix("DURABILITY_").lower()


def changes(entry: Entry) -> str:
    """Describe the changes of a mutation, as in ``dune@main: on_hand -2 = 3``."""
    parts = [_change(line) for line in entry.lines]
    if entry.HasField("reservation"):
        parts.insert(0, f"{entry.reservation.reservation_id} {state_word(entry.reservation.state)}")
    if entry.damage:
        parts.insert(0, entry.damage)
    return "; ".join(parts)


def event(entry: Entry) -> str:
    """Describe a mutation in one line, for output at the time when it happens."""
    change = f"{entry.revision}  {moment(entry.commit_time)}  {entry_word(entry)}  {changes(entry)}"
    return "  ".join(part for part in (change, entry.reason, entry.reference) if part)


def reserved(line: ReservationLine) -> str:
    """Describe a line of a reservation, as in ``dune@main=2``."""
    taken = f" ({line.copies_committed} taken)" if line.copies_committed else ""
    return f"{line.item}@{line.location}={line.copies}{taken}"


def anywhere(line: LineAvailability) -> str:
    """Describe the locations of a line with any location, as in ``any of 3``."""
    return f"any of {len(line.locations)}"


def moment(time: Timestamp) -> str:
    """Return a time in UTC as text; an empty text if it is absent."""
    return time.ToJsonString() if time.seconds else ""


def difference_word(kind: int) -> str:
    """Return the words for the kind of a difference, such as ``damaged entry``."""
    return DifferenceKind.Name(kind).removeprefix("DIFFERENCE_KIND_").lower().replace("_", " ")


def _change(line: EntryLine) -> str:
    match line.WhichOneof("change"):
        case "counter":
            changed = line.counter
            after = f"{changed.value_change:+} = {changed.after.value}" if changed.HasField("after") else "deleted"
            return f"{changed.counter}: {after}"
        case "stock":
            return f"{line.stock.item}@{line.stock.location}: " + ", ".join(_stock_changes(line.stock))
        case _:
            return "a kind of change that this client does not know"


def _stock_changes(change: StockChange) -> Iterator[str]:
    if not change.HasField("after"):
        yield "deleted"
        return
    after, moved = change.after, change.on_hand_change
    yield f"on_hand {moved:+} = {after.on_hand}" if moved else f"on_hand {after.on_hand}"
    if change.reserved_change:
        yield f"reserved {change.reserved_change:+} = {after.reserved}"
    for crossing in change.crossings:
        yield ThresholdCrossing.Name(crossing).removeprefix("THRESHOLD_CROSSING_").lower().replace("_", " ")
