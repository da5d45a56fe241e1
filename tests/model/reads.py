"""The right answer to a read by name, by the model's contents."""

from collections import Counter as Sum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from google.protobuf.message import Message

from tallykeeper.v1 import batch_pb2, counter_pb2, inventory_pb2, ledger_pb2, namespace_pb2, reservation_pb2
from tallykeeper.v1.inventory_pb2 import StockLevel
from tallykeeper.v1.ledger_pb2 import RequestOutcome
from tests.model.model import Answer, Model
from tests.model.refusal import MAX, Refusal, refusal
from tests.model.reservation import ACTIVE
from tests.support.client import reason_of


def read(model: Model, request: Message) -> Answer:
    """Return the answer to a read."""
    answer = READS[type(request)](model, request)
    if isinstance(answer, Message) and "revision" in answer.DESCRIPTOR.fields_by_name:
        cast("Any", answer).revision = model.revision
    return answer


def _get_counter(model: Model, request: counter_pb2.GetCounterRequest) -> Answer:
    for counter in model.counters():
        if counter.counter == request.counter:
            return counter_pb2.GetCounterResponse(counter=counter)
    return refusal("COUNTER_NOT_FOUND", counter=request.counter)


def _batch_get_counters(model: Model, request: counter_pb2.BatchGetCountersRequest) -> Answer:
    found = {counter.counter: counter for counter in model.counters()}
    return counter_pb2.BatchGetCountersResponse(
        counters=[found[name] for name in request.counters if name in found],
        missing=[name for name in request.counters if name not in found],
    )


def _get_stock(model: Model, request: inventory_pb2.GetStockRequest) -> Answer:
    location = request.location or "main"
    for level in model.stock():
        if (level.item, level.location) == (request.item, location):
            return inventory_pb2.GetStockResponse(stock_level=level)
    return refusal("ITEM_NOT_FOUND", item=request.item, location=location)


def _batch_get_stock(model: Model, request: inventory_pb2.BatchGetStockRequest) -> Answer:
    found = {(level.item, level.location): level for level in model.stock()}
    names = [(key.item, key.location or "main") for key in request.keys]
    return inventory_pb2.BatchGetStockResponse(
        stock_levels=[found[name] for name in names if name in found],
        missing=[inventory_pb2.StockKey(item=item, location=at) for item, at in names if (item, at) not in found],
    )


def _get_item(model: Model, request: inventory_pb2.GetItemRequest) -> Answer:
    levels = _at_all_locations(model, request.item)
    if not levels:
        return refusal("ITEM_NOT_FOUND", item=request.item)
    on_hand = sum(level.on_hand for level in levels)
    reserved = sum(level.reserved for level in levels)
    available = sum(level.available for level in levels)
    if max(abs(on_hand), reserved, abs(available)) > MAX:
        return refusal("VALUE_OVERFLOW", item=request.item)
    return inventory_pb2.GetItemResponse(
        stock_levels=levels, total_on_hand=on_hand, total_reserved=reserved, total_available=available
    )


def _at_all_locations(model: Model, item: str) -> list[StockLevel]:
    return [level for level in model.stock() if level.item == item]


def _check_availability(model: Model, request: inventory_pb2.CheckAvailabilityRequest) -> Answer:
    wanted = Sum[tuple[str, str]]()
    for line in request.lines:
        wanted[_shared_by(line)] += _copies_of(line)
    answers = [_availability(model, line, wanted[_shared_by(line)]) for line in request.lines]
    for answer in answers:
        if max(abs(answer.available), answer.backorder_limit) > MAX:
            return refusal("VALUE_OVERFLOW", item=answer.item)
    return inventory_pb2.CheckAvailabilityResponse(
        lines=answers, sufficient=all(answer.sufficient for answer in answers)
    )


def _copies_of(line: inventory_pb2.AvailabilityLine) -> int:
    return line.copies if line.HasField("copies") else 1


def _shared_by(line: inventory_pb2.AvailabilityLine) -> tuple[str, str]:
    """Return the common result of lines that share copies."""
    return line.item, "" if line.any_location else line.location or "main"


