"""A store whose clock a test sets, and a process whose clocks a test sets."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

import redis

import tallykeeper_lua
from tallykeeper_server.domain.mutations import Bundle, Outcome
from tallykeeper_server.domain.queries import Query
from tallykeeper_server.store import queries, script_calls, shared_key_reader
from tallykeeper_server.store.redis_store import RedisStore
from tests.lua.conftest import POLICY, RETENTION

BOUNDARY_MS: Final = 1_600_041_600_000
"""A time in the past at which a day begins, and any span that divides a day."""


class Clocks:
    """The store's clock, and those of one process. All are in milliseconds since 1970, and stand still."""

    def __init__(self, raw_store: redis.Redis, key: str) -> None:
        self._raw_store = raw_store
        self._key = key
        self.store_ms = self.wall_ms = self.steady_ms = BOUNDARY_MS
        self.set(store_ms=BOUNDARY_MS)

    def set(self, *, store_ms: int | None = None, wall_ms: int | None = None) -> None:
        """Set the store's clock, this process's or both."""
        self.store_ms = self.store_ms if store_ms is None else store_ms
        self.wall_ms = self.wall_ms if wall_ms is None else wall_ms
        self._raw_store.set(self._key, self.store_ms)

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Let the script, and the command TIME, read the store's clock."""
        source = tallykeeper_lua.source()
        assert source.count("redis.call('TIME')") == 1
        ms = f"redis.call('GET', '{self._key}')"
        reads = source.replace("redis.call('TIME')", f"{{ math.floor({ms} / 1000), {ms} % 1000 * 1000 }}")
        with (
            patch.object(tallykeeper_lua, "source", lambda: reads),
            patch.object(script_calls, "time_ms_of", lambda _: self.store_ms),
            patch.object(shared_key_reader, "time_ms_of", lambda _: self.store_ms),
            patch.object(queries, "time_ms_of", lambda _: self.store_ms),
        ):
            yield

    def go_on(self, by_ms: int) -> None:
        """Let time pass for all clocks."""
        self.steady_ms += by_ms
        self.set(store_ms=self.store_ms + by_ms, wall_ms=self.wall_ms + by_ms)

    @contextmanager
    def at(self, *, store_ms: int | None = None, wall_ms: int | None = None) -> Iterator[None]:
        """Set clocks for a while."""
        before = self.store_ms, self.wall_ms
        self.set(store_ms=store_ms, wall_ms=wall_ms)
        yield
        self.set(store_ms=before[0], wall_ms=before[1])


class ClockedStore:
    """A RedisStore that reads the clocks. Each is like a process that has just been started."""

    def __init__(self, url: str, clocks: Clocks, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._clocks = clocks
        self.store = runner.run(self._open(url))

    def apply(self, *bundles: Bundle) -> list[Outcome]:
        """Apply bundles in one script call, and return the outcomes of all their mutations."""
        with self._clocks.patched():
            results = self._runner.run(self.store.apply(bundles))
        return [outcome for outcomes in results if isinstance(outcomes, list) for outcome in outcomes]

    def ask(self, *queries: Query[Any]) -> Sequence[object]:
        """Return the answers to queries."""
        with self._clocks.patched():
            return self._runner.run(self.store.read(queries))

    def sweep(self) -> int:
        """Sweep the store. Return the number of reservations that were expired."""
        with self._clocks.patched():
            return self._runner.run(self.store.sweep())

    def close(self) -> None:
        """Close its connections."""
        self._runner.run(self.store.close())

    async def _open(self, url: str) -> RedisStore:
        clocks = self._clocks
        with clocks.patched():
            return RedisStore(
                url,
                timeout_seconds=5.0,
                retention=RETENTION,
                policy=POLICY,
                wall_clock=lambda: clocks.wall_ms / 1_000,
                steady_clock=lambda: clocks.steady_ms / 1_000,
            )
