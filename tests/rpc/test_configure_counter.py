"""ConfigureCounter: bounds, and the fields of the request that count."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import (
    ConfigureCounterRequest,
    Counter,
    GetCounterRequest,
    IncrementRequest,
    SetCounterRequest,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller


def test_it_creates_the_counter_with_the_value_zero(call: Caller, namespace: str) -> None:
    reply = call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=-1, max=9))

    assert reply.counter == Counter(counter="seats", value=0, min=-1, max=9)
    assert call(GetCounterRequest(namespace=namespace, counter="seats")).counter == reply.counter


def test_it_keeps_the_value(call: Caller, namespace: str) -> None:
    call(IncrementRequest(namespace=namespace, counter="seats", delta=5))

    reply = call(ConfigureCounterRequest(namespace=namespace, counter="seats", max=5))

    assert reply.counter == Counter(counter="seats", value=5, max=5)


def test_without_a_mask_it_changes_what_is_present(call: Caller, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=-1, max=9))

    reply = call(ConfigureCounterRequest(namespace=namespace, counter="seats", max=8))

    assert reply.counter == Counter(counter="seats", min=-1, max=8)


def test_with_a_mask_it_changes_only_what_is_named(call: Caller, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=-1, max=9))
    mask = FieldMask(paths=["max"])

    reply = call(
        ConfigureCounterRequest(namespace=namespace, counter="seats", min=-2, max=8, update_mask=mask),
    )

    assert reply.counter == Counter(counter="seats", min=-1, max=8)


@pytest.mark.parametrize(
    ("paths", "left"),
    [
        (["min"], Counter(counter="seats", max=9)),
        (["max"], Counter(counter="seats", min=-1)),
        (["max", "min"], Counter(counter="seats")),
        (["*"], Counter(counter="seats")),
    ],
)
def test_what_is_named_and_absent_is_cleared(call: Caller, namespace: str, paths: list[str], left: Counter) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=-1, max=9))

    reply = call(
        ConfigureCounterRequest(namespace=namespace, counter="seats", update_mask=FieldMask(paths=paths)),
    )

    assert reply.counter == left
    assert call(GetCounterRequest(namespace=namespace, counter="seats")).counter == left


def test_the_star_sets_what_is_present_and_clears_the_rest(call: Caller, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=-1, max=9))
    mask = FieldMask(paths=["*"])

    reply = call(ConfigureCounterRequest(namespace=namespace, counter="seats", max=3, update_mask=mask))

    assert reply.counter == Counter(counter="seats", max=3)


def test_a_cleared_bound_no_longer_binds(call: Caller, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", max=0))
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", update_mask=FieldMask(paths=["max"])))

    assert call(IncrementRequest(namespace=namespace, counter="seats")).counter.value == 1


def test_equal_bounds_hold_a_counter_still(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=0, max=0))

    refused = failure(IncrementRequest(namespace=namespace, counter="seats"))

    assert refused.reason == "COUNTER_BOUND_EXCEEDED"


@pytest.mark.parametrize(
    ("request_fields", "facts"),
    [
        ({"min": 6}, {"min": "6"}),
        ({"max": 4}, {"max": "4"}),
        ({"min": 6, "max": 7}, {"min": "6", "max": "7"}),
    ],
)
def test_it_refuses_bounds_that_the_value_is_outside_of(
    call: Caller, failure: FailingCall, namespace: str, request_fields: dict[str, int], facts: dict[str, str]
) -> None:
    call(SetCounterRequest(namespace=namespace, counter="seats", value=5))
    request = ConfigureCounterRequest(namespace=namespace, counter="seats")
    for field, value in request_fields.items():
        setattr(request, field, value)

    refused = failure(request)

    assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "COUNTER_BOUND_EXCEEDED")
    assert refused.metadata == {"counter": "seats", "value": "5", **facts}


def test_it_refuses_a_counter_whose_bounds_exclude_zero_from_the_start(
    failure: FailingCall, namespace: str, contents: Contents
) -> None:
    refused = failure(ConfigureCounterRequest(namespace=namespace, counter="seats", min=1))

    assert refused.metadata == {"counter": "seats", "value": "0", "min": "1"}
    assert contents() == {}


def test_it_refuses_a_bound_that_crosses_the_other_one(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=-4, max=4))

    refused = failure(ConfigureCounterRequest(namespace=namespace, counter="seats", min=5))

    assert refused.metadata == {"counter": "seats", "value": "0", "min": "5", "max": "4"}
