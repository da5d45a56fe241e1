"""GetServerStatus: the server, its store, its promises, and the limits that are near."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest
import redis

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.ledger_pb2 import WatchRequest
from tallykeeper.v1.namespace_pb2 import (
    DURABILITY_FSYNC,
    DURABILITY_MEMORY,
    DURABILITY_REPLICATED,
    GetNamespaceRequest,
)
from tallykeeper.v1.server_pb2 import (
    STORE_KIND_EMBEDDED,
    STORE_KIND_NODE,
    GetServerStatusRequest,
    GetServerStatusResponse,
    LimitUse,
)
from tallykeeper_client import Client, tls_credentials
from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.domain.server_status import LimitUse as Use
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import find_binary
from tests.support.client import OWN_CONNECTION, Caller, Failure
from tests.support.replicas import replicated_store
from tests.support.server import ServerProcess, ThreadedServer, store_process, wait_until
from tests.support.store_users import PASSWORD, user_line

ASK = GetServerStatusRequest()


@contextmanager
def served(store: str, **settings: object) -> Iterator[Caller]:
    """Run a server on a store, and yield a caller of it."""
    given = Settings(listen="127.0.0.1:0", store=store, **settings)  # type: ignore[arg-type]  # by name
    with ThreadedServer(given) as server:
        call = Caller(server.target)
        yield call
        call.close()


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[str]:
    """The URL of a store for one test."""
    with store_process(find_binary(None), tmp_path) as url:
        yield url


def limit(status: GetServerStatusResponse, name: str) -> LimitUse:
    (found,) = [use for use in status.limits if use.name == name]
    return found


def test_the_status_of_a_server_on_a_store(call: Caller, store_kind: str, store_url: str) -> None:
    status = call(ASK)

    assert status.server.version == version("tallykeeper")
    assert (status.server.worker_count, status.server.worker) == (1, 1)
    assert not status.server.HasField("certificate_expire_time")
    assert status.store.kind == (STORE_KIND_EMBEDDED if store_kind == "valkey" else STORE_KIND_NODE)
    assert status.store.fault == ""
    if store_kind == "valkey":
        assert Path(status.store.location).is_dir()
    else:
        assert status.store.location == store_url
    (node,) = status.store.nodes
    assert node.software.startswith("Valkey 9" if store_kind == "valkey" else "Redis ")
    assert 0 < node.memory_bytes < 1 << 30
    assert (node.append_only_file.enabled, node.append_only_file.sync_policy) == (True, "always")
    assert node.append_only_file.last_write_succeeded
    assert node.append_only_file.last_rewrite_succeeded
    assert list(node.replicas) == []
    (promise,) = status.promises
    assert (promise.durability, promise.is_default, promise.kept) == (DURABILITY_FSYNC, True, True)
    assert all(use.limit > 0 and use.used >= 0 for use in status.limits)
    assert {"connections", "HTTP connections", "waiting mutations", "waiting queries", "watches"} <= {
        use.name for use in status.limits
    }
    assert ("disk of the data directory" in {use.name for use in status.limits}) == (store_kind == "valkey")


def test_a_watch_and_its_connection_count(call: Caller, namespace: str) -> None:
    before = call(ASK)
    with call.stream(WatchRequest(namespace=namespace)) as responses:
        next(responses)
        during = call(ASK)

    assert limit(during, "connections").used >= 1
    assert limit(during, "watches").used == limit(before, "watches").used + 1
    assert limit(during, "watched namespaces").used == limit(before, "watched namespaces").used + 1


def test_each_promise_names_its_namespaces_and_why_it_is_not_kept(own_store: str) -> None:
    with redis.Redis.from_url(own_store) as store:
        store.config_set("appendfsync", "everysec")
    levels = "cache=memory,orders=replicated,stock=replicated"
    with served(own_store, namespace_durability=levels) as call:
        promises = {promise.durability: promise for promise in call(ASK).promises}

    assert list(promises) == [DURABILITY_FSYNC, DURABILITY_REPLICATED, DURABILITY_MEMORY]
    fsync, replicated, memory = promises.values()
    assert (fsync.is_default, list(fsync.namespaces), fsync.kept) == (True, [], False)
    assert fsync.reasons[0].startswith("a power cut can lose the last acknowledged changes: appendfsync is everysec")
    assert (replicated.is_default, list(replicated.namespaces)) == (False, ["orders", "stock"])
    assert "the store has 0 replicas" in replicated.reasons[0]
    assert (list(memory.namespaces), memory.kept, list(memory.reasons)) == (["cache"], True, [])


def test_a_store_that_evicts_keeps_no_promise(own_store: str) -> None:
    with redis.Redis.from_url(own_store) as store:
        store.config_set("maxmemory-policy", "allkeys-lru")
    with served(own_store, namespace_durability="cache=memory") as call:
        promises = call(ASK).promises

    assert [promise.kept for promise in promises] == [False, False]
    assert all("maxmemory-policy is allkeys-lru" in promise.reasons[0] for promise in promises)


def test_a_promise_is_checked_for_each_call(own_store: str) -> None:
    with served(own_store, promise_check_seconds=3_600) as call, redis.Redis.from_url(own_store) as store:
        kept = [call(ASK).promises[0].kept]
        store.config_set("appendonly", "no")
        kept.append(call(ASK).promises[0].kept)

    assert kept == [True, False]


def test_a_limit_of_the_store_is_near_from_80_percent_on(own_store: str) -> None:
    with served(own_store) as call, redis.Redis.from_url(own_store) as store:
        unlimited = call(ASK)
        store.config_set("maxmemory", unlimited.store.nodes[0].memory_bytes * 5)
        far = limit(call(ASK), "store memory")
        store.config_set("maxmemory", round(unlimited.store.nodes[0].memory_bytes * 1.1))
        near = limit(call(ASK), "store memory")

    assert "store memory" not in {use.name for use in unlimited.limits}
    assert (far.near, near.near) == (False, True)
    assert near.unit == "bytes"
    assert near.used < near.limit


@pytest.mark.parametrize(("used", "near"), [(79, False), (80, True), (120, True)])
def test_near_means_80_percent(used: int, *, near: bool) -> None:
    assert Use("connections", used, 100).is_near is near


def test_replicas_are_named_with_their_lag(tmp_path: Path) -> None:
    with (
        replicated_store(tmp_path) as stores,
        served(stores.primary, durability="replicated") as call,
        redis.Redis.from_url(stores.replica) as replica,
    ):
        port = replica.info("replication")["master_port"]
        wait_until(lambda: call(ASK).store.nodes[0].replicas[0].lag_bytes == 0, what="the replica has confirmed all")
        (node,) = call(ASK).store.nodes
        promises = call(ASK).promises

    (found,) = node.replicas
    assert found.address.startswith("127.0.0.1:")
    assert found.address != f"127.0.0.1:{port}"
    assert found.online
    assert 0 <= found.lag.seconds <= 30
    assert [(promise.durability, promise.kept) for promise in promises] == [(DURABILITY_REPLICATED, True)]


def test_a_store_that_is_away_is_an_answer(tmp_path: Path) -> None:
    with store_process(find_binary(None), tmp_path) as url:
        given = Settings(listen="127.0.0.1:0", store=url)
        server = ThreadedServer(given)
        server.__enter__()
    try:
        call = Caller(server.target)
        status = call(ASK)
        call.close()
    finally:
        server.__exit__()

    assert status.store.fault.startswith("the store cannot be reached")
    assert status.store.kind == STORE_KIND_NODE
    assert list(status.store.nodes) == []
    assert not status.store.HasField("request_id_count")
    assert [promise.kept for promise in status.promises] == [False]
    assert status.promises[0].reasons[0] == status.store.fault
    assert limit(status, "connections").used >= 1


def test_a_store_that_hangs_is_an_answer_within_the_deadline(own_store: str) -> None:
    with served(own_store, store_timeout_seconds=60.0) as call, redis.Redis.from_url(own_store) as store:
        call(ASK)
        store.execute_command("CLIENT", "PAUSE", 10_000, "ALL")

        status = call(ASK, timeout=3.0)

    assert status.store.fault.startswith("the store has not answered within ")
    assert [promise.kept for promise in status.promises] == [False]


def test_it_answers_while_no_more_queries_may_wait(own_store: str) -> None:
    limits = {"waiting_queries_max": 1, "store_check_seconds": 3_600, "store_timeout_seconds": 60.0}
    settings = Settings(listen="127.0.0.1:0", store=own_store, **limits)  # type: ignore[arg-type]  # by name
    with ThreadedServer(settings) as server, redis.Redis.from_url(own_store) as store, ThreadPoolExecutor(1) as pool:
        call, waiting = Caller(server.target), Caller(server.target, OWN_CONNECTION)
        store.execute_command("CLIENT", "PAUSE", 60_000, "ALL")
        held = [pool.submit(waiting, GetNamespaceRequest())]

        statuses: list[GetServerStatusResponse] = []

        def is_full() -> bool:
            if held[-1].done():  # it was refused, because a call of this function had the only place
                held.append(pool.submit(waiting, GetNamespaceRequest()))
            if reason_of(call, GetNamespaceRequest()) != "OVERLOADED":
                return False
            statuses.append(call(ASK, timeout=3.0))
            return bool(limit(statuses[-1], "waiting queries").used)

        wait_until(is_full, what="the lane is full")

        waiting.close()
        call.close()

    full = limit(statuses[-1], "waiting queries")
    assert (full.used, full.limit, full.near) == (1, 1, True)


def reason_of(call: Caller, request: GetNamespaceRequest) -> str:
    """Return the reason why a call with little time fails; empty if it succeeds."""
    try:
        call(request, timeout=0.2)
    except Failure as failure:
        return failure.reason
    return ""


def test_many_callers_share_one_look_at_the_store(own_store: str) -> None:
    checks = {"store_check_seconds": 3_600, "promise_check_seconds": 3_600}
    with served(own_store, **checks) as call, redis.Redis.from_url(own_store) as store, ThreadPoolExecutor(20) as pool:
        store.config_resetstat()
        store.execute_command("CLIENT", "PAUSE", 500, "ALL")
        answers = list(pool.map(call, [ASK] * 20))
        looks = store.info("commandstats")["cmdstat_info"]["calls"]

    assert len({answer.SerializeToString() for answer in answers}) < 20
    assert looks < 20


def test_no_password_is_shown(own_store: str) -> None:
    with redis.Redis.from_url(own_store) as store:
        store.execute_command("ACL", "SETUSER", *user_line().split()[1:])
    with served(f"{own_store}?username=tallykeeper&password={PASSWORD}") as call:
        status = call(ASK)

    assert PASSWORD not in str(status)
    assert status.store.location.startswith("unix://")
    assert status.promises[0].kept


def test_the_request_ids_of_all_namespaces_are_counted(own_store: str) -> None:
    with served(own_store) as call:
        for namespace in ("north", "south"):
            for request_id in ("first", "second", "first"):
                call(IncrementRequest(namespace=namespace, counter="visits", request_id=request_id))
        status = call(ASK)

    assert status.store.request_id_count == 4


def test_a_user_without_hlen_gets_no_count(own_store: str) -> None:
    with redis.Redis.from_url(own_store) as store:
        store.execute_command("ACL", "SETUSER", *user_line().replace(" +hlen", "").split()[1:])
    with served(f"{own_store}?username=tallykeeper&password={PASSWORD}") as call:
        call(IncrementRequest(counter="visits", request_id="once"))
        status = call(ASK)

    assert not status.store.HasField("request_id_count")
    assert status.promises[0].kept


def test_the_certificate_has_its_end_and_its_use(tmp_path: Path) -> None:
    make_certificates(tmp_path, hosts=["127.0.0.1"], clients=[], days=2)
    settings = Settings(
        listen="127.0.0.1:0",
        data_dir=tmp_path / "data",
        tls_certificate=tmp_path / "server.pem",
        tls_key=tmp_path / "server.key",
    )
    with (
        ThreadedServer(settings) as server,
        Client(server.target, credentials=tls_credentials(ca=tmp_path / "ca.pem")) as client,
    ):
        before = client.get_server_status()
        make_certificates(tmp_path / "longer", hosts=["127.0.0.1"], clients=[], days=200)
        for name in ("server.pem", "server.key"):
            shutil.copyfile(tmp_path / "longer" / name, tmp_path / name)
        after = client.get_server_status()

    days = (after.server.certificate_expire_time.seconds - before.server.certificate_expire_time.seconds) / 86_400
    assert days == pytest.approx(198, abs=0.1)
    use = limit(before, "certificate")
    assert (use.unit, use.near) == ("seconds", False)
    assert use.used < use.limit


def test_each_worker_has_its_number_and_the_age_of_its_server(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path / "data"), workers=2) as server:
        found = {}

        def all_have_answered() -> bool:
            call = Caller(server.target, [("grpc.use_local_subchannel_pool", 1)])
            status = call(ASK)
            found[status.server.worker] = status
            call.close()
            return found.keys() == {1, 2}

        wait_until(all_have_answered, what="both workers have answered")

    for status in found.values():
        assert status.server.worker_count == 2
        assert status.server.uptime.ToNanoseconds() > status.server.worker_uptime.ToNanoseconds() > 0
        assert status.store.kind == STORE_KIND_EMBEDDED
        assert status.store.location == str(tmp_path / "data")
