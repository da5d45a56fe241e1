"""A valid request of each type, which succeeds in a prepared namespace."""

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from tallykeeper.v1 import (
    batch_pb2,
    counter_pb2,
    inventory_pb2,
    ledger_pb2,
    namespace_pb2,
    reservation_pb2,
    server_pb2,
)
from tests.support.client import REQUEST_TYPES


def preparation(namespace: str) -> Sequence[Message]:
    """Return the mutations that prepare a namespace for every valid request. They can be repeated."""
    return (
        counter_pb2.IncrementRequest(namespace=namespace, counter="visits", delta=3),
        inventory_pb2.ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=10),
        inventory_pb2.IncrementCopiesRequest(namespace=namespace, item="emma", copies=10),
        reservation_pb2.ReserveRequest(
            namespace=namespace,
            request_id="held",
            reservation_id="held",
            lines=[reservation_pb2.StockLine(item="emma", copies=3)],
        ),
    )


def valid_requests(namespace: str) -> dict[type[Message], Message]:
    """Return a valid request of each type. No mutation has a request id."""
    requests = (
        *_of_counters(namespace),
        *_of_stock(namespace),
        *_of_reservations(namespace),
        batch_pb2.ApplyRequest(
            namespace=namespace,
            operations=[batch_pb2.Operation(increment=counter_pb2.IncrementRequest(counter="visits", delta=2))],
            mode=batch_pb2.BATCH_MODE_INDEPENDENT,
        ),
        ledger_pb2.ListEntriesRequest(namespace=namespace),
        ledger_pb2.WatchRequest(namespace=namespace, after_revision=0),
        ledger_pb2.LookupRequestRequest(namespace=namespace, request_id="held"),
        ledger_pb2.VerifyNamespaceRequest(namespace=namespace),
        namespace_pb2.ListNamespacesRequest(prefix=namespace),
        namespace_pb2.GetNamespaceRequest(namespace=namespace),
        server_pb2.GetServerStatusRequest(),
    )
    return {type(request): request for request in requests}


def _of_counters(namespace: str) -> tuple[Message, ...]:
    return (
        counter_pb2.IncrementRequest(namespace=namespace, counter="visits", delta=2),
        counter_pb2.SetCounterRequest(namespace=namespace, counter="visits", value=4, expected_value=3),
        counter_pb2.ConfigureCounterRequest(namespace=namespace, counter="visits", min=-5),
        counter_pb2.DeleteCounterRequest(namespace=namespace, counter="visits"),
        counter_pb2.GetCounterRequest(namespace=namespace, counter="visits"),
        counter_pb2.BatchGetCountersRequest(namespace=namespace, counters=["visits"]),
        counter_pb2.ListCountersRequest(namespace=namespace),
    )


def _of_stock(namespace: str) -> tuple[Message, ...]:
    return (
        inventory_pb2.DecrementCopiesRequest(namespace=namespace, item="dune", copies=2),
        inventory_pb2.IncrementCopiesRequest(namespace=namespace, item="dune", copies=2),
        inventory_pb2.SetStockRequest(namespace=namespace, item="dune", on_hand=4, expected_on_hand=0),
        inventory_pb2.MoveCopiesRequest(namespace=namespace, item="emma", to_location="annex", copies=2),
        inventory_pb2.ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=1),
        inventory_pb2.DeleteStockRequest(namespace=namespace, item="dune"),
        inventory_pb2.GetStockRequest(namespace=namespace, item="dune"),
        inventory_pb2.BatchGetStockRequest(namespace=namespace, keys=[inventory_pb2.StockKey(item="dune")]),
        inventory_pb2.GetItemRequest(namespace=namespace, item="dune"),
        inventory_pb2.ListStockRequest(namespace=namespace),
        inventory_pb2.CheckAvailabilityRequest(
            namespace=namespace, lines=[inventory_pb2.AvailabilityLine(item="dune", copies=2)]
        ),
    )


def _of_reservations(namespace: str) -> tuple[Message, ...]:
    return (
        reservation_pb2.ReserveRequest(
            namespace=namespace,
            reservation_id="basket",
            lines=[reservation_pb2.StockLine(item="emma", copies=2)],
            ttl=Duration(seconds=60),
            holder="kim",
        ),
        reservation_pb2.CommitRequest(
            namespace=namespace,
            reservation_id="held",
            lines=[reservation_pb2.StockLine(item="emma", copies=2)],
        ),
        reservation_pb2.ReleaseRequest(namespace=namespace, reservation_id="held"),
        reservation_pb2.ExtendRequest(namespace=namespace, reservation_id="held", ttl=Duration(seconds=3_600)),
        reservation_pb2.GetReservationRequest(namespace=namespace, reservation_id="held"),
        reservation_pb2.ListReservationsRequest(namespace=namespace),
    )


MUTATION_TYPES = tuple(
    request_type for request_type in REQUEST_TYPES if "reason" in request_type.DESCRIPTOR.fields_by_name
)
