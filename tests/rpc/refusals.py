"""Each refusal of a mutation: its cause, its details and its remedy."""

from collections.abc import Sequence

from google.protobuf.message import Message
from grpc import StatusCode

from tallykeeper.v1 import batch_pb2, counter_pb2, inventory_pb2
from tests.rpc.refusal import Refusal
from tests.rpc.reservation_refusals import reservation_refusals

MAX = 2**53 - 1


def _batch_refusals(namespace: str) -> dict[str, Refusal]:
    operations = [batch_pb2.Operation(delete_counter=counter_pb2.DeleteCounterRequest(counter="w"))]
    mode = batch_pb2.BATCH_MODE_ATOMIC
    return {
        "Apply with an operation that fails": Refusal(
            refused=batch_pb2.ApplyRequest(namespace=namespace, operations=operations, mode=mode),
            code=StatusCode.NOT_FOUND,
            reason="BATCH_REFUSED",
            metadata={"failed_count": "1", "index": "0", "operation_reason": "COUNTER_NOT_FOUND"},
            remedy=[counter_pb2.IncrementRequest(namespace=namespace, counter="w")],
        ),
    }


def _counter_refusals(namespace: str) -> dict[str, Refusal]:
    def bound(least: int, most: int) -> Message:
        return counter_pb2.ConfigureCounterRequest(namespace=namespace, counter="v", min=least, max=most)

    def to(value: int) -> Message:
        return counter_pb2.SetCounterRequest(namespace=namespace, counter="v", value=value)

    return {
        "Increment beyond a bound": Refusal(
            before=[bound(0, 2)],
            refused=counter_pb2.IncrementRequest(namespace=namespace, counter="v", delta=3),
            code=StatusCode.OUT_OF_RANGE,
            reason="COUNTER_BOUND_EXCEEDED",
            metadata={"counter": "v", "value": "0", "delta": "3", "min": "0", "max": "2"},
            remedy=[bound(0, 3)],
        ),
        "Increment beyond the range of numbers": Refusal(
            before=[to(MAX)],
            refused=counter_pb2.IncrementRequest(namespace=namespace, counter="v"),
            code=StatusCode.OUT_OF_RANGE,
            reason="VALUE_OVERFLOW",
            metadata={"counter": "v", "value": str(MAX), "delta": "1"},
            remedy=[to(0)],
        ),
        "SetCounter of another value": Refusal(
            refused=counter_pb2.SetCounterRequest(namespace=namespace, counter="v", value=2, expected_value=1),
            code=StatusCode.ABORTED,
            reason="VALUE_CHANGED",
            metadata={"counter": "v", "actual": "0", "expected": "1"},
            remedy=[to(1)],
        ),
        "SetCounter beyond a bound": Refusal(
            before=[bound(0, 2)],
            refused=counter_pb2.SetCounterRequest(namespace=namespace, counter="v", value=-1),
            code=StatusCode.OUT_OF_RANGE,
            reason="COUNTER_BOUND_EXCEEDED",
            metadata={"counter": "v", "value": "-1", "min": "0", "max": "2"},
            remedy=[bound(-1, 2)],
        ),
        "ConfigureCounter within its value": Refusal(
            before=[to(5)],
            refused=counter_pb2.ConfigureCounterRequest(namespace=namespace, counter="v", max=4),
            code=StatusCode.OUT_OF_RANGE,
            reason="COUNTER_BOUND_EXCEEDED",
            metadata={"counter": "v", "value": "5", "max": "4"},
            remedy=[to(4)],
        ),
        "DeleteCounter of none": Refusal(
            refused=counter_pb2.DeleteCounterRequest(namespace=namespace, counter="v"),
            code=StatusCode.NOT_FOUND,
            reason="COUNTER_NOT_FOUND",
            metadata={"counter": "v"},
            remedy=[to(1)],
        ),
    }


