"""Increment: a counter that does not exist counts as 0, and no bound is ever crossed."""

from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import ConfigureCounterRequest, Counter, GetCounterRequest, IncrementRequest
from tests.calling import Caller
from tests.rpc.conftest import Contents, FailingCall


def test_it_creates_the_counter_at_zero_and_adds(call: Caller, namespace: str) -> None:
    reply = call(IncrementRequest(namespace=namespace, counter="visits", delta=5))

    assert reply.counter == Counter(counter="visits", value=5)
    assert call(GetCounterRequest(namespace=namespace, counter="visits")).counter == reply.counter


def test_an_absent_delta_adds_one(call: Caller, namespace: str) -> None:
    request = IncrementRequest(namespace=namespace, counter="visits")

    assert [call(request).counter.value for _ in range(3)] == [1, 2, 3]


def test_a_delta_of_zero_adds_nothing_and_is_a_mutation(call: Caller, namespace: str) -> None:
    reply = call(IncrementRequest(namespace=namespace, counter="visits", delta=0))

    assert (reply.counter.value, reply.revision) == (0, 1)


def test_a_negative_delta_subtracts(call: Caller, namespace: str) -> None:
    call(IncrementRequest(namespace=namespace, counter="visits", delta=5))

    reply = call(IncrementRequest(namespace=namespace, counter="visits", delta=-7))

    assert reply.counter.value == -2


def test_it_reaches_the_bounds_and_tells_of_them(call: Caller, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=-2, max=10))

    up = call(IncrementRequest(namespace=namespace, counter="seats", delta=10))
    down = call(IncrementRequest(namespace=namespace, counter="seats", delta=-12))

    assert up.counter == Counter(counter="seats", value=10, min=-2, max=10)
    assert down.counter == Counter(counter="seats", value=-2, min=-2, max=10)


def test_it_refuses_to_exceed_a_bound(call: Caller, failure: FailingCall, namespace: str, contents: Contents) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=-2, max=10))
    call(IncrementRequest(namespace=namespace, counter="seats", delta=4))
    before = contents()

    above = failure(IncrementRequest(namespace=namespace, counter="seats", delta=7))
    below = failure(IncrementRequest(namespace=namespace, counter="seats", delta=-7))

    assert (above.code, above.reason) == (StatusCode.OUT_OF_RANGE, "COUNTER_BOUND_EXCEEDED")
    assert above.metadata == {"counter": "seats", "value": "4", "delta": "7", "min": "-2", "max": "10"}
    assert (below.code, below.reason) == (StatusCode.OUT_OF_RANGE, "COUNTER_BOUND_EXCEEDED")
    assert below.metadata == {"counter": "seats", "value": "4", "delta": "-7", "min": "-2", "max": "10"}
    assert contents() == before


def test_a_refusal_tells_only_of_the_bound_that_there_is(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", max=0))

    refused = failure(IncrementRequest(namespace=namespace, counter="seats"))

    assert refused.metadata == {"counter": "seats", "value": "0", "delta": "1", "max": "0"}
