"""DecrementCopies: it takes all copies or none, or the available ones if the request says so."""

import pytest
from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    GetStockRequest,
    SetStockRequest,
    ShortagePolicy,
    StockLevel,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller

TAKE_AVAILABLE = ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE


@pytest.fixture
def stocked(call: Caller, namespace: str) -> str:
    """A namespace with 5 copies of dune."""
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    return namespace


def test_it_takes_copies(call: Caller, stocked: str) -> None:
    reply = call(DecrementCopiesRequest(namespace=stocked, item="dune", copies=2))

    assert reply.copies_taken == 2
    assert reply.stock_level == StockLevel(item="dune", location="main", on_hand=3, available=3)
    assert call(GetStockRequest(namespace=stocked, item="dune")).stock_level == reply.stock_level


def test_an_absent_number_takes_one(call: Caller, stocked: str) -> None:
    reply = call(DecrementCopiesRequest(namespace=stocked, item="dune"))

    assert (reply.copies_taken, reply.stock_level.on_hand) == (1, 4)


def test_it_takes_all_that_there_are(call: Caller, stocked: str) -> None:
    reply = call(DecrementCopiesRequest(namespace=stocked, item="dune", copies=5))

    assert (reply.copies_taken, reply.stock_level.on_hand) == (5, 0)


@pytest.mark.parametrize("policy", [ShortagePolicy.SHORTAGE_POLICY_UNSPECIFIED, ShortagePolicy.SHORTAGE_POLICY_REJECT])
def test_it_refuses_more_than_are_available(
    failure: FailingCall, stocked: str, contents: Contents, policy: ShortagePolicy
) -> None:
    before = contents()

    refused = failure(
        DecrementCopiesRequest(namespace=stocked, item="dune", copies=6, shortage_policy=policy),
    )

    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert refused.metadata == {
        "item": "dune",
        "location": "main",
        "requested": "6",
        "available": "5",
        "backorder_limit": "0",
    }
    assert refused.preconditions == (("INSUFFICIENT_STOCK", "dune at main"),)
    assert [(item, location) for item, location, _, _ in refused.shortages] == [("dune", "main")]
    assert contents() == before


def test_it_takes_what_is_available_where_asked_to(call: Caller, stocked: str) -> None:
    request = DecrementCopiesRequest(namespace=stocked, item="dune", copies=3, shortage_policy=TAKE_AVAILABLE)

    replies = [call(request) for _ in range(3)]

    assert [reply.copies_taken for reply in replies] == [3, 2, 0]
    assert [reply.stock_level.on_hand for reply in replies] == [2, 0, 0]
    assert [reply.revision for reply in replies] == [2, 3, 4]


def test_it_leaves_the_safety_stock(call: Caller, failure: FailingCall, stocked: str) -> None:
    call(ConfigureStockRequest(namespace=stocked, item="dune", safety_stock=2))

    refused = failure(DecrementCopiesRequest(namespace=stocked, item="dune", copies=4))
    reply = call(
        DecrementCopiesRequest(namespace=stocked, item="dune", copies=4, shortage_policy=TAKE_AVAILABLE),
    )

    assert (refused.metadata["requested"], refused.metadata["available"]) == ("4", "3")
    assert reply.copies_taken == 3
    assert reply.stock_level == StockLevel(item="dune", location="main", on_hand=2, safety_stock=2, available=0)


def test_it_takes_none_below_the_safety_stock(call: Caller, stocked: str) -> None:
    call(ConfigureStockRequest(namespace=stocked, item="dune", safety_stock=9))

    reply = call(DecrementCopiesRequest(namespace=stocked, item="dune", shortage_policy=TAKE_AVAILABLE))

    assert reply.copies_taken == 0
    assert (reply.stock_level.on_hand, reply.stock_level.available) == (5, -4)


def test_it_takes_copies_on_backorder_up_to_the_limit(call: Caller, failure: FailingCall, stocked: str) -> None:
    call(ConfigureStockRequest(namespace=stocked, item="dune", backorder_limit=3))

    reply = call(DecrementCopiesRequest(namespace=stocked, item="dune", copies=7))
    refused = failure(DecrementCopiesRequest(namespace=stocked, item="dune", copies=2))

    assert reply.stock_level == StockLevel(item="dune", location="main", on_hand=-2, backorder_limit=3, available=-2)
    assert refused.metadata == {
        "item": "dune",
        "location": "main",
        "requested": "2",
        "available": "-2",
        "backorder_limit": "3",
    }


def test_taking_what_is_available_counts_the_backorder_limit(call: Caller, stocked: str) -> None:
    call(ConfigureStockRequest(namespace=stocked, item="dune", backorder_limit=3, safety_stock=1))

    reply = call(
        DecrementCopiesRequest(namespace=stocked, item="dune", copies=100, shortage_policy=TAKE_AVAILABLE),
    )

    assert reply.copies_taken == 7
    assert (reply.stock_level.on_hand, reply.stock_level.available) == (-2, -3)


@pytest.mark.parametrize("policy", [ShortagePolicy.SHORTAGE_POLICY_REJECT, TAKE_AVAILABLE])
def test_it_refuses_a_level_that_does_not_exist(
    failure: FailingCall, stocked: str, contents: Contents, policy: ShortagePolicy
) -> None:
    before = contents()

    refused = failure(
        DecrementCopiesRequest(namespace=stocked, item="dune", location="annex", shortage_policy=policy),
    )

    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "ITEM_NOT_FOUND")
    assert refused.metadata == {"item": "dune", "location": "annex"}
    assert contents() == before