def _stock_refusals(namespace: str) -> dict[str, Refusal]:
    name = {"item": "dune", "location": "main"}

    def stock(on_hand: int) -> Message:
        return inventory_pb2.SetStockRequest(namespace=namespace, item="dune", on_hand=on_hand)

    return {
        "DecrementCopies of too many": Refusal(
            before=[stock(2)],
            refused=inventory_pb2.DecrementCopiesRequest(namespace=namespace, item="dune", copies=3),
            code=StatusCode.FAILED_PRECONDITION,
            reason="INSUFFICIENT_STOCK",
            metadata={**name, "requested": "3", "available": "2", "backorder_limit": "0"},
            preconditions=(("INSUFFICIENT_STOCK", "dune at main"),),
            remedy=[stock(3)],
        ),
        "DecrementCopies of nothing": Refusal(
            refused=inventory_pb2.DecrementCopiesRequest(namespace=namespace, item="dune"),
            code=StatusCode.NOT_FOUND,
            reason="ITEM_NOT_FOUND",
            metadata=name,
            remedy=[stock(3)],
        ),
        "IncrementCopies beyond the range of numbers": Refusal(
            before=[stock(MAX)],
            refused=inventory_pb2.IncrementCopiesRequest(namespace=namespace, item="dune", copies=2),
            code=StatusCode.OUT_OF_RANGE,
            reason="VALUE_OVERFLOW",
            metadata={**name, "on_hand": str(MAX), "copies": "2"},
            remedy=[stock(0)],
        ),
        "SetStock of another number": Refusal(
            before=[stock(2)],
            refused=inventory_pb2.SetStockRequest(namespace=namespace, item="dune", on_hand=9, expected_on_hand=3),
            code=StatusCode.ABORTED,
            reason="VALUE_CHANGED",
            metadata={**name, "actual": "2", "expected": "3"},
            remedy=[stock(3)],
        ),
        "ConfigureStock beyond the range of numbers": Refusal(
            before=[
                inventory_pb2.ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=1),
                inventory_pb2.DecrementCopiesRequest(namespace=namespace, item="dune"),
            ],
            refused=inventory_pb2.ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=MAX),
            code=StatusCode.OUT_OF_RANGE,
            reason="VALUE_OVERFLOW",
            metadata={**name, "on_hand": "-1", "reserved": "0", "safety_stock": str(MAX)},
            remedy=[stock(0)],
        ),
        "DeleteStock of some": Refusal(
            before=[stock(2)],
            refused=inventory_pb2.DeleteStockRequest(namespace=namespace, item="dune"),
            code=StatusCode.FAILED_PRECONDITION,
            reason="STOCK_NOT_EMPTY",
            metadata={**name, "on_hand": "2", "reserved": "0"},
            preconditions=(("STOCK_NOT_EMPTY", "dune at main"),),
            remedy=[stock(0)],
        ),
        "DeleteStock of nothing": Refusal(
            refused=inventory_pb2.DeleteStockRequest(namespace=namespace, item="dune"),
            code=StatusCode.NOT_FOUND,
            reason="ITEM_NOT_FOUND",
            metadata=name,
            remedy=[stock(0)],
        ),
    }


def _move_refusals(namespace: str) -> dict[str, Refusal]:
    def stock(location: str, on_hand: int) -> Message:
        return inventory_pb2.SetStockRequest(namespace=namespace, item="dune", location=location, on_hand=on_hand)

    def move(copies: int) -> Message:
        return inventory_pb2.MoveCopiesRequest(
            namespace=namespace, item="dune", from_location="a", to_location="b", copies=copies
        )

    return {
        "MoveCopies of nothing": Refusal(
            before=[stock("b", 3)],
            refused=move(1),
            code=StatusCode.NOT_FOUND,
            reason="ITEM_NOT_FOUND",
            metadata={"item": "dune", "location": "a"},
            remedy=[stock("a", 1)],
        ),
        "MoveCopies of too many": Refusal(
            before=[
                stock("a", 2),
                inventory_pb2.ConfigureStockRequest(
                    namespace=namespace, item="dune", location="a", backorder_limit=9, safety_stock=1
                ),
            ],
            refused=move(2),
            code=StatusCode.FAILED_PRECONDITION,
            reason="INSUFFICIENT_STOCK",
            metadata={"item": "dune", "location": "a", "requested": "2", "available": "1", "backorder_limit": "0"},
            preconditions=(("INSUFFICIENT_STOCK", "dune at a"),),
            remedy=[stock("a", 3)],
        ),
        "MoveCopies beyond the range of numbers": Refusal(
            before=[stock("a", 2), stock("b", MAX)],
            refused=move(2),
            code=StatusCode.OUT_OF_RANGE,
            reason="VALUE_OVERFLOW",
            metadata={"item": "dune", "location": "b", "on_hand": str(MAX), "copies": "2"},
            remedy=[stock("b", MAX - 2)],
        ),
    }


def refusals(namespace: str) -> dict[str, Refusal]:
    """Return each refusal by its name."""
    return {
        **_batch_refusals(namespace),
        **_counter_refusals(namespace),
        **_stock_refusals(namespace),
        **_move_refusals(namespace),
        **reservation_refusals(namespace),
    }


REFUSAL_NAMES: Sequence[str] = tuple(refusals("any"))
