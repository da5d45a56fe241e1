"""Increment: a counter that does not exist counts as 0, and no bound is ever crossed."""

from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import (
    BatchGetCountersRequest,
    ConfigureCounterRequest,
    Counter,
    GetCounterRequest,
    IncrementRequest,
    NewCounter,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller
from tests.support.server import wait_until


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


def test_a_new_counter_gets_its_bounds_and_its_end(call: Caller, namespace: str) -> None:
    create = NewCounter(ttl=Duration(seconds=60), min=-1, max=5)

    reply = call(IncrementRequest(namespace=namespace, counter="window", delta=2, create=create))

    assert (reply.counter.value, reply.counter.min, reply.counter.max) == (2, -1, 5)
    assert reply.counter.expire_time.ToMilliseconds() == reply.commit_time.ToMilliseconds() + 60_000
    assert call(GetCounterRequest(namespace=namespace, counter="window")).counter == reply.counter


def test_a_counter_that_exists_is_left_as_it_is(call: Caller, namespace: str) -> None:
    first = call(
        IncrementRequest(namespace=namespace, counter="window", create=NewCounter(ttl=Duration(seconds=60), max=5))
    )

    second = call(
        IncrementRequest(namespace=namespace, counter="window", create=NewCounter(ttl=Duration(seconds=900), max=9))
    )

    assert (second.counter.value, second.counter.max) == (2, 5)
    assert second.counter.expire_time == first.counter.expire_time


def test_a_new_counter_that_would_exceed_its_bounds_is_not_created(
    failure: FailingCall, namespace: str, contents: Contents
) -> None:
    refused = failure(IncrementRequest(namespace=namespace, counter="window", delta=6, create=NewCounter(max=5)))

    assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "COUNTER_BOUND_EXCEEDED")
    assert refused.metadata == {"counter": "window", "value": "0", "delta": "6", "max": "5"}
    assert contents() == {}


def test_a_counter_whose_time_is_up_is_created_again(call: Caller, namespace: str) -> None:
    first = IncrementRequest(namespace=namespace, counter="window", create=NewCounter(ttl=Duration(nanos=50_000_000)))
    call(first)
    gone = BatchGetCountersRequest(namespace=namespace, counters=["window"])
    wait_until(lambda: bool(call(gone).missing), what="the counter is gone")

    again = call(IncrementRequest(namespace=namespace, counter="window", create=NewCounter(max=3)))

    assert again.counter == Counter(counter="window", value=1, max=3)


def test_an_empty_creation_is_none(call: Caller, namespace: str) -> None:
    call(IncrementRequest(namespace=namespace, counter="window", request_id="same"))

    again = call(IncrementRequest(namespace=namespace, counter="window", request_id="same", create=NewCounter()))

    assert (again.counter, again.replayed) == (Counter(counter="window", value=1), True)


def test_wrong_bounds_of_a_new_counter_are_named(failure: FailingCall, namespace: str, contents: Contents) -> None:
    refused = failure(
        IncrementRequest(namespace=namespace, counter="window", create=NewCounter(ttl=Duration(), min=3, max=2))
    )

    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert refused.violations.keys() == {"create.ttl", "create.max"}
    assert contents() == {}
