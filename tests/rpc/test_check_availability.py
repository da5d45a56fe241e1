"""CheckAvailability: the copies that could be taken now, at a location or at any location."""

from typing import Any

import pytest
import redis
from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import (
    AvailabilityLine,
    CheckAvailabilityRequest,
    CheckAvailabilityResponse,
    ConfigureStockRequest,
    LineAvailability,
    LocationAvailability,
    SetStockRequest,
)
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tests.rpc.conftest import FailingCall
from tests.support.client import Caller


@pytest.fixture
def stocked(call: Caller, namespace: str) -> str:
    """A namespace with dune at main (4 available), in the annex (1, and 2 on backorder) and in a depot (none)."""
    for location, on_hand in (("main", 7), ("annex", 1), ("depot", 3)):
        call(SetStockRequest(namespace=namespace, item="dune", location=location, on_hand=on_hand))
    call(ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=1))
    call(ConfigureStockRequest(namespace=namespace, item="dune", location="annex", backorder_limit=2))
    call(ConfigureStockRequest(namespace=namespace, item="dune", location="depot", safety_stock=5, backorder_limit=2))
    call(ReserveRequest(namespace=namespace, lines=[StockLine(item="dune", copies=2)]))
    return namespace


def check(call: Caller, namespace: str, *lines: AvailabilityLine) -> CheckAvailabilityResponse:
    """Return the availability of these lines."""
    response: CheckAvailabilityResponse = call(CheckAvailabilityRequest(namespace=namespace, lines=lines))
    return response


@pytest.mark.parametrize(("copies", "sufficient"), [(None, True), (4, True), (5, False), (2**53 - 1, False)])
def test_it_tells_what_is_available_at_a_location(
    call: Caller, stocked: str, copies: int | None, *, sufficient: bool
) -> None:
    response = check(call, stocked, AvailabilityLine(item="dune", copies=copies))

    assert response == CheckAvailabilityResponse(
        revision=7,
        lines=[
            LineAvailability(
                item="dune",
                location="main",
                requested=copies or 1,
                available=4,
                sufficient=sufficient,
            )
        ],
        sufficient=sufficient,
    )


@pytest.mark.parametrize(("copies", "sufficient"), [(3, True), (4, False)])
def test_what_may_be_taken_on_backorder_is_enough(call: Caller, stocked: str, copies: int, *, sufficient: bool) -> None:
    response = check(call, stocked, AvailabilityLine(item="dune", location="annex", copies=copies))

    (line,) = response.lines
    assert (line.available, line.backorder_limit, line.sufficient) == (1, 2, sufficient)


def test_fewer_than_none_are_available_where_more_is_kept_back_than_there_is(call: Caller, stocked: str) -> None:
    response = check(call, stocked, AvailabilityLine(item="dune", location="depot"))

    (line,) = response.lines
    assert (line.available, line.backorder_limit, line.sufficient) == (-2, 2, False)


@pytest.mark.parametrize("any_location", [False, True])
def test_of_what_does_not_exist_none_is_available(call: Caller, stocked: str, *, any_location: bool) -> None:
    response = check(call, stocked, AvailabilityLine(item="emma", any_location=any_location))

    assert response == CheckAvailabilityResponse(
        revision=7, lines=[LineAvailability(item="emma", location="" if any_location else "main", requested=1)]
    )


@pytest.mark.parametrize(("copies", "sufficient"), [(7, True), (8, False)])
def test_anywhere_is_all_locations_where_copies_may_be_taken(
    call: Caller, stocked: str, copies: int, *, sufficient: bool
) -> None:
    response = check(call, stocked, AvailabilityLine(item="dune", copies=copies, any_location=True))

    assert response == CheckAvailabilityResponse(
        revision=7,
        lines=[
            LineAvailability(
                item="dune",
                requested=copies,
                available=5,
                backorder_limit=2,
                sufficient=sufficient,
                locations=[
                    LocationAvailability(location="annex", available=1, backorder_limit=2),
                    LocationAvailability(location="main", available=4),
                ],
            )
        ],
        sufficient=sufficient,
    )


