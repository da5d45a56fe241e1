"""The rows of the ledger, and the filters that it is read with."""

from collections.abc import Iterator
from typing import Final, cast

from tallykeeper_client import CounterChange, Entry, EntryLine, OperationKind, StockChange, ThresholdCrossing
from tallykeeper_console.views import figures
from tallykeeper_console.views.paged_list import KEY, Row

COLUMNS: Final = (
    ("revision", "Revision"),
    ("time", "Time (UTC)"),
    ("operation", "Operation"),
    ("changes", "Changes"),
    ("reason", "Reason"),
    ("reference", "Reference"),
    ("identity", "Caller"),
)
LINES_SHOWN_MAX: Final = 4
"""The number of lines of an entry that its row describes; the others are counted."""

ANY: Final = "Any operation"
_PREFIX: Final = "OPERATION_KIND_"
_CROSSING: Final = "THRESHOLD_CROSSING_"


def operation_word(kind: int) -> str:
    """Name the kind of a mutation, as in ``decrement copies``."""
    if kind not in OperationKind.values():
        return "an operation that this console does not know"
    return OperationKind.Name(kind).removeprefix(_PREFIX).lower().replace("_", " ")


OPERATIONS: Final[dict[str, OperationKind]] = {
    ANY: OperationKind.OPERATION_KIND_UNSPECIFIED,
    **{operation_word(kind): cast("OperationKind", kind) for kind in OperationKind.values()[1:]},
}
"""The operations to choose from, by their words."""


def entry_row(entry: Entry) -> Row:
    """Return the row of an entry."""
    return {
        KEY: entry.revision,
        "revision": entry.revision,
        "time": figures.moment(entry.commit_time),
        "operation": "✖ damaged" if entry.HasField("damage") else operation_word(entry.operation),
        "changes": changes(entry),
        "reason": entry.reason,
        "reference": entry.reference,
        "identity": entry.identity,
    }


def changes(entry: Entry) -> str:
    """Describe the changes of an entry in one line, as in ``dune @ main: on hand −2 = 3``."""
    parts = list(_heads(entry))
    parts += [_change(line) for line in entry.lines[:LINES_SHOWN_MAX]]
    others = len(entry.lines) - LINES_SHOWN_MAX
    if others > 0:
        parts.append(f"and {others} more")
    return "; ".join(parts)


def _heads(entry: Entry) -> Iterator[str]:
    if entry.HasField("damage"):
        yield entry.damage
    if entry.HasField("reservation"):
        yield entry.reservation.reservation_id


def _change(line: EntryLine) -> str:
    match line.WhichOneof("change"):
        case "counter":
            return _counter_change(line.counter)
        case "stock":
            return f"{line.stock.item} @ {line.stock.location}: " + ", ".join(_stock_changes(line.stock))
        case _:
            return "a kind of change that this console does not know"


def _counter_change(change: CounterChange) -> str:
    if not change.HasField("after"):
        return f"{change.counter}: deleted"
    return f"{change.counter}: {figures.signed(change.value_change) or '±0'} = {figures.number(change.after.value)}"


def _stock_changes(change: StockChange) -> Iterator[str]:
    if not change.HasField("after"):
        yield "deleted"
        return
    moved = figures.signed(change.on_hand_change)
    yield (
        f"on hand {moved} = {figures.number(change.after.on_hand)}"
        if moved
        else (f"on hand {figures.number(change.after.on_hand)}")
    )
    if change.reserved_change:
        yield f"reserved {figures.signed(change.reserved_change)} = {figures.number(change.after.reserved)}"
    for crossing in change.crossings:
        yield ThresholdCrossing.Name(crossing).removeprefix(_CROSSING).lower().replace("_", " ")
