"""The server from its start to its end, and the files that it leaves."""

import os
import signal
import sys
from pathlib import Path

import grpc
import pytest
import redis
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tests.server.health import NOT_SERVING, SERVING, health_of, health_updates
from tests.support.client import Caller, failure_of
from tests.support.server import PATIENCE_SECONDS, ServerProcess, ThreadedServer, runs, store_process, wait_until

SERVICES = ("", "tallykeeper.v1.CounterService", "tallykeeper.v1.InventoryService")


def store_socket(data_dir: Path) -> Path:
    return Path(EmbeddedStore(data_dir, find_binary(None)).url.removeprefix("unix://"))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_leaves_only_the_data(
    tmp_path: Path, signal_number: signal.Signals, workers: int
) -> None:
    with ServerProcess("--data-dir", str(tmp_path), "--log-level", "debug", workers=workers) as server:
        Caller(server.target)(IncrementRequest(counter="v"))
        with redis.Redis.from_url(f"unix://{store_socket(tmp_path)}") as connection:
            store_process_id = int(connection.info("server")["process_id"])
        server.process.send_signal(signal_number)
        status = server.process.wait(PATIENCE_SECONDS)

    assert status == 0
    assert server.events("stopped")
    assert len(server.worker_ids) == (workers if workers > 1 else 0)
    assert not any(runs(process_id) for process_id in (store_process_id, *server.worker_ids.values()))
    assert not store_socket(tmp_path).parent.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["appendonlydir", "format.json", "lock"]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_signal_ends_the_server_while_its_store_still_starts(tmp_path: Path, workers: int) -> None:
    started = tmp_path / "started"
    slow_store = tmp_path / "slow-store"
    slow_store.write_text(
        f"#!{sys.executable}\nimport os, time\nos.symlink(str(os.getpid()), '{started}')\ntime.sleep(600)\n"
    )
    slow_store.chmod(0o700)
    server = ServerProcess("--data-dir", str(tmp_path / "data"), "--store-binary", str(slow_store), workers=workers)
    wait_until(started.is_symlink, what="the store is started")

    status = server.stop()

    assert status == 0
    assert not server.events("serving")
    assert server.events("stopped")
    assert not runs(int(str(started.readlink())))


@pytest.mark.parametrize("workers", [1, 3])
def test_calls_in_flight_are_finished_and_health_reports_the_stop(tmp_path: Path, workers: int) -> None:
    with store_process(find_binary(None), tmp_path) as url, ServerProcess("--store", url, workers=workers) as server:
        channel = grpc.insecure_channel(server.target)
        call = Caller(server.target)
        call(IncrementRequest(counter="v"))
        updates = health_updates(channel, SERVICES[1])
        assert next(updates) == SERVING
        with redis.Redis.from_url(url) as connection:
            store_process_id = int(connection.info("server")["process_id"])
        os.kill(store_process_id, signal.SIGSTOP)
        start: grpc.UnaryUnaryMultiCallable[bytes, bytes] = call.channel.unary_unary(
            "/tallykeeper.v1.CounterService/Increment"
        )
        in_flight = [start.future(IncrementRequest(counter="v").SerializeToString(), timeout=20.0) for _ in range(5)]
        # A later call on the same channel has timed out, which shows that the earlier calls have begun.
        with pytest.raises(grpc.RpcError):
            start(IncrementRequest(counter="v").SerializeToString(), timeout=0.3)

        server.process.terminate()
        assert next(updates) == NOT_SERVING
        os.kill(store_process_id, signal.SIGCONT)

        assert [each.exception(20.0) for each in in_flight] == [None] * 5
        assert server.stop() == 0
        channel.close()
        call.close()


def test_values_survive_stop_and_start(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path)) as server:
        Caller(server.target)(IncrementRequest(counter="v", delta=41))

    with ServerProcess("--data-dir", str(tmp_path)) as server:
        assert Caller(server.target)(IncrementRequest(counter="v")).counter.value == 42


@pytest.mark.parametrize("workers", [1, 3])
def test_the_store_of_a_server_that_was_killed_is_taken_over(tmp_path: Path, workers: int) -> None:
    with ServerProcess("--data-dir", str(tmp_path), workers=workers) as server:
        Caller(server.target)(IncrementRequest(counter="v", delta=41))
        server.process.kill()
        server.process.wait(PATIENCE_SECONDS)

    with ServerProcess("--data-dir", str(tmp_path), workers=workers) as server:
        assert server.events("ending the store of a server that was killed")
        assert Caller(server.target)(IncrementRequest(counter="v")).counter.value == 42


def test_every_service_is_healthy_until_the_store_is_away(tmp_path: Path) -> None:
    with (
        store_process(find_binary(None), tmp_path) as url,
        ServerProcess("--store", url, "--store-check-seconds", "0.02", "--store-timeout-seconds", "0.2") as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        assert [health_of(channel, service) for service in SERVICES] == [SERVING] * 3
        with redis.Redis.from_url(url) as connection:
            store_process_id = int(connection.info("server")["process_id"])

        os.kill(store_process_id, signal.SIGSTOP)
        wait_until(
            lambda: [health_of(channel, service) for service in SERVICES] == [NOT_SERVING] * 3, what="nothing serves"
        )
        os.kill(store_process_id, signal.SIGCONT)
        wait_until(
            lambda: [health_of(channel, service) for service in SERVICES] == [SERVING] * 3, what="all services serve"
        )

    assert server.events("not serving")
    assert server.events("serving again")


def test_reflection_lists_the_services(server: ThreadedServer) -> None:
    with grpc.insecure_channel(server.target) as channel:
        services = set(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert {*SERVICES[1:], "grpc.health.v1.Health"} <= services


def test_there_is_no_reflection_by_default(tmp_path: Path) -> None:
    with (
        ServerProcess("--data-dir", str(tmp_path)) as server,
        grpc.insecure_channel(server.target) as channel,
        pytest.raises(grpc.RpcError) as raised,
    ):
        ProtoReflectionDescriptorDatabase(channel).get_services()

    assert failure_of(raised.value).code == grpc.StatusCode.UNIMPLEMENTED


def test_a_store_that_does_not_start_again_is_reported_and_tried_again(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path)) as server:
        call = Caller(server.target)
        call(IncrementRequest(counter="v"))
        (file,) = tmp_path.glob("appendonlydir/*.incr.aof")
        good = file.read_bytes()
        file.write_bytes(b"rubbish" + good)
        with redis.Redis.from_url(f"unix://{store_socket(tmp_path)}") as connection:
            os.kill(int(connection.info("server")["process_id"]), signal.SIGKILL)

        wait_until(lambda: len(server.events("the store does not start")) > 1, what="two reports are logged")
        file.write_bytes(good)
        wait_until(lambda: bool(server.events("the store runs again")), what="the store runs again")

        assert call(IncrementRequest(counter="v", request_id="r")).counter.value == 2
        call.close()