def test_lines_that_name_the_same_level_share_what_there_is(call: Caller, stocked: str) -> None:
    response = check(
        call,
        stocked,
        AvailabilityLine(item="dune", copies=2),
        AvailabilityLine(item="dune", location="annex"),
        AvailabilityLine(item="dune", location="main", copies=3),
    )

    assert [line.requested for line in response.lines] == [2, 1, 3]
    assert [line.available for line in response.lines] == [4, 1, 4]
    assert [line.sufficient for line in response.lines] == [False, True, False]
    assert not response.sufficient


def test_lines_that_name_the_same_item_anywhere_share_what_there_is(call: Caller, stocked: str) -> None:
    lines = [AvailabilityLine(item="dune", copies=4, any_location=True)] * 2

    response = check(call, stocked, *lines)

    assert [line.sufficient for line in response.lines] == [False, False]


def test_a_hundred_lines_are_answered_in_their_order(call: Caller, namespace: str) -> None:
    items = [f"item-{number:02}" for number in range(100)]
    for number, item in enumerate(items):
        call(SetStockRequest(namespace=namespace, item=item, on_hand=number))

    response = check(call, namespace, *(AvailabilityLine(item=item, copies=50) for item in reversed(items)))

    assert [(line.item, line.available) for line in response.lines] == [
        (item, number) for number, item in reversed(list(enumerate(items)))
    ]
    assert [line.sufficient for line in response.lines] == [True] * 50 + [False] * 50


def test_it_holds_nothing(call: Caller, stocked: str) -> None:
    line = AvailabilityLine(item="dune", copies=4)

    assert [check(call, stocked, line).sufficient for _ in range(2)] == [True, True]


@pytest.mark.parametrize("kind", ["on_hand", "backorder_limit", "safety_stock"])
def test_a_total_that_is_no_number_is_refused(call: Caller, failure: FailingCall, namespace: str, kind: str) -> None:
    for location in ("a", "b"):
        key: dict[str, Any] = {"namespace": namespace, "item": "grain", "location": location}
        if kind == "on_hand":
            call(SetStockRequest(**key, on_hand=2**53 - 2))
        elif kind == "backorder_limit":
            call(ConfigureStockRequest(**key, backorder_limit=2**53 - 2))
        else:  # as far below 0 as it can be while copies may still be taken
            call(ConfigureStockRequest(**key, safety_stock=2**53 - 2, backorder_limit=2**53 - 1))
    anywhere = CheckAvailabilityRequest(
        namespace=namespace, lines=[AvailabilityLine(item="grain", copies=1, any_location=True)]
    )

    refused = failure(anywhere)

    assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "VALUE_OVERFLOW")
    assert refused.metadata == {"item": "grain"}
    assert check(call, namespace, AvailabilityLine(item="grain", location="a")).sufficient


def test_items_with_more_than_ten_thousand_locations_together_are_refused(
    call: Caller, failure: FailingCall, raw_store: redis.Redis, namespace: str
) -> None:
    for item in ("dune", "emma"):
        raw_store.mset({f"tk:{{{namespace}}}:stock:l{number}:{item}": 1 for number in range(5_001)})
        raw_store.zadd(f"tk:{{{namespace}}}:index:stock", {f"{item}\0l{number}": 0 for number in range(5_001)})
    lines = [AvailabilityLine(item=item, copies=5_001, any_location=True) for item in ("dune", "emma")]

    refused = failure(CheckAvailabilityRequest(namespace=namespace, lines=lines))

    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refused.violations == {"lines": "the items have more than 10000 locations together; ask for fewer of them"}
    raw_store.zrem(f"tk:{{{namespace}}}:index:stock", "emma\0l0", "emma\0l1")
    assert [line.available for line in check(call, namespace, *lines).lines] == [5_001, 4_999]
