"""ListNamespaces and GetNamespace: the namespaces and their contents."""

import pytest
from google.protobuf.duration_pb2 import Duration

from tallykeeper.v1.counter_pb2 import DeleteCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import DeleteStockRequest, SetStockRequest
from tallykeeper.v1.namespace_pb2 import (
    DURABILITY_FSYNC,
    GetNamespaceRequest,
    ListNamespacesRequest,
    Namespace,
)
from tallykeeper.v1.reservation_pb2 import ReleaseRequest, ReserveRequest, StockLine
from tests.support.client import Caller

DAY_SECONDS = 86_400


def names(call: Caller, request: ListNamespacesRequest) -> list[str]:
    """Return the names on all pages of a listing."""
    found: list[str] = []
    for page in call.pages(request):
        assert len(page.namespaces) <= (request.page_size or 100)
        found += [each.namespace for each in page.namespaces]
    return found


@pytest.mark.parametrize("page_size", [0, 1, 2, 1_000])
def test_it_lists_in_the_order_of_the_names_bytes(call: Caller, namespace: str, page_size: int) -> None:
    namespaces = [f"{namespace}{end}" for end in (".b", "-z", "", "_1", "A", ".B")]
    for each in namespaces:
        call(IncrementRequest(namespace=each, counter="v"))

    assert names(call, ListNamespacesRequest(prefix=namespace, page_size=page_size)) == sorted(namespaces)


def test_it_lists_only_names_that_begin_with_the_prefix(call: Caller, namespace: str) -> None:
    for end in ("", ".a", ".ab", ".b"):
        call(IncrementRequest(namespace=f"{namespace}{end}", counter="v"))

    assert names(call, ListNamespacesRequest(prefix=f"{namespace}.a")) == [f"{namespace}.a", f"{namespace}.ab"]


def test_without_a_prefix_it_lists_them_all(call: Caller, namespace: str) -> None:
    call(IncrementRequest(namespace=namespace, counter="v"))

    assert namespace in names(call, ListNamespacesRequest(page_size=1_000))


def test_a_namespace_that_was_emptied_is_still_listed(call: Caller, namespace: str) -> None:
    call(IncrementRequest(namespace=namespace, counter="v"))
    call(DeleteCounterRequest(namespace=namespace, counter="v"))

    assert names(call, ListNamespacesRequest(prefix=namespace)) == [namespace]


def test_one_that_was_only_looked_at_is_not_listed(call: Caller, namespace: str) -> None:
    call(GetNamespaceRequest(namespace=namespace))

    assert names(call, ListNamespacesRequest(prefix=namespace)) == []


def test_a_namespace_that_was_never_changed_holds_nothing(call: Caller, namespace: str) -> None:
    assert call(GetNamespaceRequest(namespace=namespace)).namespace == Namespace(
        namespace=namespace,
        oldest_revision=1,
        request_retention=Duration(seconds=DAY_SECONDS),
        ledger_revisions_max=1_000_000,
        reservation_retention=Duration(seconds=7 * DAY_SECONDS),
        reservation_lifetime_max=Duration(seconds=30 * DAY_SECONDS),
        durability=DURABILITY_FSYNC,
    )


def test_it_counts_what_there_is(call: Caller, namespace: str) -> None:
    for counter in ("a", "b", "c"):
        call(IncrementRequest(namespace=namespace, counter=counter))
    for location in ("main", "annex"):
        call(SetStockRequest(namespace=namespace, item="dune", location=location, on_hand=5))
    call(SetStockRequest(namespace=namespace, item="emma", on_hand=0))
    for reservation_id in ("x", "y", "z"):
        call(ReserveRequest(namespace=namespace, reservation_id=reservation_id, lines=[StockLine(item="dune")]))
    call(DeleteCounterRequest(namespace=namespace, counter="b"))
    call(DeleteStockRequest(namespace=namespace, item="emma"))
    call(ReleaseRequest(namespace=namespace, reservation_id="y"))

    found = call(GetNamespaceRequest(namespace=namespace)).namespace

    assert list(call(ListNamespacesRequest(prefix=namespace)).namespaces) == [found]
    assert (found.revision, found.oldest_revision) == (12, 1)
    assert (found.counter_count, found.stock_level_count, found.active_reservation_count) == (2, 2, 2)


def test_an_empty_name_means_the_default(call: Caller) -> None:
    assert call(GetNamespaceRequest()).namespace.namespace == "default"
