"""IncrementCopies: it adds copies, and creates the level if there is none."""

from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    GetStockRequest,
    IncrementCopiesRequest,
    SetStockRequest,
    StockLevel,
)
from tests.support.client import Caller


def test_it_creates_the_level(call: Caller, namespace: str) -> None:
    reply = call(IncrementCopiesRequest(namespace=namespace, item="dune", location="annex", copies=3))

    assert reply.stock_level == StockLevel(item="dune", location="annex", on_hand=3, available=3)
    assert call(GetStockRequest(namespace=namespace, item="dune", location="annex")).stock_level == reply.stock_level


def test_an_empty_location_is_main(call: Caller, namespace: str) -> None:
    call(IncrementCopiesRequest(namespace=namespace, item="dune", copies=3))

    reply = call(IncrementCopiesRequest(namespace=namespace, item="dune", location="main", copies=4))

    assert reply.stock_level == StockLevel(item="dune", location="main", on_hand=7, available=7)


def test_an_absent_number_adds_one(call: Caller, namespace: str) -> None:
    request = IncrementCopiesRequest(namespace=namespace, item="dune")

    assert [call(request).stock_level.on_hand for _ in range(3)] == [1, 2, 3]


def test_it_keeps_what_was_configured(call: Caller, namespace: str) -> None:
    call(
        ConfigureStockRequest(
            namespace=namespace, item="dune", safety_stock=1, backorder_limit=2, low_stock_threshold=3
        )
    )

    reply = call(IncrementCopiesRequest(namespace=namespace, item="dune", copies=10))

    assert reply.stock_level == StockLevel(
        item="dune",
        location="main",
        on_hand=10,
        safety_stock=1,
        backorder_limit=2,
        low_stock_threshold=3,
        available=9,
    )


def test_it_fills_what_was_taken_on_backorder(call: Caller, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=5))
    call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=5))

    reply = call(IncrementCopiesRequest(namespace=namespace, item="dune", copies=6))

    assert reply.stock_level.on_hand == 1


def test_locations_are_apart(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", location="annex", on_hand=5))

    reply = call(IncrementCopiesRequest(namespace=namespace, item="dune", location="main"))

    assert reply.stock_level.on_hand == 1
