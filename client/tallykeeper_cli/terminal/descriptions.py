"""What happened and what there is, in words."""

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
"""What stands in the place of a value that the store has lost."""


def state_word(state: int) -> str:
    """Name what a reservation is, as in ``active``."""
    return ReservationState.Name(state).removeprefix("RESERVATION_STATE_").lower()


def reservation_word(reservation: Reservation) -> str:
    """Name what a reservation is, or that it is damaged."""
    return DAMAGED if reservation.damage else state_word(reservation.state)


def entry_word(entry: Entry) -> str:
    """Name the kind of an entry's mutation, or that the entry is damaged."""
    return DAMAGED if entry.damage else operation_word(entry.operation)


def operation_word(kind: int) -> str:
    """Name the kind of a mutation, as in ``decrement_copies``."""
    return OperationKind.Name(kind).removeprefix("OPERATION_KIND_").lower()


def outcome_word(outcome: int) -> str:
    """Name what became of a request, as in ``applied``."""
    return RequestOutcome.Name(outcome).removeprefix("REQUEST_OUTCOME_").lower()


def durability_word(durability: int) -> str:
    """Name what an acknowledged change survives, as in ``fsync``."""
    return Durability.Name(durability).removeprefix("DURABILITY_").lower()


def changes(entry: Entry) -> str:
    """Tell what a mutation changed, as in ``dune@main: on_hand -2 = 3``."""
    told = [_change(line) for line in entry.lines]
    if entry.HasField("reservation"):
        told.insert(0, f"{entry.reservation.reservation_id} {state_word(entry.reservation.state)}")
    if entry.damage:
        told.insert(0, entry.damage)
    return "; ".join(told)


def event(entry: Entry) -> str:
    """Tell of a mutation in one line, as it is told when it happens."""
    told = f"{entry.revision}  {moment(entry.commit_time)}  {entry_word(entry)}  {changes(entry)}"
    return "  ".join(part for part in (told, entry.reason, entry.reference) if part)


def reserved(line: ReservationLine) -> str:
    """Tell what a reservation holds or held of one level, as in ``dune@main=2``."""
    taken = f" ({line.copies_committed} taken)" if line.copies_committed else ""
    return f"{line.item}@{line.location}={line.copies}{taken}"


def anywhere(line: LineAvailability) -> str:
    """Tell where copies of an item may be taken that were looked for anywhere."""
    return f"any of {len(line.locations)}"


def moment(time: Timestamp) -> str:
    """Write a time in UTC; nothing if it is absent."""
    return time.ToJsonString() if time.seconds else ""


def difference_word(kind: int) -> str:
    """Name the kind of a difference, as in ``damaged entry``."""
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
