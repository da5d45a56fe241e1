"""Reads of stock levels by name: GetStock and BatchGetStock."""

from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import (
    BatchGetStockRequest,
    ConfigureStockRequest,
    GetStockRequest,
    SetStockRequest,
    StockKey,
    StockLevel,
)
from tests.rpc.conftest import FailingCall
from tests.support.client import Caller


def test_it_reads_a_whole_level(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=9))
    call(
        ConfigureStockRequest(
            namespace=namespace, item="dune", safety_stock=1, backorder_limit=2, low_stock_threshold=3
        )
    )

    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level == StockLevel(
        item="dune",
        location="main",
        on_hand=9,
        safety_stock=1,
        backorder_limit=2,
        low_stock_threshold=3,
        available=8,
    )


def test_a_level_that_does_not_exist_is_not_found(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", location="annex", on_hand=9))

    refused = failure(GetStockRequest(namespace=namespace, item="dune"))

    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "ITEM_NOT_FOUND")
    assert refused.metadata == {"item": "dune", "location": "main"}


def test_a_namespace_does_not_see_anothers_stock(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=9))

    assert failure(GetStockRequest(namespace=f"{namespace}.b", item="dune")).reason == "ITEM_NOT_FOUND"


def test_an_empty_namespace_is_the_default_one(call: Caller, namespace: str) -> None:
    item = f"of-{namespace}"
    call(SetStockRequest(item=item, on_hand=9))

    assert call(GetStockRequest(namespace="default", item=item)).stock_level.on_hand == 9


def test_a_batch_comes_in_the_order_in_which_it_was_asked_for(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=1))
    call(SetStockRequest(namespace=namespace, item="dune", location="annex", on_hand=2))
    call(SetStockRequest(namespace=namespace, item="emma", on_hand=3))
    keys = [
        StockKey(item="emma"),
        StockKey(item="emma", location="annex"),
        StockKey(item="dune", location="annex"),
        StockKey(item="ulysses"),
        StockKey(item="dune", location="main"),
    ]

    reply = call(BatchGetStockRequest(namespace=namespace, keys=keys))

    assert [(level.item, level.location, level.on_hand) for level in reply.stock_levels] == [
        ("emma", "main", 3),
        ("dune", "annex", 2),
        ("dune", "main", 1),
    ]
    assert list(reply.missing) == [
        StockKey(item="emma", location="annex"),
        StockKey(item="ulysses", location="main"),
    ]


def test_a_key_that_a_batch_names_twice_comes_twice(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=1))
    keys = [StockKey(item="dune"), StockKey(item="x"), StockKey(item="dune", location="main"), StockKey(item="x")]

    reply = call(BatchGetStockRequest(namespace=namespace, keys=keys))

    assert [level.item for level in reply.stock_levels] == ["dune", "dune"]
    assert [key.item for key in reply.missing] == ["x", "x"]


def test_a_batch_may_name_a_thousand(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="n999", on_hand=1))
    keys = [StockKey(item=f"n{number}") for number in range(1_000)]

    reply = call(BatchGetStockRequest(namespace=namespace, keys=keys))

    assert (len(reply.stock_levels), len(reply.missing)) == (1, 999)
