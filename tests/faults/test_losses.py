"""The answers that a caller gets when the store is lost, and whether they are true."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
import redis
from google.protobuf.duration_pb2 import Duration

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import SetStockRequest
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tallykeeper_server.domain.durability import Durability, DurabilityPolicy, Retention
from tallykeeper_server.domain.errors import OutcomeUnknownError
from tallykeeper_server.domain.levels import CounterName, StockName
from tallykeeper_server.domain.mutations import Applied, Bundle, Mutation, fingerprint_of
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import find_binary
from tallykeeper_server.store.redis_store import RedisStore
from tests.faults.proxy import LossyProxy
from tests.support.client import Caller, Failure
from tests.support.ledger import entries_of
from tests.support.server import ThreadedServer, store_process, wait_until
from tests.support.suspension import stopped

EVALSHA = b"EVALSHA"


@pytest.fixture
def connection(own_store: str) -> Iterator[redis.Redis]:
    """A connection to the test's own store."""
    with redis.Redis.from_url(own_store) as redis_connection:
        yield redis_connection


@pytest.fixture
def call_through(own_store: str) -> Iterator[Callable[..., Caller]]:
    """Return a function that starts a server on the test's own store, or on a proxy to it, and returns a caller."""
    opened: list[ThreadedServer | Caller] = []

    def start(store: str = own_store, **settings: float) -> Caller:
        server = ThreadedServer(
            Settings(listen="127.0.0.1:0", store=store, **settings)  # type: ignore[arg-type]  # by name
        )
        server.__enter__()
        caller = Caller(server.target)
        opened.extend((server, caller))
        return caller

    yield start
    for each in reversed(opened):
        if isinstance(each, Caller):
            each.close()
        else:
            each.__exit__()


def failure_of_call(call: Caller, request: IncrementRequest | GetCounterRequest, *, timeout: float = 20.0) -> Failure:
    with pytest.raises(Failure) as raised:
        call(request, timeout=timeout)
    return raised.value


def test_without_a_request_id_a_lost_reply_is_an_unknown_outcome(
    own_store: str, connection: redis.Redis, call_through: Callable[..., Caller], namespace: str
) -> None:
    with LossyProxy(own_store.removeprefix("unix://")) as proxy:
        call = call_through(proxy.url)
        call(IncrementRequest(namespace=namespace, counter="v"))
        proxy.cut_reply_to(EVALSHA)

        failure = failure_of_call(call, IncrementRequest(namespace=namespace, counter="v"))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNKNOWN, "OUTCOME_UNKNOWN")
    assert (failure.retry_delay_seconds, failure.pushback_ms) == (None, None)
    assert "it has no request id, so read the current values" in failure.message
    assert proxy.cuts == 1
    assert connection.get(f"tk:{{{namespace}}}:counter:v") == b"2"


def test_with_a_request_id_a_lost_reply_is_requested_again_and_counts_once(
    own_store: str, call_through: Callable[..., Caller], namespace: str
) -> None:
    with LossyProxy(own_store.removeprefix("unix://")) as proxy:
        call = call_through(proxy.url)
        call(IncrementRequest(namespace=namespace, counter="v"))
        proxy.cut_reply_to(EVALSHA)

        response = call(IncrementRequest(namespace=namespace, counter="v", request_id="r"))
        entries = entries_of(call, namespace)

    assert proxy.cuts == 1
    assert (response.counter.value, response.replayed) == (2, True)
    assert [entry.request_id for entry in entries] == ["", "r"]


