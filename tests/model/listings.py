"""The right result of a listing or a watch, with all pages together, by the model's contents."""

from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1 import inventory_pb2, ledger_pb2, reservation_pb2
from tests.model.model import Model


def stock(model: Model, request: inventory_pb2.ListStockRequest) -> list[inventory_pb2.StockLevel]:
    """Return the levels that a listing gives, in order."""
    return [
        level
        for level in model.stock()
        if level.item.startswith(request.item_prefix)
        and (request.any_location or level.location == (request.location or "main"))
    ]


def reservations(model: Model, request: reservation_pb2.ListReservationsRequest) -> list[reservation_pb2.Reservation]:
    """Return the reservations that a listing gives, in order."""
    return [
        held.message
        for held in model.reservations()
        if request.holder in {"", held.holder}
        and (not request.item or any(line.item == request.item for line in held.lines))
        and request.state in {0, held.state}
    ]


def entries(model: Model, request: ledger_pb2.ListEntriesRequest) -> list[ledger_pb2.Entry]:
    """Return the entries that a listing gives, in order."""
    listed = [entry for entry in model.entries if _passes(entry, request)]
    return listed[::-1] if request.newest_first else listed


def _passes(entry: ledger_pb2.Entry, request: ledger_pb2.ListEntriesRequest) -> bool:
    names = {(line.stock.item, line.stock.location) for line in entry.lines if line.HasField("stock")}
    return (
        (not request.item or any(item == request.item for item, _ in names))
        and (not request.location or any(at == request.location and request.item in {"", item} for item, at in names))
        and (not request.counter or any(line.counter.counter == request.counter for line in entry.lines))
        and request.reservation_id in {"", entry.reservation.reservation_id}
        and request.operation in {0, entry.operation}
        and request.reference in {"", entry.reference}
        and request.request_id in {"", entry.request_id}
        and (not request.HasField("start_time") or _time(entry.commit_time) >= _time(request.start_time))
        and (not request.HasField("end_time") or _time(entry.commit_time) < _time(request.end_time))
    )


def _time(timestamp: Timestamp) -> tuple[int, int]:
    return timestamp.seconds, timestamp.nanos


def watched(model: Model, request: ledger_pb2.WatchRequest) -> list[ledger_pb2.Entry]:
    """Return the entries that a watch gives, up to the last revision."""
    later = model.entries[request.after_revision :]
    if not (request.items or request.counters or request.reservation_ids):
        return later
    return [entry for entry in later if _is_watched(entry, request)]


def _is_watched(entry: ledger_pb2.Entry, request: ledger_pb2.WatchRequest) -> bool:
    return (
        any(
            line.stock.item in request.items and (not request.locations or line.stock.location in request.locations)
            for line in entry.lines
        )
        or any(line.counter.counter in request.counters for line in entry.lines)
        or entry.reservation.reservation_id in request.reservation_ids
    )
