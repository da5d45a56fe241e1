"""MoveCopies: copies go from one location to another in one change."""

import pytest

from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    GetItemRequest,
    MoveCopiesRequest,
    SetStockRequest,
    StockLevel,
)
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller


@pytest.fixture
def stocked(call: Caller, namespace: str) -> str:
    """A namespace with 5 copies of dune at main."""
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    return namespace


def test_it_moves_copies_and_creates_the_level_there(call: Caller, stocked: str) -> None:
    reply = call(MoveCopiesRequest(namespace=stocked, item="dune", to_location="annex", copies=2))

    left = StockLevel(item="dune", location="main", on_hand=3, available=3)
    arrived = StockLevel(item="dune", location="annex", on_hand=2, available=2)
    assert (reply.from_stock_level, reply.to_stock_level, reply.revision) == (left, arrived, 2)
    assert list(call(GetItemRequest(namespace=stocked, item="dune")).stock_levels) == [arrived, left]


def test_it_adds_to_the_level_there(call: Caller, stocked: str) -> None:
    call(SetStockRequest(namespace=stocked, item="dune", location="annex", on_hand=4))
    call(ConfigureStockRequest(namespace=stocked, item="dune", location="annex", safety_stock=1))

    reply = call(MoveCopiesRequest(namespace=stocked, item="dune", from_location="annex", to_location="", copies=3))

    assert reply.from_stock_level == StockLevel(item="dune", location="annex", on_hand=1, safety_stock=1)
    assert reply.to_stock_level == StockLevel(item="dune", location="main", on_hand=8, available=8)


def test_an_absent_number_moves_one(call: Caller, stocked: str) -> None:
    reply = call(MoveCopiesRequest(namespace=stocked, item="dune", to_location="annex"))

    assert (reply.from_stock_level.on_hand, reply.to_stock_level.on_hand) == (4, 1)


def test_all_that_is_available_can_be_moved(call: Caller, stocked: str) -> None:
    reply = call(MoveCopiesRequest(namespace=stocked, item="dune", to_location="annex", copies=5))

    assert reply.from_stock_level == StockLevel(item="dune", location="main")


@pytest.mark.parametrize("copies", [3, 5, 6])
def test_what_is_reserved_or_kept_back_stays(
    call: Caller, failure: FailingCall, stocked: str, contents: Contents, copies: int
) -> None:
    call(ConfigureStockRequest(namespace=stocked, item="dune", safety_stock=1, backorder_limit=100))
    call(ReserveRequest(namespace=stocked, lines=[StockLine(item="dune", copies=2)]))
    before = contents()

    refused = failure(MoveCopiesRequest(namespace=stocked, item="dune", to_location="annex", copies=copies))

    assert (refused.reason, refused.metadata["available"]) == ("INSUFFICIENT_STOCK", "2")
    assert contents() == before


def test_a_repeat_moves_nothing_again(call: Caller, stocked: str) -> None:
    request = MoveCopiesRequest(namespace=stocked, request_id="r1", item="dune", to_location="annex", copies=2)
    first = call(request)

    again = call(request)

    assert (first.replayed, again.replayed) == (False, True)
    assert (again.from_stock_level, again.to_stock_level) == (first.from_stock_level, first.to_stock_level)
    assert call(GetItemRequest(namespace=stocked, item="dune")).stock_levels[1].on_hand == 3


def test_the_other_way_round_is_another_body(call: Caller, failure: FailingCall, stocked: str) -> None:
    call(MoveCopiesRequest(namespace=stocked, request_id="r1", item="dune", to_location="annex"))

    refused = failure(MoveCopiesRequest(namespace=stocked, request_id="r1", item="dune", from_location="annex"))

    assert refused.reason == "REQUEST_ID_REUSED"