def test_a_store_that_is_gone_is_unavailable_and_nothing_happened(
    tmp_path: Path, call_through: Callable[..., Caller], namespace: str
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with store_process(find_binary(None), other) as url:
        call = call_through(url)
        call(IncrementRequest(namespace=namespace, counter="v"))

    without_id = failure_of_call(call, IncrementRequest(namespace=namespace, counter="v"))
    with_id = failure_of_call(call, IncrementRequest(namespace=namespace, counter="v", request_id="r"), timeout=1.0)

    assert (without_id.code, without_id.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert without_id.retry_delay_seconds is not None
    assert with_id.code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def test_a_script_that_was_flushed_is_loaded_and_runs_once(
    connection: redis.Redis, call_through: Callable[..., Caller], namespace: str
) -> None:
    call = call_through()
    call(IncrementRequest(namespace=namespace, counter="v"))
    connection.script_flush()

    response = call(IncrementRequest(namespace=namespace, counter="v"))

    assert response.counter.value == 2
    assert [entry.revision for entry in entries_of(call, namespace)] == [1, 2]


def test_a_store_without_memory_refuses_and_changes_nothing(
    connection: redis.Redis, call_through: Callable[..., Caller], namespace: str
) -> None:
    call = call_through()
    call(IncrementRequest(namespace=namespace, counter="v"))
    connection.config_set("maxmemory", 1)

    failure = failure_of_call(call, IncrementRequest(namespace=namespace, counter="v"))

    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORE_OUT_OF_MEMORY")
    assert failure.retry_delay_seconds == 1.0
    assert failure.pushback_ms == 1_000
    assert call(GetCounterRequest(namespace=namespace, counter="v")).counter.value == 1


def test_a_lane_that_is_full_refuses_at_once(
    own_store: str, call_through: Callable[..., Caller], namespace: str
) -> None:
    call = call_through(waiting_mutations_max=2)
    request = IncrementRequest(namespace=namespace, counter="v")
    call(request)

    with stopped(own_store):
        start: grpc.UnaryUnaryMultiCallable[bytes, bytes] = call.channel.unary_unary(
            "/tallykeeper.v1.CounterService/Increment"
        )
        waiting = [start.future(request.SerializeToString(), timeout=20.0)]
        failure_of_call(call, IncrementRequest())  # once this call is refused, the first call is in flight
        waiting += [start.future(request.SerializeToString(), timeout=20.0) for _ in range(3)]
        wait_until(lambda: any(each.done() for each in waiting), what="a third call is refused")
        refused = failure_of_call(call, request)

    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert refused.pushback_ms is not None
    assert sum(each.exception(20.0) is None for each in waiting) == 3
    assert call(GetCounterRequest(namespace=namespace, counter="v")).counter.value == 4


def test_a_call_that_was_never_sent_is_not_made_later(
    own_store: str, call_through: Callable[..., Caller], namespace: str
) -> None:
    call = call_through()
    request = IncrementRequest(namespace=namespace, counter="v")
    call(request)

    with stopped(own_store):
        start: grpc.UnaryUnaryMultiCallable[bytes, bytes] = call.channel.unary_unary(
            "/tallykeeper.v1.CounterService/Increment"
        )
        sent = start.future(request.SerializeToString(), timeout=20.0)
        # This query comes after that call. Once the query has timed out, the call is in flight, and the next one waits.
        failure_of_call(call, GetCounterRequest(namespace=namespace, counter="v"), timeout=0.2)
        late = failure_of_call(call, request, timeout=0.3)

    assert late.code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert sent.exception(20.0) is None
    assert call(request).counter.value == 3


@pytest.mark.parametrize("days", [-30, -1, 1, 30])
def test_a_request_id_is_found_with_any_error_of_the_servers_clock(own_store: str, namespace: str, days: int) -> None:
    retention = Retention(request_ms=86_400_000, ledger_revisions=0, reservation_ms=1, reservation_lifetime_ms=1)
    mutation = Mutation(operation="counter_increment", levels=(CounterName("v"),), arguments=(1,))
    bundle = Bundle(namespace=namespace, mutations=(mutation,), request_id="r", fingerprint=fingerprint_of([mutation]))

    async def apply(skew_days: int) -> Applied:
        def wall_clock() -> float:
            return time.time() + skew_days * 86_400

        policy = DurabilityPolicy(default=Durability.MEMORY)
        store = RedisStore(own_store, timeout_seconds=5.0, retention=retention, policy=policy, wall_clock=wall_clock)
        (outcomes,) = await store.apply([bundle])
        await store.close()
        assert isinstance(outcomes, list)
        assert isinstance(outcomes[0], Applied)
        return outcomes[0]

    first, again = asyncio.run(apply(0)), asyncio.run(apply(days))

    assert (again.revision, again.levels, again.replayed) == (first.revision, first.levels, True)


async def test_a_store_lost_between_two_steps_fails_only_the_mutations_that_needed_the_second_step(
    own_store: str, call_through: Callable[..., Caller], namespace: str
) -> None:
    call = call_through(sweep_seconds=3_600.0)
    call(SetStockRequest(namespace=namespace, item="book", on_hand=1))
    line = StockLine(item="book", copies=1)
    call(ReserveRequest(namespace=namespace, reservation_id="r", lines=[line], ttl=Duration(nanos=1_000_000)))
    await asyncio.sleep(0.01)
    increment = Mutation("counter_increment", (CounterName("v"),), (1,))
    take = Mutation("stock_decrement", (StockName("book", "main"),), (1, 0))
    retention = Retention(request_ms=86_400_000, ledger_revisions=0, reservation_ms=1, reservation_lifetime_ms=1)

    with LossyProxy(own_store.removeprefix("unix://")) as proxy:
        store = RedisStore(proxy.url, timeout_seconds=5.0, retention=retention)
        proxy.cut_reply_to(b"ZRANGE")  # the search for expired reservations before copies are taken
        applied, lost = await store.apply([Bundle(namespace, (increment,)), Bundle(namespace, (take,))])
        await store.close()

    assert isinstance(applied, list)
    assert isinstance(applied[0], Applied)
    assert isinstance(lost, OutcomeUnknownError)
    assert [entry.revision for entry in entries_of(call, namespace)] == [1, 2, 3]
