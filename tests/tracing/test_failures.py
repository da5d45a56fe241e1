"""Spans of calls whose store is away or slow, and whose callers leave."""

import time
from collections.abc import Iterator

import pytest
import redis

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tests.support.client import Caller, Failure
from tests.support.server import ServerProcess, wait_until
from tests.tracing.backend import CLIENT, ERROR, SERVER, Backend
from tests.tracing.conftest import PARENT, environment_for

PAUSE_MS = 1_500
LOST = {"OUTCOME_UNKNOWN", "STORE_UNAVAILABLE"}
"""The reasons of a lost store. The first one is that of a call whose connection ends before its reply."""


@pytest.fixture
def on_own_store(own_backend: Backend, own_store: str, trace_id: str) -> Iterator[Caller]:
    """A caller of a server whose store the test may stop."""
    environment = environment_for(own_backend)
    with ServerProcess("--traces", "--store", own_store, environment=environment) as server:
        caller = Caller(server.target, metadata=[("traceparent", f"00-{trace_id}-{PARENT}-01")])
        caller(IncrementRequest(counter="warm"))
        own_backend.wait_for(lambda each: each.kind == SERVER)
        yield caller
        caller.close()


@pytest.mark.parametrize("request_type", [IncrementRequest, GetCounterRequest])
def test_the_span_of_a_call_ends_when_its_caller_gives_up(
    request_type: type[IncrementRequest | GetCounterRequest],
    on_own_store: Caller,
    own_backend: Backend,
    own_store: str,
    namespace: str,
) -> None:
    with redis.Redis.from_url(own_store) as store:
        store.execute_command("CLIENT", "PAUSE", PAUSE_MS, "ALL")
        with pytest.raises(Failure):
            on_own_store(request_type(namespace=namespace, counter="v"), timeout=0.2)

    (span,) = own_backend.wait_for(lambda each: each.attributes.get("tallykeeper.namespace") == namespace)
    # The caller resets its call at its deadline, mostly before the server's clock has reached it.
    code = span.attributes["rpc.status_code"]
    assert code in {"CANCELLED", "DEADLINE_EXCEEDED"}
    assert (span.status == ERROR) == (code == "DEADLINE_EXCEEDED")
    assert span.end_ns - span.start_ns < PAUSE_MS * 1e6


@pytest.mark.parametrize("request_type", [IncrementRequest, GetCounterRequest])
def test_a_store_that_is_lost_is_an_error_of_the_call_and_of_its_call_to_the_store(
    request_type: type[IncrementRequest | GetCounterRequest],
    on_own_store: Caller,
    own_backend: Backend,
    own_store: str,
    namespace: str,
) -> None:
    with redis.Redis.from_url(own_store) as store:
        store.shutdown(nosave=True)
    wait_until(lambda: not _answers(own_store), what="the store has ended")

    with pytest.raises(Failure):
        on_own_store(request_type(namespace=namespace, counter="v"), timeout=2)

    (call,) = own_backend.wait_for(lambda each: each.attributes.get("tallykeeper.namespace") == namespace)
    if request_type is IncrementRequest:  # a read is repeated until its caller gives up
        assert call.attributes["tallykeeper.reason"] == call.attributes["error.type"]
        assert call.attributes["error.type"] in LOST
        assert call.status == ERROR
        assert call.message
    first, *_ = own_backend.wait_for(lambda each: each.parent_id == call.span_id and each.kind == CLIENT)
    assert first.status == ERROR
    assert first.attributes["error.type"] in LOST


def test_a_change_that_is_sent_again_has_a_span_for_each_attempt(
    on_own_store: Caller, own_backend: Backend, own_store: str, namespace: str
) -> None:
    with redis.Redis.from_url(own_store) as store:
        store.shutdown(nosave=True)
    wait_until(lambda: not _answers(own_store), what="the store has ended")

    with pytest.raises(Failure):
        on_own_store(IncrementRequest(namespace=namespace, counter="v", request_id="r"), timeout=2)

    (call,) = own_backend.wait_for(lambda each: each.attributes.get("tallykeeper.namespace") == namespace)
    attempts = own_backend.wait_for(lambda each: each.parent_id == call.span_id, count=2)
    assert {each.status for each in attempts} == {ERROR}
    assert time.time_ns() > call.end_ns


def _answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as store:
            return bool(store.ping())
    except redis.RedisError:
        return False
