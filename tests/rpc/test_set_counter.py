"""SetCounter: a new value and, if the request names it, the value that it must replace."""

from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import ConfigureCounterRequest, Counter, GetCounterRequest, SetCounterRequest
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller


def test_it_creates_the_counter(call: Caller, namespace: str) -> None:
    reply = call(SetCounterRequest(namespace=namespace, counter="visits", value=-7))

    assert reply.counter == Counter(counter="visits", value=-7)
    assert call(GetCounterRequest(namespace=namespace, counter="visits")).counter == reply.counter


def test_it_replaces_the_value_and_keeps_the_bounds(call: Caller, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=0, max=10))

    reply = call(SetCounterRequest(namespace=namespace, counter="seats", value=10))

    assert reply.counter == Counter(counter="seats", value=10, min=0, max=10)


def test_a_forgotten_value_is_refused_and_changes_nothing(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    call(SetCounterRequest(namespace=namespace, counter="visits", value=4))
    before = contents()

    forgotten = failure(SetCounterRequest(namespace=namespace, counter="visits", request_id="once"))

    assert (forgotten.code, forgotten.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert forgotten.violations == {"value": "is absent; give it a value, which may be 0"}
    assert contents() == before


def test_zero_is_a_value_like_any_other(call: Caller, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="visits", value=4))

    assert call(SetCounterRequest(namespace=namespace, counter="visits", value=0)).counter.value == 0


def test_it_sets_when_the_value_is_as_expected(call: Caller, namespace: str) -> None:
    created = call(SetCounterRequest(namespace=namespace, counter="visits", value=4, expected_value=0))
    changed = call(SetCounterRequest(namespace=namespace, counter="visits", value=5, expected_value=4))

    assert (created.counter.value, changed.counter.value) == (4, 5)


def test_it_refuses_when_the_value_is_another(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    call(SetCounterRequest(namespace=namespace, counter="visits", value=4))
    before = contents()

    refused = failure(SetCounterRequest(namespace=namespace, counter="visits", value=5, expected_value=0))

    assert (refused.code, refused.reason) == (StatusCode.ABORTED, "VALUE_CHANGED")
    assert refused.metadata == {"counter": "visits", "actual": "4", "expected": "0"}
    assert contents() == before


def test_it_refuses_a_value_outside_the_bounds(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=-2, max=10))

    refused = failure(SetCounterRequest(namespace=namespace, counter="seats", value=11))

    assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "COUNTER_BOUND_EXCEEDED")
    assert refused.metadata == {"counter": "seats", "value": "11", "min": "-2", "max": "10"}
    assert call(GetCounterRequest(namespace=namespace, counter="seats")).counter.value == 0
