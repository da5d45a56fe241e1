"""The range of numbers: exact within ±(2^53-1), and refused outside."""

import pytest
from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest, SetCounterRequest
from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    GetStockRequest,
    IncrementCopiesRequest,
    SetStockRequest,
    ShortagePolicy,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller

MAX = 2**53 - 1


@pytest.mark.parametrize("sign", [1, -1])
def test_an_increment_to_the_last_exact_integer_is_exact(call: Caller, namespace: str, sign: int) -> None:
    call(IncrementRequest(namespace=namespace, counter="big", delta=sign * (MAX - 1)))

    reply = call(IncrementRequest(namespace=namespace, counter="big", delta=sign))

    assert reply.counter.value == sign * MAX
    assert call(GetCounterRequest(namespace=namespace, counter="big")).counter.value == sign * MAX


@pytest.mark.parametrize("sign", [1, -1])
def test_an_increment_beyond_it_is_refused_and_changes_nothing(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents, sign: int
) -> None:
    call(SetCounterRequest(namespace=namespace, counter="big", value=sign * (MAX - 1)))
    before = contents()

    for delta in (sign * 2, sign * 3, sign * MAX):
        refused = failure(IncrementRequest(namespace=namespace, counter="big", delta=delta))

        assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "VALUE_OVERFLOW")
        assert refused.metadata == {"counter": "big", "value": str(sign * (MAX - 1)), "delta": str(delta)}
    assert call(GetCounterRequest(namespace=namespace, counter="big")).counter.value == sign * (MAX - 1)
    assert contents() == before


def test_the_first_increment_and_a_later_one_give_the_same_type(call: Caller, namespace: str) -> None:
    request = IncrementRequest(namespace=namespace, counter="visits", delta=2**40)

    first, later = (call(request).counter.value for _ in range(2))

    assert type(first) is type(later) is int
    assert (first, later) == (2**40, 2**41)


@pytest.mark.parametrize("value", [10**14, 10**15 + 1, 2**52 + 1, MAX, -(10**14), -MAX])
def test_a_large_value_comes_back_digit_by_digit(call: Caller, namespace: str, value: int) -> None:
    reply = call(SetCounterRequest(namespace=namespace, counter="big", value=value))

    assert reply.counter.value == value
    assert call(GetCounterRequest(namespace=namespace, counter="big")).counter.value == value


def test_copies_reach_the_last_exact_integer_and_no_further(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="grain", on_hand=MAX - 1))

    reply = call(IncrementCopiesRequest(namespace=namespace, item="grain"))
    refused = failure(IncrementCopiesRequest(namespace=namespace, item="grain"))

    assert (reply.stock_level.on_hand, reply.stock_level.available) == (MAX, MAX)
    assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "VALUE_OVERFLOW")
    assert refused.metadata == {"item": "grain", "location": "main", "on_hand": str(MAX), "copies": "1"}
    assert call(GetStockRequest(namespace=namespace, item="grain")).stock_level.on_hand == MAX


def test_copies_on_backorder_reach_the_least_integer(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="grain", backorder_limit=MAX))

    reply = call(DecrementCopiesRequest(namespace=namespace, item="grain", copies=MAX))
    refused = failure(DecrementCopiesRequest(namespace=namespace, item="grain"))

    assert (reply.copies_taken, reply.stock_level.on_hand) == (MAX, -MAX)
    assert refused.reason == "INSUFFICIENT_STOCK"
    assert refused.metadata["available"] == str(-MAX)


def test_copies_may_be_taken_although_more_are_available_than_a_number_can_hold(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="grain", on_hand=MAX))
    call(ConfigureStockRequest(namespace=namespace, item="grain", backorder_limit=MAX - 1))
    take = DecrementCopiesRequest(
        namespace=namespace,
        item="grain",
        copies=MAX,
        shortage_policy=ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE,
    )

    replies = [call(take) for _ in range(3)]

    assert [reply.copies_taken for reply in replies] == [MAX, MAX - 1, 0]
    assert [reply.stock_level.on_hand for reply in replies] == [0, -(MAX - 1), -(MAX - 1)]