def _availability(model: Model, line: inventory_pb2.AvailabilityLine, wanted: int) -> inventory_pb2.LineAvailability:
    levels = _at_all_locations(model, line.item)
    if line.any_location:
        levels = [level for level in levels if level.available + level.backorder_limit > 0]
    else:
        levels = [level for level in levels if level.location == (line.location or "main")]
    available = sum(level.available for level in levels)
    backorder_limit = sum(level.backorder_limit for level in levels)
    locations = [
        inventory_pb2.LocationAvailability(
            location=level.location, available=level.available, backorder_limit=level.backorder_limit
        )
        for level in levels
        if line.any_location
    ]
    return inventory_pb2.LineAvailability(
        item=line.item,
        location="" if line.any_location else line.location or "main",
        requested=_copies_of(line),
        available=available,
        backorder_limit=backorder_limit,
        sufficient=available + backorder_limit >= wanted,
        locations=locations,
    )


def _get_reservation(model: Model, request: reservation_pb2.GetReservationRequest) -> Answer:
    held = model.contents.reservations.get(request.reservation_id)
    if held is None:
        return refusal("RESERVATION_NOT_FOUND", reservation_id=request.reservation_id)
    return reservation_pb2.GetReservationResponse(reservation=held.message)


def _lookup_request(model: Model, request: ledger_pb2.LookupRequestRequest) -> Answer:
    if request.request_id not in model.answers:
        return ledger_pb2.LookupRequestResponse(outcome=RequestOutcome.REQUEST_OUTCOME_UNKNOWN)
    _, answer = model.answers[request.request_id]
    if isinstance(answer, batch_pb2.ApplyResponse):
        return _looked_up_batch(answer)
    if isinstance(answer, Refusal) and answer.reason == "BATCH_REFUSED":
        return ledger_pb2.LookupRequestResponse(
            outcome=RequestOutcome.REQUEST_OUTCOME_REFUSED,
            refusal_reason=answer.metadata["operation_reason"],
            refused_count=int(answer.metadata["failed_count"]),
        )
    if isinstance(answer, Refusal):
        return ledger_pb2.LookupRequestResponse(
            outcome=RequestOutcome.REQUEST_OUTCOME_REFUSED, refusal_reason=answer.reason, refused_count=1
        )
    return ledger_pb2.LookupRequestResponse(
        outcome=RequestOutcome.REQUEST_OUTCOME_APPLIED,
        applied_revision=getattr(answer, "revision", 0),
        commit_time=getattr(answer, "commit_time", None),
        applied_count=1,
    )


def _looked_up_batch(answer: batch_pb2.ApplyResponse) -> ledger_pb2.LookupRequestResponse:
    kinds: Sequence[str | None] = [result.WhichOneof("result") for result in answer.results]
    refused = [reason_of(result.error)[0] for result in answer.results if result.HasField("error")]
    return ledger_pb2.LookupRequestResponse(
        outcome=(RequestOutcome.REQUEST_OUTCOME_APPLIED if answer.revision else RequestOutcome.REQUEST_OUTCOME_REFUSED),
        applied_revision=answer.revision,
        commit_time=answer.commit_time,
        refusal_reason=refused[0] if refused else "",
        applied_count=sum(kind != "error" for kind in kinds),
        refused_count=answer.failed_count,
    )


def _list_namespaces(model: Model, request: namespace_pb2.ListNamespacesRequest) -> Answer:
    return namespace_pb2.ListNamespacesResponse(
        namespaces=[_namespace(model, request.prefix)] if model.revision else []
    )


def _get_namespace(model: Model, request: namespace_pb2.GetNamespaceRequest) -> Answer:
    return namespace_pb2.GetNamespaceResponse(namespace=_namespace(model, request.namespace))


def _namespace(model: Model, name: str) -> namespace_pb2.Namespace:
    """Return the namespace with its contents, and without its settings."""
    return namespace_pb2.Namespace(
        namespace=name,
        revision=model.revision,
        oldest_revision=1,
        stock_level_count=len(model.stock()),
        counter_count=len(model.counters()),
        active_reservation_count=sum(held.state is ACTIVE for held in model.reservations()),
    )


READS: Final[Mapping[type[Message], Callable[..., Answer]]] = {
    counter_pb2.GetCounterRequest: _get_counter,
    counter_pb2.BatchGetCountersRequest: _batch_get_counters,
    inventory_pb2.GetStockRequest: _get_stock,
    inventory_pb2.BatchGetStockRequest: _batch_get_stock,
    inventory_pb2.GetItemRequest: _get_item,
    inventory_pb2.CheckAvailabilityRequest: _check_availability,
    reservation_pb2.GetReservationRequest: _get_reservation,
    ledger_pb2.LookupRequestRequest: _lookup_request,
    namespace_pb2.ListNamespacesRequest: _list_namespaces,
    namespace_pb2.GetNamespaceRequest: _get_namespace,
}
