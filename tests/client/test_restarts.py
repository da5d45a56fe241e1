"""A server process that ends under load and starts again: no call fails, and each counts once."""

import asyncio
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tallykeeper_client import AsyncClient
from tests.support.server import ServerProcess

CALLERS = 20


class Load:
    """Callers that count visitors until the test stops them, and that count their answers."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._stopping = False
        self.answered = 0
        self.is_flowing = asyncio.Event()
        self._callers = [asyncio.create_task(self._call()) for _ in range(CALLERS)]

    async def stop(self) -> None:
        """Wait until each caller has finished, and raise the error of any of them."""
        self._stopping = True
        await asyncio.gather(*self._callers)

    async def _call(self) -> None:
        while not self._stopping:
            await self._client.increment("visitors")
            self.answered += 1
            if self.answered > CALLERS:
                self.is_flowing.set()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=lambda ending: ending.name)
async def test_calls_survive_a_restart_and_each_counts_once(tmp_path: Path, *, ending: signal.Signals) -> None:
    settings = ("--data-dir", str(tmp_path))
    with ExitStack() as processes:
        first = processes.enter_context(ServerProcess(*settings))
        async with AsyncClient(first.target) as client:
            load = Load(client)
            await asyncio.wait_for(load.is_flowing.wait(), timeout=10)

            first.process.send_signal(ending)
            await asyncio.to_thread(first.process.wait)
            again = ServerProcess("--listen", first.target, *settings)
            await asyncio.to_thread(processes.enter_context, again)
            await load.stop()

            assert again.target == first.target
            assert (await client.get_counter("visitors")).counter.value == load.answered
