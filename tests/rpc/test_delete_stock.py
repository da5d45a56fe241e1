"""DeleteStock: a level without copies is deleted, and returned as it was."""

import pytest
from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    DeleteStockRequest,
    GetItemRequest,
    GetStockRequest,
    IncrementCopiesRequest,
    ListStockRequest,
    SetStockRequest,
    StockLevel,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller


def test_it_returns_the_level_as_it_was(call: Caller, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=2, backorder_limit=1))

    reply = call(DeleteStockRequest(namespace=namespace, item="dune"))

    assert reply.stock_level == StockLevel(
        item="dune", location="main", safety_stock=2, backorder_limit=1, available=-2
    )


def test_a_deleted_level_is_nowhere(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=0))
    call(DeleteStockRequest(namespace=namespace, item="dune"))

    reads = (GetStockRequest(namespace=namespace, item="dune"), GetItemRequest(namespace=namespace, item="dune"))

    assert [failure(read).reason for read in reads] == ["ITEM_NOT_FOUND", "ITEM_NOT_FOUND"]
    assert not call(ListStockRequest(namespace=namespace)).stock_levels


def test_a_level_created_again_has_nothing_configured(call: Caller, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=2))
    call(DeleteStockRequest(namespace=namespace, item="dune"))

    reply = call(IncrementCopiesRequest(namespace=namespace, item="dune"))

    assert reply.stock_level == StockLevel(item="dune", location="main", on_hand=1, available=1)


def test_other_locations_stay(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=0))
    call(SetStockRequest(namespace=namespace, item="dune", location="annex", on_hand=3))

    call(DeleteStockRequest(namespace=namespace, item="dune"))

    (left,) = call(GetItemRequest(namespace=namespace, item="dune")).stock_levels
    assert (left.location, left.on_hand) == ("annex", 3)


@pytest.mark.parametrize("on_hand", [1, -1])
def test_it_refuses_a_level_that_is_not_empty(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents, on_hand: int
) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=1))
    call(IncrementCopiesRequest(namespace=namespace, item="dune", copies=on_hand + 2))
    call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=2))
    before = contents()

    refused = failure(DeleteStockRequest(namespace=namespace, item="dune"))

    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "STOCK_NOT_EMPTY")
    assert refused.metadata == {"item": "dune", "location": "main", "on_hand": str(on_hand), "reserved": "0"}
    assert refused.preconditions == (("STOCK_NOT_EMPTY", "dune at main"),)
    assert contents() == before


def test_it_refuses_a_level_that_does_not_exist(failure: FailingCall, namespace: str, contents: Contents) -> None:
    refused = failure(DeleteStockRequest(namespace=namespace, item="dune", location="annex"))

    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "ITEM_NOT_FOUND")
    assert refused.metadata == {"item": "dune", "location": "annex"}
    assert contents() == {}
