"""The levels of durability: which losses an acknowledged change survives, and which errors callers get otherwise."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import grpc
import pytest
import redis

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import BatchGetCountersRequest, GetCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import (
    AvailabilityLine,
    BatchGetStockRequest,
    CheckAvailabilityRequest,
    DecrementCopiesRequest,
    GetItemRequest,
    GetStockRequest,
    IncrementCopiesRequest,
    StockKey,
)
from tallykeeper.v1.ledger_pb2 import WatchRequest
from tallykeeper.v1.namespace_pb2 import (
    DURABILITY_FSYNC,
    DURABILITY_MEMORY,
    DURABILITY_REPLICATED,
    GetNamespaceRequest,
)
from tallykeeper.v1.reservation_pb2 import GetReservationRequest, ReserveRequest, StockLine
from tallykeeper_server.domain.durability import Retention
from tallykeeper_server.domain.levels import CounterName
from tallykeeper_server.domain.mutations import Bundle, Mutation
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import find_binary
from tallykeeper_server.store.redis_store import RedisStore
from tests.support.client import Caller, Failure
from tests.support.ledger import entries_of
from tests.support.replicas import Replicated, replicated_store
from tests.support.server import ServerProcess, ThreadedServer, store_process, wait_until
from tests.support.suspension import stopped

Start: TypeAlias = Callable[..., Caller]
"""Starts a server on a store and returns a caller of it."""

REPLICATED: Final = {"durability": "replicated", "durability_wait_seconds": 0.1}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with replicated_store(tmp_path_factory.mktemp("replicated")) as stores:
        yield stores


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Start:
    """Return a function that starts a server on a store and returns a caller of it."""

    def started(store: str, **settings: Any) -> Caller:  # noqa: ANN401  # settings by name
        server = ThreadedServer(Settings(listen="127.0.0.1:0", store=store, **settings))
        server.__enter__()
        request.addfinalizer(server.__exit__)
        caller = Caller(server.target)
        request.addfinalizer(caller.close)
        return caller

    return started


def increment(namespace: str, request_id: str = "") -> IncrementRequest:
    return IncrementRequest(namespace=namespace, counter="visits", request_id=request_id)


def failure(call: Caller, request: Any) -> Failure:  # noqa: ANN401  # any request
    with pytest.raises(Failure) as caught:
        call(request)
    return caught.value


def count_at(url: str, namespace: str) -> int:
    with redis.Redis.from_url(url) as connection:
        return int(connection.get(f"tk:{{{namespace}}}:counter:visits") or 0)


def test_an_acknowledged_change_is_at_the_replica(start: Start, stores: Replicated, namespace: str) -> None:
    call = start(stores.primary, **REPLICATED)

    for count in range(1, 51):
        call(increment(namespace))
        assert count_at(stores.replica, namespace) == count


def test_without_its_replica_a_change_is_applied_but_not_durable_yet(
    start: Start, stores: Replicated, namespace: str
) -> None:
    call = start(stores.primary, **REPLICATED)

    with stopped(stores.replica):
        error = failure(call, increment(namespace, "r"))

    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_DURABLE_YET")
    assert error.metadata == {"durability": "replicated"}
    assert "0 of 1 replicas have it after 100 ms" in error.message
    assert error.retry_delay_seconds == 0.1
    assert call(GetCounterRequest(namespace=namespace, counter="visits")).counter.value == 1


def test_without_a_request_id_a_change_that_is_not_durable_yet_must_not_be_repeated(
    start: Start, stores: Replicated, namespace: str
) -> None:
    call = start(stores.primary, **REPLICATED)

    with stopped(stores.replica):
        failed = failure(call, increment(namespace))

    assert (failed.code, failed.reason) == (grpc.StatusCode.UNKNOWN, "NOT_DURABLE_YET")
    assert (failed.retry_delay_seconds, failed.pushback_ms) == (None, None)
    assert "it has no request id, so do not send it again" in failed.message


def test_a_repeat_waits_again_on_a_connection_that_has_written_nothing(
    start: Start, stores: Replicated, namespace: str
) -> None:
    first, second = start(stores.primary, **REPLICATED), start(stores.primary, **REPLICATED)

    with stopped(stores.replica):
        assert failure(first, increment(namespace, "r")).reason == "NOT_DURABLE_YET"
        assert failure(second, increment(namespace, "r")).reason == "NOT_DURABLE_YET"
    again = second(increment(namespace, "r"))

    assert (again.replayed, again.revision, again.counter.value) == (True, 1, 1)
    assert count_at(stores.replica, namespace) == 1


def test_a_recorded_refusal_must_be_durable_as_well(start: Start, stores: Replicated, namespace: str) -> None:
    call = start(stores.primary, **REPLICATED)
    call(IncrementCopiesRequest(namespace=namespace, item="dune"))
    decrement = DecrementCopiesRequest(namespace=namespace, item="dune", copies=2)
    remembered = DecrementCopiesRequest(namespace=namespace, item="dune", copies=2, request_id="r")

    with stopped(stores.replica):
        reasons = [failure(call, request).reason for request in (remembered, remembered, decrement)]

    assert reasons == ["NOT_DURABLE_YET", "NOT_DURABLE_YET", "INSUFFICIENT_STOCK"]
    assert failure(call, remembered).reason == "INSUFFICIENT_STOCK"


def test_a_large_batch_that_was_applied_in_part_says_so(start: Start, stores: Replicated, namespace: str) -> None:
    call = start(stores.primary, **REPLICATED)
    operations = [Operation(increment=IncrementRequest(counter="visits"))] * 600
    batch = ApplyRequest(namespace=namespace, operations=operations, request_id="r", mode=BATCH_MODE_INDEPENDENT)

    with stopped(stores.replica):
        assert failure(call, batch).reason == "NOT_DURABLE_YET"
    call(batch)

    assert count_at(stores.replica, namespace) == 600


def test_each_namespace_waits_only_for_its_own_level(start: Start, stores: Replicated, namespace: str) -> None:
    cache, shop = f"{namespace}.cache", f"{namespace}.shop"
    call = start(stores.primary, namespace_durability=f"{cache}=memory,{shop}=replicated", durability_wait_seconds=0.1)

    with stopped(stores.replica):
        call(increment(cache))
        call(increment(namespace))
        assert failure(call, increment(shop)).reason == "NOT_DURABLE_YET"

    levels = [call(GetNamespaceRequest(namespace=name)).namespace.durability for name in (cache, namespace, shop)]
    assert levels == [DURABILITY_MEMORY, DURABILITY_FSYNC, DURABILITY_REPLICATED]


async def test_a_store_that_supports_waiting_is_asked_to_sync(own_store: str, namespace: str) -> None:
    retention = Retention(request_ms=86_400_000, ledger_revisions=0, reservation_ms=1, reservation_lifetime_ms=1)
    mutation = Mutation(operation="counter_increment", levels=(CounterName("visits"),), arguments=(1,))
    store = RedisStore(own_store, timeout_seconds=5.0, retention=retention)
    store.scripts.syncs_by_waiting = True

    await store.apply([Bundle(namespace=namespace, mutations=(mutation,))])
    await store.close()

    with redis.Redis.from_url(own_store) as connection:
        assert connection.info("commandstats")["cmdstat_waitaof"]["failed_calls"] == 0


def test_the_end_and_the_return_of_a_promise_are_logged(tmp_path: Path, namespace: str) -> None:
    with (
        store_process(find_binary(None), tmp_path) as url,
        redis.Redis.from_url(url) as connection,
        ServerProcess("--store", url, "--promise-check-seconds", "0.05", "--store-check-seconds", "0.05") as server,
    ):
        call = Caller(server.target)
        call(increment(namespace))
        connection.config_set("maxmemory-policy", "allkeys-lru")
        wait_until(lambda: bool(server.events("a promise does not hold any more")), what="the end is logged")
        connection.config_set("maxmemory-policy", "noeviction")
        wait_until(lambda: bool(server.events("every promise holds again")), what="the return is logged")
        call.close()

    (event,) = server.events("a promise does not hold any more")
    assert "maxmemory-policy is allkeys-lru" in event["reason"]


def test_watchers_are_informed_of_a_revision_that_goes_backwards(start: Start, own_store: str, namespace: str) -> None:
    call = start(own_store)
    for _ in range(5):
        call(increment(namespace))

    with call.stream(WatchRequest(namespace=namespace)) as responses, redis.Redis.from_url(own_store) as connection:
        next(responses)
        call(increment(namespace))
        connection.flushall()
        call(increment(namespace))
        with pytest.raises(Failure) as caught:
            for _ in responses:
                pass

    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.DATA_LOSS, "REVISIONS_LOST")
    assert [entry.revision for entry in entries_of(call, namespace)] == [1]


def reads(namespace: str, revision: int) -> list[Any]:
    """Return one of each read that can ask for a revision."""
    return [
        GetCounterRequest(namespace=namespace, counter="visits", min_revision=revision),
        BatchGetCountersRequest(namespace=namespace, counters=["visits"], min_revision=revision),
        GetStockRequest(namespace=namespace, item="dune", min_revision=revision),
        BatchGetStockRequest(namespace=namespace, keys=[StockKey(item="dune")], min_revision=revision),
        GetItemRequest(namespace=namespace, item="dune", min_revision=revision),
        CheckAvailabilityRequest(namespace=namespace, lines=[AvailabilityLine(item="dune")], min_revision=revision),
        GetReservationRequest(namespace=namespace, reservation_id="b", min_revision=revision),
    ]


def test_a_read_that_asks_for_a_lost_revision_is_refused(call: Caller, namespace: str) -> None:
    call(increment(namespace))
    call(IncrementCopiesRequest(namespace=namespace, item="dune"))
    line = StockLine(item="dune")
    revision = call(ReserveRequest(namespace=namespace, reservation_id="b", lines=[line])).revision

    for request, plain in zip(reads(namespace, revision), reads(namespace, 0), strict=True):
        assert call(request) == call(plain)
    for request in reads(namespace, revision + 1):
        error = failure(call, request)
        assert (error.code, error.reason) == (grpc.StatusCode.OUT_OF_RANGE, "REVISION_AHEAD")
        assert error.metadata == {"min_revision": str(revision + 1), "revision": str(revision)}
    for request in reads(namespace, -1):
        assert failure(call, request).violations == {"min_revision": "-1 is out of range; 0 .. 2^53-1 is allowed"}
