"""Each refusal that a reservation causes, except those for which time must pass."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from grpc import StatusCode

from tallykeeper.v1 import inventory_pb2, reservation_pb2
from tests.rpc.refusal import Refusal

MAX = 2**53 - 1
DAY_SECONDS = 86_400
HELD = {"reservation_id": "held"}
NAME = {"item": "dune", "location": "main"}


class _Requests:
    """Requests about dune and a reservation in one namespace."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def stock(self, on_hand: int) -> Message:
        return inventory_pb2.SetStockRequest(namespace=self._namespace, item="dune", on_hand=on_hand)

    def backorder(self, limit: int) -> Message:
        return inventory_pb2.ConfigureStockRequest(namespace=self._namespace, item="dune", backorder_limit=limit)

    def delete(self) -> Message:
        return inventory_pb2.DeleteStockRequest(namespace=self._namespace, item="dune")

    def safety(self, copies: int) -> Message:
        return inventory_pb2.ConfigureStockRequest(namespace=self._namespace, item="dune", safety_stock=copies)

    def reserve(self, copies: int, reservation_id: str = "held", *, ttl_seconds: int = 60) -> Message:
        return reservation_pb2.ReserveRequest(
            namespace=self._namespace,
            reservation_id=reservation_id,
            lines=[reservation_pb2.StockLine(item="dune", copies=copies)],
            ttl=Duration(seconds=ttl_seconds),
        )

    def commit(self, copies: int = 0, item: str = "dune") -> Message:
        lines = [reservation_pb2.StockLine(item=item, copies=copies)] if copies else []
        return reservation_pb2.CommitRequest(namespace=self._namespace, reservation_id="held", lines=lines)

    def release(self) -> Message:
        return reservation_pb2.ReleaseRequest(namespace=self._namespace, reservation_id="held")

    def extend(self) -> Message:
        return reservation_pb2.ExtendRequest(namespace=self._namespace, reservation_id="held")


def reservation_refusals(namespace: str) -> dict[str, Refusal]:
    """Return each refusal by its name."""
    requests = _Requests(namespace)
    return {
        **_reserve_refusals(requests),
        **_commit_refusals(requests),
        **_stock_refusals(requests),
        **_refusals_without_a_reservation(requests),
        **_refusals_of_what_has_ended(requests),
    }


def _reserve_refusals(requests: _Requests) -> dict[str, Refusal]:
    return {
        "Reserve of too many": Refusal(
            before=[requests.stock(5), requests.backorder(1), requests.reserve(4, "another")],
            refused=requests.reserve(3),
            code=StatusCode.FAILED_PRECONDITION,
            reason="INSUFFICIENT_STOCK",
            metadata={**NAME, "requested": "3", "available": "1", "backorder_limit": "1", "lines": "1"},
            preconditions=(("INSUFFICIENT_STOCK", "dune at main"),),
            remedy=[requests.stock(6)],
        ),
        "Reserve of nothing": Refusal(
            refused=requests.reserve(1),
            code=StatusCode.FAILED_PRECONDITION,
            reason="INSUFFICIENT_STOCK",
            metadata={**NAME, "requested": "1", "available": "0", "backorder_limit": "0", "lines": "1"},
            preconditions=(("INSUFFICIENT_STOCK", "dune at main"),),
            remedy=[requests.backorder(1)],
        ),
        "Reserve of an id that is taken": Refusal(
            before=[requests.stock(5), requests.reserve(1)],
            refused=requests.reserve(2),
            code=StatusCode.ALREADY_EXISTS,
            reason="RESERVATION_EXISTS",
            metadata=HELD,
        ),
        "Reserve beyond the range of numbers": Refusal(
            before=[requests.stock(MAX), requests.backorder(MAX), requests.reserve(MAX, "another")],
            refused=requests.reserve(2),
            code=StatusCode.OUT_OF_RANGE,
            reason="VALUE_OVERFLOW",
            metadata={**NAME, "reserved": str(MAX), "copies": "2"},
        ),
    }


