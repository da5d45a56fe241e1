"""The client's batching: 128 coroutines that increment counters, with one request for each call and in batches."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import uvloop

from bench.processes import python
from tallykeeper_client import AsyncClient

TOPIC: Final = "a client in Python, 128 coroutines"
CALLERS: Final = 128


def calls_per_second(port: int, *, seconds: float) -> dict[str, float | None]:
    """Return the calls a second of one Python client, without and with its batching. It runs in a new process."""
    run = asyncio.run(_run_aside(port, seconds))
    return {f"{name}, calls/s": rate for name, rate in json.loads(run).items()}


async def _run_aside(port: int, seconds: float) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *python("bench.client_batches", port, str(seconds)), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return output


async def _main(port: int, seconds: float) -> dict[str, float]:
    async with AsyncClient(f"127.0.0.1:{port}") as client:
        alone = await _rate(client.increment, seconds)
        async with client.batch() as batch:
            together = await _rate(batch.increment, seconds)
    return {"one call for each change": alone, "batched by the client": together}


async def _rate(increment: Callable[..., Awaitable[Any]], seconds: float) -> float:
    until = time.perf_counter() + seconds
    counts = await asyncio.gather(*(_call(increment, f"page-{number}", until) for number in range(CALLERS)))
    return sum(counts) / seconds


async def _call(increment: Callable[..., Awaitable[Any]], counter: str, until: float) -> int:
    count = 0
    while time.perf_counter() < until:
        await increment(counter)
        count += 1
    return count


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_main(int(sys.argv[1]), float(sys.argv[2])))))  # noqa: T201  # its answer
