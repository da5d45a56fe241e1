"""The columns of the tables, for each kind of message."""

from typing import Final

from tallykeeper.v1.counter_pb2 import Counter
from tallykeeper.v1.inventory_pb2 import LineAvailability, StockLevel
from tallykeeper.v1.ledger_pb2 import Difference, Entry, LookupRequestResponse
from tallykeeper.v1.namespace_pb2 import Namespace
from tallykeeper.v1.reservation_pb2 import Reservation
from tallykeeper_cli.terminal import descriptions
from tallykeeper_cli.terminal.output import Column

COUNTER: Final = (
    Column[Counter]("counter", lambda counter: counter.counter),
    Column[Counter]("value", lambda counter: descriptions.DAMAGED if counter.damage else counter.value, number=True),
    Column[Counter]("min", lambda counter: counter.min if counter.HasField("min") else "", number=True),
    Column[Counter]("max", lambda counter: counter.max if counter.HasField("max") else "", number=True),
    Column[Counter]("expires", lambda counter: descriptions.moment(counter.expire_time)),
)

STOCK: Final = (
    Column[StockLevel]("item", lambda level: level.item),
    Column[StockLevel]("location", lambda level: level.location),
    Column[StockLevel]("on_hand", lambda level: descriptions.DAMAGED if level.damage else level.on_hand, number=True),
    Column[StockLevel]("reserved", lambda level: "" if level.damage else level.reserved, number=True),
    Column[StockLevel]("available", lambda level: "" if level.damage else level.available, number=True),
    Column[StockLevel]("safety_stock", lambda level: "" if level.damage else level.safety_stock, number=True),
    Column[StockLevel]("backorder_limit", lambda level: "" if level.damage else level.backorder_limit, number=True),
    Column[StockLevel](
        "low_stock_threshold", lambda level: "" if level.damage else level.low_stock_threshold, number=True
    ),
)

AVAILABILITY: Final = (
    Column[LineAvailability]("item", lambda line: line.item),
    Column[LineAvailability]("location", lambda line: line.location or descriptions.anywhere(line)),
    Column[LineAvailability]("requested", lambda line: line.requested, number=True),
    Column[LineAvailability]("available", lambda line: line.available, number=True),
    Column[LineAvailability]("backorder_limit", lambda line: line.backorder_limit, number=True),
    Column[LineAvailability]("sufficient", lambda line: "yes" if line.sufficient else "no"),
)

RESERVATION: Final = (
    Column[Reservation]("reservation", lambda reservation: reservation.reservation_id),
    Column[Reservation]("state", descriptions.reservation_word),
    Column[Reservation]("holder", lambda reservation: reservation.holder),
    Column[Reservation]("lines", lambda reservation: ", ".join(map(descriptions.reserved, reservation.lines))),
    Column[Reservation]("expires", lambda reservation: descriptions.moment(reservation.expire_time)),
)

ENTRY: Final = (
    Column[Entry]("revision", lambda entry: entry.revision, number=True),
    Column[Entry]("time", lambda entry: descriptions.moment(entry.commit_time)),
    Column[Entry]("operation", descriptions.entry_word),
    Column[Entry]("changes", descriptions.changes),
    Column[Entry]("reason", lambda entry: entry.reason),
    Column[Entry]("reference", lambda entry: entry.reference),
    Column[Entry]("request_id", lambda entry: entry.request_id),
)

LOOKUP: Final = (
    Column[LookupRequestResponse]("outcome", lambda found: descriptions.outcome_word(found.outcome)),
    Column[LookupRequestResponse]("revision", lambda found: found.applied_revision or "", number=True),
    Column[LookupRequestResponse]("time", lambda found: descriptions.moment(found.commit_time)),
    Column[LookupRequestResponse]("applied", lambda found: found.applied_count, number=True),
    Column[LookupRequestResponse]("refused", lambda found: found.refused_count, number=True),
    Column[LookupRequestResponse]("refusal_reason", lambda found: found.refusal_reason),
)

DIFFERENCE: Final = (
    Column[Difference]("kind", lambda difference: descriptions.difference_word(difference.kind)),
    Column[Difference]("name", lambda difference: difference.name),
    Column[Difference]("location", lambda difference: difference.location),
    Column[Difference]("revision", lambda difference: difference.revision, number=True),
    Column[Difference]("expected", lambda difference: difference.expected),
    Column[Difference]("actual", lambda difference: difference.actual),
)

NAMESPACE: Final = (
    Column[Namespace]("namespace", lambda found: found.namespace),
    Column[Namespace]("revision", lambda found: found.revision),
    Column[Namespace]("oldest revision", lambda found: found.oldest_revision),
    Column[Namespace]("stock levels", lambda found: found.stock_level_count),
    Column[Namespace]("counters", lambda found: found.counter_count),
    Column[Namespace]("active reservations", lambda found: found.active_reservation_count),
    Column[Namespace]("durability", lambda found: descriptions.durability_word(found.durability)),
    Column[Namespace]("revisions kept", lambda found: found.ledger_revisions_max or "all"),
    Column[Namespace]("request ids kept", lambda found: found.request_retention.ToTimedelta()),
    Column[Namespace]("reservations kept", lambda found: found.reservation_retention.ToTimedelta()),
    Column[Namespace]("reservations live", lambda found: found.reservation_lifetime_max.ToTimedelta()),
)

NAMESPACES: Final = (
    Column[Namespace]("namespace", lambda found: found.namespace),
    Column[Namespace]("revision", lambda found: found.revision, number=True),
    Column[Namespace]("stock levels", lambda found: found.stock_level_count, number=True),
    Column[Namespace]("counters", lambda found: found.counter_count, number=True),
    Column[Namespace]("active reservations", lambda found: found.active_reservation_count, number=True),
    Column[Namespace]("damage", lambda found: found.damage),
)
