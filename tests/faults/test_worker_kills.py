"""Workers that are killed, drained and replaced while they are called, and a supervisor that is killed."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper_client import AsyncClient, _channel
from tallykeeper_client._channel import CHANNEL_OPTIONS
from tests.support.client import OWN_CONNECTION, Caller
from tests.support.ledger import entries_of
from tests.support.server import ServerProcess, runs, wait_until

WORKERS = 3
CALLERS = 24
CLIENTS = 12
KILLS = 6
RELOADS = 3


@pytest.fixture(autouse=True)
def separate_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each client its own connection, so that clients are spread over the workers."""
    monkeypatch.setattr(_channel, "CHANNEL_OPTIONS", (*CHANNEL_OPTIONS, *OWN_CONNECTION))


class Load:
    """Callers on several connections that increment a counter without end, and the acknowledged changes."""

    def __init__(self, target: str) -> None:
        self._clients = [AsyncClient(target) for _ in range(CLIENTS)]
        self._stopping = False
        self._answered = asyncio.Event()
        self._callers = [asyncio.create_task(self._call(number)) for number in range(CALLERS)]
        self.acknowledged: dict[str, int] = {}

    async def _call(self, caller: int) -> None:
        client = self._clients[caller % CLIENTS]
        number = 0
        while not self._stopping:
            number += 1
            request_id = f"{caller}-{number}"
            response = await client.increment("sold", request_id=request_id)
            self.acknowledged[request_id] = response.revision
            self._answered.set()

    async def flows(self, calls: int = 2 * CALLERS) -> None:
        """Return as soon as a number of further calls have been answered. Raise a caller's error, if there is one."""
        wanted = len(self.acknowledged) + calls
        async with asyncio.timeout(30):
            while len(self.acknowledged) < wanted:
                self._answered.clear()
                failed = [caller for caller in self._callers if caller.done()]
                if failed:
                    await failed[0]
                await self._answered.wait()

    async def stop(self) -> None:
        """Let each caller finish, and raise the first error of a caller."""
        self._stopping = True
        try:
            await asyncio.gather(*self._callers)
        finally:
            for client in self._clients:
                await client.close()

    async def abandon(self) -> None:
        """Cancel all callers."""
        for caller in self._callers:
            caller.cancel()
        await asyncio.wait(self._callers)
        for client in self._clients:
            await client.close()


def assert_each_counted_once(target: str, acknowledged: dict[str, int], *, complete: bool) -> None:
    """Compare the acknowledged changes with the ledger and the counter. ``complete``: no other change was applied."""
    call = Caller(target)
    entries = entries_of(call, "")
    value = call(GetCounterRequest(counter="sold")).counter.value
    report = call.verify()
    call.close()

    applied = {entry.request_id: entry.revision for entry in entries}
    assert [entry.revision for entry in entries] == list(range(1, len(entries) + 1))
    assert len(applied) == len(entries) == value
    assert acknowledged.items() <= applied.items()
    assert not complete or len(acknowledged) == len(applied)
    assert (report.clean, list(report.differences)) == (True, [])


async def until(condition: Callable[[], bool], *, what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what=what)


def serve(data_dir: Path, *arguments: str) -> ServerProcess:
    return ServerProcess("--data-dir", str(data_dir), "--log-level", "debug", *arguments, workers=WORKERS)


async def test_workers_killed_under_load_are_replaced_and_each_call_counts_once(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        load = Load(server.target)
        for kill in range(KILLS):
            await load.flows()
            os.kill(server.worker_ids[1 + kill % WORKERS], signal.SIGKILL)
            await until(lambda: len(server.events("the worker runs again")) == kill + 1, what="a restart")  # noqa: B023  # awaited
        await load.flows()
        await load.stop()

        assert_each_counted_once(server.target, load.acknowledged, complete=True)


async def test_reloads_under_load_fail_no_call_and_each_counts_once(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        load = Load(server.target)
        for reload in range(RELOADS):
            await load.flows()
            before = server.worker_ids
            server.process.send_signal(signal.SIGHUP)
            await until(lambda: len(server.events("the settings are in force")) == reload + 1, what="reload")  # noqa: B023  # awaited
            assert not set(before.values()) & set(server.worker_ids.values())
        await load.flows()
        await load.stop()

        assert_each_counted_once(server.target, load.acknowledged, complete=True)
        assert not server.events("a worker ended")


async def test_a_stop_under_load_loses_no_acknowledged_change(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        load = Load(server.target)
        await load.flows()
        server.process.terminate()
        status = await asyncio.to_thread(server.stop)
        await load.abandon()

    assert status == 0
    assert not any(runs(process_id) for process_id in server.worker_ids.values())
    assert not server.events("a worker does not end; it is killed")
    with serve(tmp_path) as server:
        assert_each_counted_once(server.target, load.acknowledged, complete=False)


async def test_no_worker_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        load = Load(server.target)
        await load.flows()
        server.process.kill()
        await until(lambda: not any(runs(worker) for worker in server.worker_ids.values()), what="workers are gone")
        await load.abandon()

    with serve(tmp_path) as server:
        assert server.events("ending the store of a server that was killed")
        assert_each_counted_once(server.target, load.acknowledged, complete=False)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=lambda ending: ending.name)
def test_the_port_is_free_for_a_successor_at_once(tmp_path: Path, ending: signal.Signals) -> None:
    with serve(tmp_path) as server:
        calls = [Caller(server.target, OWN_CONNECTION) for _ in range(CLIENTS)]
        for call in calls:
            call(IncrementRequest(counter="v"))
        server.process.send_signal(ending)
        server.process.wait()
        wait_until(lambda: not any(runs(worker) for worker in server.worker_ids.values()), what="workers are gone")

    with serve(tmp_path, "--listen", server.target) as successor:
        assert successor.target == server.target
        for call in calls:
            call.close()