def _commit_refusals(requests: _Requests) -> dict[str, Refusal]:
    return {
        "Commit of more than is reserved": Refusal(
            before=[requests.stock(5), requests.reserve(2)],
            refused=requests.commit(3),
            code=StatusCode.FAILED_PRECONDITION,
            reason="COMMIT_EXCEEDS_RESERVED",
            metadata={**NAME, "requested": "3", "reserved": "2", "lines": "1"},
            preconditions=(("COMMIT_EXCEEDS_RESERVED", "dune at main"),),
        ),
        "Commit of what is not reserved": Refusal(
            before=[requests.stock(5), requests.reserve(2)],
            refused=requests.commit(1, "emma"),
            code=StatusCode.FAILED_PRECONDITION,
            reason="COMMIT_EXCEEDS_RESERVED",
            metadata={"item": "emma", "location": "main", "requested": "1", "reserved": "0", "lines": "1"},
            preconditions=(("COMMIT_EXCEEDS_RESERVED", "emma at main"),),
        ),
    }


def _stock_refusals(requests: _Requests) -> dict[str, Refusal]:
    return {
        "SetStock below what is reserved": Refusal(
            before=[requests.stock(5), requests.backorder(1), requests.reserve(4)],
            refused=requests.stock(2),
            code=StatusCode.FAILED_PRECONDITION,
            reason="STOCK_BELOW_RESERVED",
            metadata={**NAME, "on_hand": "2", "reserved": "4", "backorder_limit": "1"},
            preconditions=(("STOCK_BELOW_RESERVED", "dune at main"),),
            remedy=[requests.backorder(2)],
        ),
        "SetStock beyond the range of numbers": Refusal(
            before=[requests.backorder(1), requests.reserve(1), requests.stock(2), requests.safety(MAX)],
            refused=requests.stock(0),
            code=StatusCode.OUT_OF_RANGE,
            reason="VALUE_OVERFLOW",
            metadata={**NAME, "on_hand": "0", "reserved": "1", "safety_stock": str(MAX)},
            remedy=[requests.safety(0)],
        ),
        "ConfigureStock beyond the range of numbers with some reserved": Refusal(
            before=[requests.backorder(2), requests.reserve(2)],
            refused=requests.safety(MAX - 1),
            code=StatusCode.OUT_OF_RANGE,
            reason="VALUE_OVERFLOW",
            metadata={**NAME, "on_hand": "0", "reserved": "2", "safety_stock": str(MAX - 1)},
            remedy=[requests.release()],
        ),
        "DeleteStock of some reserved": Refusal(
            before=[requests.backorder(2), requests.reserve(2)],
            refused=requests.delete(),
            code=StatusCode.FAILED_PRECONDITION,
            reason="STOCK_NOT_EMPTY",
            metadata={**NAME, "on_hand": "0", "reserved": "2"},
            preconditions=(("STOCK_NOT_EMPTY", "dune at main"),),
            remedy=[requests.release()],
        ),
    }


def _refusals_without_a_reservation(requests: _Requests) -> dict[str, Refusal]:
    return {
        f"{name} of no reservation": Refusal(
            before=[requests.stock(5)],
            refused=refused,
            code=StatusCode.NOT_FOUND,
            reason="RESERVATION_NOT_FOUND",
            metadata=HELD,
            remedy=[requests.reserve(1)],
        )
        for name, refused in _ends(requests).items()
    }


def _refusals_of_what_has_ended(requests: _Requests) -> dict[str, Refusal]:
    ends = {"COMMITTED": requests.commit(), "RELEASED": requests.release()}
    return {
        f"{name} of a reservation that was {state.lower()}": Refusal(
            before=[requests.stock(5), requests.reserve(1), end],
            refused=refused,
            code=StatusCode.FAILED_PRECONDITION,
            reason=f"RESERVATION_{state}",
            metadata=HELD,
            preconditions=((f"RESERVATION_{state}", "held"),),
        )
        for name, refused in _ends(requests).items()
        for state, end in ends.items()
    }


def _ends(requests: _Requests) -> dict[str, Message]:
    return {"Commit": requests.commit(), "Release": requests.release(), "Extend": requests.extend()}
