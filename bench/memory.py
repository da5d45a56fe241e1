"""The memory of the store for each level, counter, request record and entry, and of a worker after many calls."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from uuid import uuid4

import redis

from bench.contenders import Contender, decrement
from bench.generator import Generator
from bench.stores import Store
from tallykeeper_client import AsyncClient, operations

TOPIC: Final = "memory"
RESIDENT: Final = "a worker after the first calls, MiB"
RESIDENT_LATER: Final = "a worker after as many more, MiB"
LEVELS: Final = 100_000
_BATCH: Final = 500
_IN_FLIGHT: Final = 128
_SECONDS: Final = 1.0


def resident_after(generator: Generator, contender: Contender, calls: int) -> dict[str, float | None]:
    """Return the memory of a contender's worker after a number of calls, and after as many more."""
    served = _serve(generator, contender, calls)
    resident = _resident_mib(contender)
    more = _serve(generator, contender, calls)
    return {
        "calls that the worker has served at first": served,
        RESIDENT: resident,
        "calls that it has served then": more,
        RESIDENT_LATER: _resident_mib(contender),
    }


def _serve(generator: Generator, contender: Contender, calls: int) -> int:
    """Make at least a number of calls, and return the number of calls that succeeded."""
    served = 0
    while served < calls:
        load = generator.run(contender.port, decrement(), in_flight=_IN_FLIGHT, warm_up=0.0, seconds=_SECONDS)
        if not load.all_succeeded:
            message = f"no call has succeeded within {_SECONDS:g} s, and {load.refused.calls} were refused"
            raise RuntimeError(message)
        served += load.all_succeeded
    return served


def _resident_mib(contender: Contender) -> float:
    return max(contender.process.resident_bytes()) / 2**20


def bytes_of_each(store: Store, port: int) -> dict[str, float | None]:
    """Return the bytes of the store's memory for one of each kind, measured over 100,000 of them."""
    return {f"{name}, bytes": size for name, size in asyncio.run(_bytes_of_each(store, port)).items()}


async def _bytes_of_each(store: Store, port: int) -> dict[str, float]:
    sizes: dict[str, float] = {}
    with redis.Redis.from_url(store.url) as raw:
        async with _client(port, "mem-levels") as client:
            before = _used(raw)
            await _apply(client, (operations.set_stock(f"item-{n:06}", n % 1_000) for n in range(LEVELS)))
            sizes["a stock level, with its index"] = (_used(raw) - before - _ledger(raw, "mem-levels")) / LEVELS
        async with _client(port, "mem-counters") as client:
            before = _used(raw)
            await _apply(client, (operations.increment(f"page-{n:06}") for n in range(LEVELS)))
            sizes["a counter, with its index"] = (_used(raw) - before - _ledger(raw, "mem-counters")) / LEVELS
        async with _client(port, "mem-calls") as client:
            before = _used(raw)
            calls = LEVELS // 4
            for _ in range(calls // _BATCH):
                await asyncio.gather(*(client.increment("one", request_id=uuid4().hex) for _ in range(_BATCH)))
            ledger = _ledger(raw, "mem-calls")
            sizes["an entry of one line"] = ledger / calls
            sizes["a request record"] = (_used(raw) - before - ledger) / calls
    return sizes


@asynccontextmanager
async def _client(port: int, namespace: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(f"127.0.0.1:{port}", namespace=namespace) as client:
        yield client


async def _apply(client: AsyncClient, changes: Iterable[Any]) -> None:
    some: list[Any] = []
    for change in changes:
        some.append(change)
        if len(some) == _BATCH:
            await client.apply(some, atomic=True)
            some = []


def _used(raw: redis.Redis) -> int:
    return int(raw.info("memory")["used_memory_dataset"])


def _ledger(raw: redis.Redis, namespace: str) -> int:
    return int(cast("Any", raw.memory_usage(f"tk:{{{namespace}}}:ledger", samples=0)) or 0)
