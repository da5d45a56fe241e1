"""SetStock: what a stock-taking found, and optionally what it must replace."""

from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    GetStockRequest,
    SetStockRequest,
    StockLevel,
)
from tests.calling import Caller
from tests.rpc.conftest import Contents, FailingCall


def test_it_creates_the_level(call: Caller, namespace: str) -> None:
    reply = call(SetStockRequest(namespace=namespace, item="dune", on_hand=7))

    assert reply.stock_level == StockLevel(item="dune", location="main", on_hand=7, available=7)
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level == reply.stock_level


def test_an_absent_number_is_zero(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=7))

    reply = call(SetStockRequest(namespace=namespace, item="dune"))

    assert reply.stock_level == StockLevel(item="dune", location="main")


def test_it_keeps_what_was_configured(call: Caller, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=4, backorder_limit=2))

    reply = call(SetStockRequest(namespace=namespace, item="dune", on_hand=3))

    assert reply.stock_level == StockLevel(
        item="dune", location="main", on_hand=3, safety_stock=4, backorder_limit=2, available=-1
    )


def test_it_sets_when_there_are_as_many_as_expected(call: Caller, namespace: str) -> None:
    created = call(SetStockRequest(namespace=namespace, item="dune", on_hand=4, expected_on_hand=0))
    changed = call(SetStockRequest(namespace=namespace, item="dune", on_hand=5, expected_on_hand=4))

    assert (created.stock_level.on_hand, changed.stock_level.on_hand) == (4, 5)


def test_fewer_than_none_may_be_expected(call: Caller, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=2))
    call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=2))

    reply = call(SetStockRequest(namespace=namespace, item="dune", on_hand=5, expected_on_hand=-2))

    assert reply.stock_level.on_hand == 5


def test_it_refuses_when_there_are_not_as_many_as_expected(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=4))
    before = contents()

    refused = failure(SetStockRequest(namespace=namespace, item="dune", on_hand=5, expected_on_hand=0))

    assert (refused.code, refused.reason) == (StatusCode.ABORTED, "VALUE_CHANGED")
    assert refused.metadata == {"item": "dune", "location": "main", "actual": "4", "expected": "0"}
    assert contents() == before


def test_it_creates_nothing_when_a_level_is_expected_and_there_is_none(
    failure: FailingCall, namespace: str, contents: Contents
) -> None:
    refused = failure(SetStockRequest(namespace=namespace, item="dune", on_hand=5, expected_on_hand=4))

    assert refused.metadata == {"item": "dune", "location": "main", "actual": "0", "expected": "4"}
    assert contents() == {}
