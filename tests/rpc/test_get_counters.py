"""Reads of counters by name: GetCounter and BatchGetCounters."""

from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import BatchGetCountersRequest, Counter, GetCounterRequest, SetCounterRequest
from tests.rpc.conftest import FailingCall
from tests.support.client import Caller


def test_a_counter_that_does_not_exist_is_not_found(failure: FailingCall, namespace: str) -> None:
    refused = failure(GetCounterRequest(namespace=namespace, counter="visits"))

    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "COUNTER_NOT_FOUND")
    assert refused.metadata == {"counter": "visits"}


def test_a_namespace_does_not_see_anothers_counters(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="visits", value=1))

    refused = failure(GetCounterRequest(namespace=f"{namespace}.b", counter="visits"))

    assert refused.reason == "COUNTER_NOT_FOUND"


def test_an_empty_namespace_is_the_default_one(call: Caller, namespace: str) -> None:
    counter = f"of-{namespace}"
    call(SetCounterRequest(counter=counter, value=1))

    assert call(GetCounterRequest(namespace="default", counter=counter)).counter.value == 1


def test_a_batch_comes_in_the_order_in_which_it_was_asked_for(call: Caller, namespace: str) -> None:
    for value, counter in enumerate("abc"):
        call(SetCounterRequest(namespace=namespace, counter=counter, value=value))

    reply = call(BatchGetCountersRequest(namespace=namespace, counters=["c", "y", "a", "x", "b"]))

    assert list(reply.counters) == [
        Counter(counter="c", value=2),
        Counter(counter="a", value=0),
        Counter(counter="b", value=1),
    ]
    assert list(reply.missing) == ["y", "x"]


def test_a_name_that_a_batch_names_twice_comes_twice(call: Caller, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="a", value=1))

    reply = call(BatchGetCountersRequest(namespace=namespace, counters=["a", "x", "a", "x"]))

    assert [counter.counter for counter in reply.counters] == ["a", "a"]
    assert list(reply.missing) == ["x", "x"]


def test_a_batch_may_name_a_thousand(call: Caller, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="n999", value=1))

    reply = call(BatchGetCountersRequest(namespace=namespace, counters=[f"n{number}" for number in range(1_000)]))

    assert (len(reply.counters), len(reply.missing)) == (1, 999)
