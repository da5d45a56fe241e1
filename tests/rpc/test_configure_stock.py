"""ConfigureStock: safety stock, backorders, and the fields of the request that count."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    GetStockRequest,
    SetStockRequest,
    StockLevel,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller

MAX = 2**53 - 1


def level(
    *, on_hand: int = 0, safety_stock: int = 0, backorder_limit: int = 0, low_stock_threshold: int = 0
) -> StockLevel:
    """Return the level of dune at main."""
    return StockLevel(
        item="dune",
        location="main",
        on_hand=on_hand,
        safety_stock=safety_stock,
        backorder_limit=backorder_limit,
        low_stock_threshold=low_stock_threshold,
        available=on_hand - safety_stock,
    )


@pytest.fixture
def configured(call: Caller, namespace: str) -> str:
    """A namespace whose dune has no copies, and 1, 2 and 3 configured."""
    call(
        ConfigureStockRequest(
            namespace=namespace, item="dune", safety_stock=1, backorder_limit=2, low_stock_threshold=3
        )
    )
    return namespace


def test_it_creates_the_level_without_copies(call: Caller, configured: str) -> None:
    reply = call(GetStockRequest(namespace=configured, item="dune"))

    assert reply.stock_level == level(safety_stock=1, backorder_limit=2, low_stock_threshold=3)


def test_it_keeps_the_copies(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=7))

    reply = call(ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=2))

    assert reply.stock_level == level(on_hand=7, safety_stock=2)


def test_without_a_mask_it_changes_what_is_present(call: Caller, configured: str) -> None:
    reply = call(ConfigureStockRequest(namespace=configured, item="dune", backorder_limit=9, safety_stock=0))

    assert reply.stock_level == level(backorder_limit=9, low_stock_threshold=3)


def test_with_a_mask_it_changes_only_what_is_named(call: Caller, configured: str) -> None:
    mask = FieldMask(paths=["safety_stock"])

    reply = call(
        ConfigureStockRequest(namespace=configured, item="dune", safety_stock=7, backorder_limit=8, update_mask=mask)
    )

    assert reply.stock_level == level(safety_stock=7, backorder_limit=2, low_stock_threshold=3)


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        (["safety_stock"], level(backorder_limit=2, low_stock_threshold=3)),
        (["backorder_limit"], level(safety_stock=1, low_stock_threshold=3)),
        (["low_stock_threshold"], level(safety_stock=1, backorder_limit=2)),
        (["safety_stock", "low_stock_threshold"], level(backorder_limit=2)),
        (["*"], level()),
    ],
)
def test_what_is_named_and_absent_becomes_zero(
    call: Caller, configured: str, paths: list[str], left: StockLevel
) -> None:
    reply = call(ConfigureStockRequest(namespace=configured, item="dune", update_mask=FieldMask(paths=paths)))

    assert reply.stock_level == left
    assert call(GetStockRequest(namespace=configured, item="dune")).stock_level == left


def test_the_star_sets_what_is_present_and_clears_the_rest(call: Caller, configured: str) -> None:
    mask = FieldMask(paths=["*"])

    reply = call(
        ConfigureStockRequest(namespace=configured, item="dune", low_stock_threshold=9, update_mask=mask),
    )

    assert reply.stock_level == level(low_stock_threshold=9)


def test_a_backorder_limit_may_fall_below_what_is_owed(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=5))
    call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=5))

    reply = call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=1))
    refused = failure(DecrementCopiesRequest(namespace=namespace, item="dune"))

    assert reply.stock_level == level(on_hand=-5, backorder_limit=1)
    assert refused.reason == "INSUFFICIENT_STOCK"


def test_it_refuses_to_let_available_leave_the_range_of_numbers(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=2))
    call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=2))
    reached = call(ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=MAX - 2))
    before = contents()

    refused = failure(ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=MAX - 1))

    assert reached.stock_level.available == -MAX
    assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "VALUE_OVERFLOW")
    assert refused.metadata == {
        "item": "dune",
        "location": "main",
        "on_hand": "-2",
        "reserved": "0",
        "safety_stock": str(MAX - 1),
    }
    assert contents() == before
