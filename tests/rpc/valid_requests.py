"""One request of each type that succeeds in a prepared namespace."""

from collections.abc import Sequence

from google.protobuf.message import Message

from tallykeeper.v1 import counter_pb2, inventory_pb2
from tests.calling import REQUEST_TYPES


def preparation(namespace: str) -> Sequence[Message]:
    """Return the two mutations that make a namespace one in which every valid request succeeds."""
    return (
        counter_pb2.IncrementRequest(namespace=namespace, counter="visits", delta=3),
        inventory_pb2.ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=10),
    )


def valid_requests(namespace: str) -> dict[type[Message], Message]:
    """Return a request of each type. Mutations have no request id; each could have one."""
    requests: tuple[Message, ...] = (
        counter_pb2.IncrementRequest(namespace=namespace, counter="visits", delta=2),
        counter_pb2.SetCounterRequest(namespace=namespace, counter="visits", value=4, expected_value=3),
        counter_pb2.ConfigureCounterRequest(namespace=namespace, counter="visits", min=-5),
        counter_pb2.DeleteCounterRequest(namespace=namespace, counter="visits"),
        counter_pb2.GetCounterRequest(namespace=namespace, counter="visits"),
        counter_pb2.BatchGetCountersRequest(namespace=namespace, counters=["visits"]),
        counter_pb2.ListCountersRequest(namespace=namespace),
        inventory_pb2.DecrementCopiesRequest(namespace=namespace, item="dune", copies=2),
        inventory_pb2.IncrementCopiesRequest(namespace=namespace, item="dune", copies=2),
        inventory_pb2.SetStockRequest(namespace=namespace, item="dune", on_hand=4, expected_on_hand=0),
        inventory_pb2.ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=1),
        inventory_pb2.DeleteStockRequest(namespace=namespace, item="dune"),
        inventory_pb2.GetStockRequest(namespace=namespace, item="dune"),
        inventory_pb2.BatchGetStockRequest(namespace=namespace, keys=[inventory_pb2.StockKey(item="dune")]),
        inventory_pb2.GetItemRequest(namespace=namespace, item="dune"),
        inventory_pb2.ListStockRequest(namespace=namespace),
    )
    return {type(request): request for request in requests}


MUTATION_TYPES = tuple(
    request_type for request_type in REQUEST_TYPES if "request_id" in request_type.DESCRIPTOR.fields_by_name
)
