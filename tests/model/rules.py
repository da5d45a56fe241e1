"""The rule of each mutation: its change of the contents, its reply, and its kind in the ledger."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf.message import Message

from tallykeeper.v1 import counter_pb2, inventory_pb2, reservation_pb2
from tallykeeper.v1.ledger_pb2 import OperationKind
from tests.model import counters, holds, stock
from tests.model.contents import Change, Contents, CounterKey, StockKey
from tests.model.counters import Counter
from tests.model.refusal import MAX, Refusal, refusal
from tests.model.stock import Stock

ChangeOf = Callable[[Contents, Any, int], Change | Refusal]


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of one type of request."""

    change: ChangeOf
    response: type[Message]
    operation: OperationKind


def _of_a_counter(after_of: Callable[..., Counter | Refusal | None]) -> ChangeOf:
    def change(contents: Contents, request: Any, now_ms: int) -> Change | Refusal:  # noqa: ANN401  # of a counter
        key = CounterKey(request.counter)
        before = contents.levels.get(key)
        after = after_of(before, request, now_ms)
        if isinstance(after, Refusal):
            return after.about(counter=request.counter)
        shown = after or before
        assert isinstance(shown, Counter)
        return Change({key: after}, {"counter": shown.message(request.counter)})

    return change


def _of_a_stock_level(after_of: Callable[..., Stock | Refusal | None]) -> ChangeOf:
    def change(contents: Contents, request: Any, now_ms: int) -> Change | Refusal:  # noqa: ANN401  # of a level
        before = contents.stock(request.item, request.location)
        after = after_of(before, request, now_ms)
        if isinstance(after, Refusal):
            return after.about(item=request.item, location=request.location)
        shown = after or before
        assert shown is not None
        reply: dict[str, Message | int] = {"stock_level": shown.message(request.item, request.location)}
        if isinstance(request, inventory_pb2.DecrementCopiesRequest):
            assert before is not None
            reply["copies_taken"] = before.on_hand - shown.on_hand
        return Change({StockKey(request.item, request.location): after}, reply)

    return change


def _move_copies(contents: Contents, request: inventory_pb2.MoveCopiesRequest, _: int) -> Change | Refusal:
    source, target = (StockKey(request.item, location) for location in (request.from_location, request.to_location))
    leaving = contents.stock(request.item, source.location)
    arriving = contents.stock(request.item, target.location) or stock.NONE
    refused = None
    if leaving is None:
        refused = refusal("ITEM_NOT_FOUND")
    elif request.copies > leaving.available:
        refused = refusal(
            "INSUFFICIENT_STOCK", requested=request.copies, available=leaving.available, backorder_limit=0
        )
    if leaving is None or refused is not None:
        assert refused is not None
        return refused.about(item=request.item, location=source.location)
    if arriving.on_hand + request.copies > MAX:
        overflow = refusal("VALUE_OVERFLOW", on_hand=arriving.on_hand, copies=request.copies)
        return overflow.about(item=request.item, location=target.location)
    left = replace(leaving, on_hand=leaving.on_hand - request.copies)
    arrived = replace(arriving, on_hand=arriving.on_hand + request.copies)
    return Change(
        {source: left, target: arrived},
        {
            "from_stock_level": left.message(request.item, source.location),
            "to_stock_level": arrived.message(request.item, target.location),
        },
    )


RULES: Final[Mapping[type[Message], Rule]] = {
    counter_pb2.IncrementRequest: Rule(
        _of_a_counter(counters.increment), counter_pb2.IncrementResponse, OperationKind.OPERATION_KIND_INCREMENT
    ),
    counter_pb2.SetCounterRequest: Rule(
        _of_a_counter(counters.set_counter), counter_pb2.SetCounterResponse, OperationKind.OPERATION_KIND_SET_COUNTER
    ),
    counter_pb2.ConfigureCounterRequest: Rule(
        _of_a_counter(counters.configure_counter),
        counter_pb2.ConfigureCounterResponse,
        OperationKind.OPERATION_KIND_CONFIGURE_COUNTER,
    ),
    counter_pb2.DeleteCounterRequest: Rule(
        _of_a_counter(counters.delete_counter),
        counter_pb2.DeleteCounterResponse,
        OperationKind.OPERATION_KIND_DELETE_COUNTER,
    ),
    inventory_pb2.DecrementCopiesRequest: Rule(
        _of_a_stock_level(stock.decrement_copies),
        inventory_pb2.DecrementCopiesResponse,
        OperationKind.OPERATION_KIND_DECREMENT_COPIES,
    ),
    inventory_pb2.IncrementCopiesRequest: Rule(
        _of_a_stock_level(stock.increment_copies),
        inventory_pb2.IncrementCopiesResponse,
        OperationKind.OPERATION_KIND_INCREMENT_COPIES,
    ),
    inventory_pb2.SetStockRequest: Rule(
        _of_a_stock_level(stock.set_stock), inventory_pb2.SetStockResponse, OperationKind.OPERATION_KIND_SET_STOCK
    ),
    inventory_pb2.MoveCopiesRequest: Rule(
        _move_copies, inventory_pb2.MoveCopiesResponse, OperationKind.OPERATION_KIND_MOVE_COPIES
    ),
    inventory_pb2.ConfigureStockRequest: Rule(
        _of_a_stock_level(stock.configure_stock),
        inventory_pb2.ConfigureStockResponse,
        OperationKind.OPERATION_KIND_CONFIGURE_STOCK,
    ),
    inventory_pb2.DeleteStockRequest: Rule(
        _of_a_stock_level(stock.delete_stock),
        inventory_pb2.DeleteStockResponse,
        OperationKind.OPERATION_KIND_DELETE_STOCK,
    ),
    reservation_pb2.ReserveRequest: Rule(
        holds.reserve, reservation_pb2.ReserveResponse, OperationKind.OPERATION_KIND_RESERVE
    ),
    reservation_pb2.CommitRequest: Rule(
        holds.commit, reservation_pb2.CommitResponse, OperationKind.OPERATION_KIND_COMMIT
    ),
    reservation_pb2.ReleaseRequest: Rule(
        holds.release, reservation_pb2.ReleaseResponse, OperationKind.OPERATION_KIND_RELEASE
    ),
    reservation_pb2.ExtendRequest: Rule(
        holds.extend, reservation_pb2.ExtendResponse, OperationKind.OPERATION_KIND_EXTEND
    ),
}
