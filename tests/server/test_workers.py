"""Several workers as one server: shared state, and the replacement of workers."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
import redis

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper_server.app.server_facts import ServerFacts
from tallykeeper_server.app.store_startup import StartError
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import find_binary
from tallykeeper_server.workers.worker_process import WorkerProcess
from tests.server.health import NOT_SERVING, SERVING, health_of, health_updates
from tests.server.start import refused_start, sabotage
from tests.support.client import OWN_CONNECTION, Caller
from tests.support.ledger import entries_of
from tests.support.server import PATIENCE_SECONDS, ServerProcess, runs, store_process, wait_until
from tests.support.suspension import stopped

CONNECTIONS = 20


def test_the_server_logs_its_start_once_and_each_worker_its_number(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path), "--log-level", "debug", workers=3) as server:
        workers = server.worker_ids

        assert [runs(process_id) for process_id in workers.values()] == [True] * 3

    (serving,) = server.events("serving")
    assert (serving["workers"], serving["process_id"]) == (3, server.process.pid)
    assert [len(server.events(name)) for name in ("store", "promise", "try next", "stopping", "stopped")] == [1] * 5
    assert set(workers) == {1, 2, 3}
    assert len({server.process.pid, *workers.values()}) == 4


def test_one_worker_is_the_server_itself(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path), "--log-level", "debug", workers=1) as server:
        assert server.worker_ids == {}
        assert server.events("serving")[0]["workers"] == 1


def test_a_worker_that_was_stopped_is_replaced(tmp_path: Path) -> None:
    flags = ("--data-dir", str(tmp_path), "--log-level", "debug", "--worker-answer-seconds", "0.5")
    with ServerProcess(*flags, workers=2) as server:
        before = server.worker_ids

        os.kill(before[1], signal.SIGSTOP)

        wait_until(lambda: server.worker_ids[1] != before[1], what="the worker is replaced")
        (killed,) = server.events("a worker does not answer; it is killed")
        assert (killed["worker"], killed["process_id"]) == (1, before[1])
        assert not runs(before[1])
        assert server.worker_ids[2] == before[2]
        for _ in range(CONNECTIONS):
            call = Caller(server.target, OWN_CONNECTION)
            call(IncrementRequest(counter="v"))
            call.close()


def test_a_worker_whose_event_loop_hangs_is_replaced(tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = (
        "import asyncio, threading, time, pathlib\n"
        "    async def hang():\n"
        f"        while not pathlib.Path({str(go)!r}).exists():\n"
        "            await asyncio.sleep(0.01)\n"
        f"        pathlib.Path({str(go)!r}).unlink()\n"
        "        time.sleep(1_000)\n"
        "    get = asyncio.Runner.run\n"
        "    def run(self, main, **more):\n"
        "        async def both():\n"
        "            task = asyncio.ensure_future(hang())\n"
        "            return await main\n"
        "        return get(self, both(), **more)\n"
        "    asyncio.Runner.run = run"
    )
    flags = ("--data-dir", str(tmp_path / "data"), "--worker-answer-seconds", "0.5")
    with ServerProcess(*flags, workers=2, environment=sabotage(tmp_path, code)) as server:
        go.touch()

        wait_until(lambda: bool(server.events("the worker runs again")), what="the worker is replaced")
        assert server.events("a worker does not answer; it is killed")


def test_a_supervisor_that_was_stopped_with_its_workers_kills_none(tmp_path: Path) -> None:
    flags = ("--data-dir", str(tmp_path), "--log-level", "debug", "--worker-answer-seconds", "0.5")
    with ServerProcess(*flags, workers=2) as server:
        every = [server.process.pid, *server.worker_ids.values()]
        for process_id in every:
            os.kill(process_id, signal.SIGSTOP)
        stopped_at = time.monotonic()
        wait_until(lambda: time.monotonic() - stopped_at > 2.0, what="longer than two answers may take")
        for process_id in every:
            os.kill(process_id, signal.SIGCONT)

        call = Caller(server.target, OWN_CONNECTION)
        began_at = time.monotonic()

        def has_served_on() -> bool:
            call(IncrementRequest(counter="v"))
            return time.monotonic() - began_at > 2.0

        wait_until(has_served_on, what="the worker serves again")
        call.close()
        assert server.events("a worker does not answer; it is killed") == []


def test_a_request_id_on_many_connections_counts_once_and_revisions_have_no_gap(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path), workers=3) as server, ExitStack() as stack:
        calls = [Caller(server.target, OWN_CONNECTION) for _ in range(CONNECTIONS)]
        for call in calls:
            stack.callback(call.close)
        threads = stack.enter_context(ThreadPoolExecutor(CONNECTIONS))

        once = list(threads.map(lambda call: call(IncrementRequest(counter="once", request_id="r")), calls))
        each = list(threads.map(lambda number: calls[number % CONNECTIONS](IncrementRequest(counter="v")), range(499)))

        assert {response.counter.value for response in once} == {1}
        assert sorted(response.replayed for response in once) == [False] + [True] * (CONNECTIONS - 1)
        assert sorted(response.revision for response in each) == list(range(2, 501))
        assert [entry.revision for entry in entries_of(calls[0], "")] == list(range(1, 501))
        assert {call(GetCounterRequest(counter="v")).counter.value for call in calls} == {499}


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not spread connections over the workers")
def test_connections_are_spread_and_only_those_of_a_lost_worker_are_lost(tmp_path: Path) -> None:
    with (
        ServerProcess("--data-dir", str(tmp_path), "--log-level", "debug", workers=2) as server,
        ExitStack() as stack,
    ):
        watches = []
        for _ in range(CONNECTIONS):
            channel = stack.enter_context(grpc.insecure_channel(server.target, OWN_CONNECTION))
            watch: grpc.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/grpc.health.v1.Health/Watch")
            watches.append(watch(b""))
            next(watches[-1])
        before = server.worker_ids

        os.kill(before[1], signal.SIGKILL)
        wait_until(lambda: bool(server.events("the worker runs again")), what="the worker is replaced")
        wait_until(lambda: not all(watch.is_active() for watch in watches), what="a connection is lost")

        lost = [watch for watch in watches if not watch.is_active()]
        assert 0 < len(lost) < CONNECTIONS
        assert server.worker_ids[1] != before[1]
        assert server.worker_ids[2] == before[2]
        (ended,) = server.events("a worker ended")
        assert (ended["worker"], ended["how"]) == (1, "signal SIGKILL")


def test_a_worker_that_gets_a_signal_drains_and_is_replaced(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path), "--log-level", "debug", workers=2) as server:
        before = server.worker_ids

        os.kill(before[2], signal.SIGTERM)
        wait_until(lambda: server.worker_ids[2] != before[2], what="the worker is replaced")

        (ended,) = server.events("a worker ended")
        assert (ended["worker"], ended["how"], ended["level"]) == (2, "exit status 0", "info")


def test_ctrl_c_and_a_lost_terminal_are_for_the_supervisor_alone(tmp_path: Path) -> None:
    with ServerProcess("--data-dir", str(tmp_path), "--log-level", "debug", workers=2) as server:
        group = os.getpgid(server.process.pid)

        assert all(os.getpgid(process_id) != group for process_id in server.worker_ids.values())
        for process_id in server.worker_ids.values():
            os.kill(process_id, signal.SIGINT)
            os.kill(process_id, signal.SIGHUP)
        assert server.stop() == 0
        assert not server.events("a worker ended")


def test_a_worker_that_does_not_start_again_is_reported_and_tried_again(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    environment = sabotage(tmp_path, f"if os.path.exists({str(broken)!r}): os._exit(7)")
    arguments = ("--data-dir", str(tmp_path / "data"), "--log-level", "debug")
    with ServerProcess(*arguments, workers=2, environment=environment) as server:
        broken.touch()
        os.kill(server.worker_ids[1], signal.SIGKILL)

        wait_until(lambda: len(server.events("the worker does not start")) > 1, what="two reports are logged")
        call = Caller(server.target)
        call(IncrementRequest(counter="v"))
        call.close()
        broken.unlink()
        wait_until(lambda: bool(server.events("the worker runs again")), what="the worker runs again")

    reports = server.events("the worker does not start")
    assert reports[0]["error"] == "worker 1 ended before it served: exit status 7"
    (ended,) = server.events("a worker ended")
    assert ended["again_in_seconds"] == 0.1
    assert [report["again_in_seconds"] for report in reports[:2]] == [0.2, 0.4]


def test_a_worker_that_cannot_start_at_first_is_one_clear_line(tmp_path: Path) -> None:
    environment = sabotage(tmp_path, "os.kill(os.getpid(), 9)")
    arguments = ("--data-dir", str(tmp_path / "data"))

    line = refused_start("--workers", "2", *arguments, environment=environment)

    assert line.startswith("tallykeeper: worker ")
    assert line.endswith(" ended before it served: signal SIGKILL")
    with ServerProcess(*arguments):
        pass  # the store of the other server was stopped, and its data directory is free


def begin_increment(channel: grpc.Channel) -> "grpc.Future[bytes]":
    start: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/tallykeeper.v1.CounterService/Increment")
    return start.future(IncrementRequest(counter="v").SerializeToString(), timeout=PATIENCE_SECONDS)


async def test_a_worker_that_cannot_listen_says_why_and_ends(store_url: str) -> None:
    settings = Settings(listen="192.0.2.1:1", store=store_url)

    with pytest.raises(StartError, match=r"cannot listen on 192\.0\.2\.1:1: "):
        await WorkerProcess.started(ServerFacts(store_is_embedded=False), settings)


async def test_a_worker_that_cannot_be_run_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/does/not/exist")

    with pytest.raises(StartError, match="worker 1 cannot be started: No such file or directory"):
        await WorkerProcess.started(ServerFacts(store_is_embedded=False), Settings())


def test_all_workers_report_the_stop_before_the_first_has_finished_its_calls(tmp_path: Path) -> None:
    patience = ("--drain-seconds", "600", "--store-check-seconds", "600", "--store-timeout-seconds", "600")
    with (
        store_process(find_binary(None), tmp_path) as url,
        ServerProcess("--store", url, *patience, workers=3) as server,
        ExitStack() as stack,
    ):
        channels = [stack.enter_context(grpc.insecure_channel(server.target, OWN_CONNECTION)) for _ in range(20)]
        watches = [health_updates(channel, "") for channel in channels]
        assert [next(watch) for watch in watches] == [SERVING] * 20
        with stopped(url):
            in_flight = [begin_increment(channel) for channel in channels]
            # An answer to another call on each channel shows that the calls before it have begun.
            assert [health_of(channel, "") for channel in channels] == [SERVING] * 20

            server.process.terminate()

            assert [next(watch) for watch in watches] == [NOT_SERVING] * 20
            assert not any(call.done() for call in in_flight)
        assert [call.exception(PATIENCE_SECONDS) for call in in_flight] == [None] * 20
        assert server.stop() == 0


def test_a_second_signal_ends_the_server_without_waiting_for_calls(tmp_path: Path) -> None:
    with (
        store_process(find_binary(None), tmp_path) as url,
        ServerProcess("--store", url, "--drain-seconds", "600", workers=2) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        assert health_of(channel, "") == SERVING
        with stopped(url):
            in_flight = begin_increment(channel)
            assert health_of(channel, "") == SERVING
            server.process.terminate()
            wait_until(lambda: bool(server.events("stopping")), what="the stop is logged")
            server.process.terminate()

            assert server.process.wait(PATIENCE_SECONDS) == 0
            assert in_flight.exception(PATIENCE_SECONDS) is not None
    assert len(server.events("stopped")) == 1


def test_a_worker_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    arguments = ("--data-dir", str(tmp_path), "--log-level", "debug", "--drain-seconds", "0.1")
    with ServerProcess(*arguments, workers=2) as server:
        os.kill(server.worker_ids[1], signal.SIGSTOP)

        assert server.stop() == 0

    (killed,) = server.events("a worker does not end; it is killed")
    assert killed["worker"] == 1
    assert not any(runs(process_id) for process_id in server.worker_ids.values())


def test_the_supervisor_never_loads_grpc() -> None:
    check = "import tallykeeper_server.workers.supervisor, sys; sys.exit('grpc' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_password_is_on_a_command_line_of_a_worker(tmp_path: Path) -> None:
    with store_process(find_binary(None), tmp_path) as url:
        with redis.Redis.from_url(url) as connection:
            connection.config_set("requirepass", "secret")
        environment = {**os.environ, "TALLYKEEPER_STORE": f"{url}?password=secret"}
        with ServerProcess("--log-level", "debug", workers=2, environment=environment) as server:
            call = Caller(server.target)
            assert call(IncrementRequest(counter="v")).counter.value == 1
            call.close()
            command_lines = [
                Path(f"/proc/{process_id}/cmdline").read_text() for process_id in server.worker_ids.values()
            ]

    assert len(command_lines) == 2
    assert all("tallykeeper_server.workers.worker" in line and "secret" not in line for line in command_lines)
    assert "secret" not in "".join(server.lines)
