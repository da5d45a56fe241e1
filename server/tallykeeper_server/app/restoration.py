"""Starts a store on restored data, and verifies every namespace of it, as VerifyNamespace does."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tallykeeper_server.domain.audit import Audit
from tallykeeper_server.domain.durability import Retention
from tallykeeper_server.domain.queries import ListNamespaces, ReadLedger
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.lane import LaneLimits
from tallykeeper_server.engine.namespace_reader import EngineSource
from tallykeeper_server.engine.verify import verify
from tallykeeper_server.store.embedded.socket_dir import socket_of
from tallykeeper_server.store.embedded.takeover import shut_down
from tallykeeper_server.store.embedded.valkey import EmbeddedStore
from tallykeeper_server.store.redis_store import RedisStore

_ANSWER_SECONDS: Final = 60.0
"""The time that one query may take: nothing else uses the store."""
_QUERIES: Final = LaneLimits(batch_items_max=1_000, waiting_items_max=1_000, pause_seconds=0.0)
_FORGETS_NOTHING: Final = Retention(request_ms=0, ledger_revisions=0, reservation_ms=0, reservation_lifetime_ms=0)
"""A store needs a retention. It counts for changes alone, and a verification makes none."""


@dataclass(frozen=True, slots=True)
class VerifiedNamespace:
    """The result of one namespace's verification."""

    namespace: str
    audit: Audit
    last_change_ms: int | None
    """The time of its last change in milliseconds since 1970; None if the ledger has no entry."""


async def verify_data_dir(data_dir: Path, binary: Path) -> Sequence[VerifiedNamespace]:
    """Start a store on a data directory, verify each namespace, and stop the store.

    The start upgrades data of an older format. Nothing expires, because no server sweeps.

    :raises TallyError: the store does not start, or cannot be read.
    """
    await shut_down(socket_of(data_dir))  # the store of a restore that was killed at the same place
    async with EmbeddedStore(data_dir, binary) as embedded:
        store = RedisStore(embedded.url, timeout_seconds=_ANSWER_SECONDS, retention=_FORGETS_NOTHING)
        try:
            engine = Engine(store, mutation_limits=_QUERIES, query_limits=_QUERIES)
            deadline = asyncio.get_running_loop().time() + _ANSWER_SECONDS
            namespaces = await engine.ask(ListNamespaces(), deadline=deadline)
            source = EngineSource(engine, store, query_seconds=_ANSWER_SECONDS)
            return [await _verified(source, namespace) for namespace in namespaces]
        finally:
            await store.close()


async def _verified(source: EngineSource, namespace: str) -> VerifiedNamespace:
    audit = await verify(source, namespace)
    query = ReadLedger(namespace, before=audit.revision + 1, scripts_max=1)
    times = [entry.commit_time_ms for entry in await source.read_ledger(query)]
    return VerifiedNamespace(namespace, audit, max(times, default=None))
