"""The embedded store is killed repeatedly while it is written to."""

import asyncio
import os
import signal
from functools import partial
from pathlib import Path

import redis

from tallykeeper.v1.counter_pb2 import GetCounterRequest
from tallykeeper_client import AsyncClient
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tests.support.client import Caller
from tests.support.ledger import entries_of
from tests.support.server import ServerProcess, answers, wait_until

_KILLS = 10
_CALLERS = 16
_ANSWERS_WITHIN_SECONDS = 5.0
_FINISHES_WITHIN_SECONDS = 30.0


class Load:
    """Callers that increment a counter without end, and record the acknowledged changes."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._number = 0
        self.acknowledged: dict[str, int] = {}
        self.stopped = False
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Make one call after another until the load is stopped."""
        while not self.stopped:
            self._number += 1
            request_id = f"call-{self._number}"
            response = await self._client.increment(
                "sold", request_id=request_id, timeout_seconds=_FINISHES_WITHIN_SECONDS
            )
            self.acknowledged[request_id] = response.revision
            self._answered.set()

    async def next_acknowledgement(self) -> None:
        """Return as soon as another call has been acknowledged."""
        self._answered.clear()
        await self._answered.wait()


def _kill_store(url: str) -> None:
    with redis.Redis.from_url(url) as connection:
        os.kill(int(connection.info("server")["process_id"]), signal.SIGKILL)


def _has_restarts(server: ServerProcess, count: int) -> bool:
    """Return True if the log has this number of restarts. A store killed before it runs is no restart."""
    return len(server.events("the store runs again")) == count


async def _kill_under_load(server: ServerProcess, url: str, namespace: str) -> dict[str, int]:
    """Return the request ids that were acknowledged, with their revisions."""
    async with AsyncClient(server.target, namespace=namespace) as client:
        load = Load(client)
        callers = [asyncio.create_task(load.run()) for _ in range(_CALLERS)]
        for kills in range(1, _KILLS + 1):
            await load.next_acknowledgement()
            _kill_store(url)
            async with asyncio.timeout(_ANSWERS_WITHIN_SECONDS):
                await asyncio.to_thread(wait_until, lambda: answers(url), what="the store runs again")
                await load.next_acknowledgement()
            await asyncio.to_thread(wait_until, partial(_has_restarts, server, kills), what="the restart is logged")
        load.stopped = True
        await asyncio.gather(*callers)
    return load.acknowledged


async def test_ten_kills_under_load_neither_lose_nor_double_a_change(tmp_path: Path, namespace: str) -> None:
    url = EmbeddedStore(tmp_path, find_binary(None)).url
    with ServerProcess("--data-dir", str(tmp_path)) as server:
        acknowledged = await _kill_under_load(server, url, namespace)
        call = Caller(server.target)
        entries = entries_of(call, namespace)
        value = call(GetCounterRequest(namespace=namespace, counter="sold")).counter.value
        report = call.verify(namespace)
        call.close()

    applied = {entry.request_id: entry.revision for entry in entries}
    assert [entry.revision for entry in entries] == list(range(1, len(entries) + 1))
    assert len(applied) == len(entries) == value
    assert acknowledged == applied
    assert (report.clean, list(report.differences)) == (True, [])
