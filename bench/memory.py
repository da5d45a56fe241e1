"""How much memory the store needs for each level, counter, request record and entry, and a worker after many calls."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, cast
from uuid import uuid4

import redis

from bench.stores import Store
from tallykeeper_client import AsyncClient, operations

LEVELS: Final = 100_000
_BATCH: Final = 500


def bytes_of_each(store: Store, port: int) -> dict[str, float]:
    """Return the bytes of the store's memory for one of each kind, measured over 100,000 of them."""
    return asyncio.run(_bytes_of_each(store, port))


async def _bytes_of_each(store: Store, port: int) -> dict[str, float]:
    sizes: dict[str, float] = {}
    with redis.Redis.from_url(store.url) as raw:
        async with _client(port, "mem-levels") as client:
            before = _used(raw)
            await _apply(client, (operations.set_stock(f"item-{n:06}", n % 1_000) for n in range(LEVELS)))
            sizes["stock level, with its index"] = (_used(raw) - before - _ledger(raw, "mem-levels")) / LEVELS
        async with _client(port, "mem-counters") as client:
            before = _used(raw)
            await _apply(client, (operations.increment(f"page-{n:06}") for n in range(LEVELS)))
            sizes["counter, with its index"] = (_used(raw) - before - _ledger(raw, "mem-counters")) / LEVELS
        async with _client(port, "mem-calls") as client:
            before = _used(raw)
            calls = LEVELS // 4
            for _ in range(calls // _BATCH):
                await asyncio.gather(*(client.increment("one", request_id=uuid4().hex) for _ in range(_BATCH)))
            ledger = _ledger(raw, "mem-calls")
            sizes["entry of one line"] = ledger / calls
            sizes["request record"] = (_used(raw) - before - ledger) / calls
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
