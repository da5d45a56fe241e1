"""What a read must answer, given what the model holds."""

from collections.abc import Callable, Mapping
from typing import Final

from google.protobuf.message import Message

from tallykeeper.v1 import counter_pb2, inventory_pb2
from tests.model.model import Answer, Model
from tests.model.refusal import MAX, refusal


def read(model: Model, request: Message) -> Answer:
    """Return the answer to a read of levels by name."""
    return READS[type(request)](model, request)


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
    levels = [level for level in model.stock() if level.item == request.item]
    if not levels:
        return refusal("ITEM_NOT_FOUND", item=request.item)
    on_hand, available = sum(level.on_hand for level in levels), sum(level.available for level in levels)
    if max(abs(on_hand), abs(available)) > MAX:
        return refusal("VALUE_OVERFLOW", item=request.item)
    return inventory_pb2.GetItemResponse(stock_levels=levels, total_on_hand=on_hand, total_available=available)


READS: Final[Mapping[type[Message], Callable[..., Answer]]] = {
    counter_pb2.GetCounterRequest: _get_counter,
    counter_pb2.BatchGetCountersRequest: _batch_get_counters,
    inventory_pb2.GetStockRequest: _get_stock,
    inventory_pb2.BatchGetStockRequest: _batch_get_stock,
    inventory_pb2.GetItemRequest: _get_item,
}
