"""DeleteCounter: the counter and its bounds are deleted, and it is returned as it was."""

from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import (
    ConfigureCounterRequest,
    Counter,
    DeleteCounterRequest,
    GetCounterRequest,
    IncrementRequest,
    ListCountersRequest,
    SetCounterRequest,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller


def test_it_returns_the_counter_as_it_was(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="seats", value=7))
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=5, max=9))

    reply = call(DeleteCounterRequest(namespace=namespace, counter="seats"))

    assert reply.counter == Counter(counter="seats", value=7, min=5, max=9)
    assert failure(GetCounterRequest(namespace=namespace, counter="seats")).reason == "COUNTER_NOT_FOUND"
    assert not call(ListCountersRequest(namespace=namespace)).counters


def test_a_counter_created_again_has_no_bounds(call: Caller, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="seats", min=0, max=0))
    call(DeleteCounterRequest(namespace=namespace, counter="seats"))

    reply = call(IncrementRequest(namespace=namespace, counter="seats", delta=4))

    assert reply.counter == Counter(counter="seats", value=4)
    assert reply.revision == 3


def test_it_refuses_a_counter_that_does_not_exist(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    call(IncrementRequest(namespace=namespace, counter="visits"))
    call(DeleteCounterRequest(namespace=namespace, counter="visits"))
    before = contents()

    refused = failure(DeleteCounterRequest(namespace=namespace, counter="visits"))

    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "COUNTER_NOT_FOUND")
    assert refused.metadata == {"counter": "visits"}
    assert contents() == before
