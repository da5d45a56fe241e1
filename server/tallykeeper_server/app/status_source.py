"""Finds the state of this server for ServerService: its store, and the use of everything that has a limit."""

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final

from tallykeeper_server.app.certificates import TlsFiles
from tallykeeper_server.app.server_facts import ServerFacts
from tallykeeper_server.domain.server_status import LimitUse, ServerStatus, StoreKind, StoreStatus
from tallykeeper_server.setting_types import without_password
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.nodes.store_url import parsed_store_url
from tallykeeper_server.store.redis_store import RedisStore

_KINDS: Final = {"": StoreKind.NODE, "sentinel": StoreKind.SENTINEL, "cluster": StoreKind.CLUSTER}
"""The kinds of stores by the topology that their URLs name."""


class StatusReader:
    """Reads the state of this server, as one of its workers sees it."""

    def __init__(self, settings: Settings, facts: ServerFacts, store: RedisStore, tls: TlsFiles | None) -> None:
        """Take the parts of this process. ``settings.store`` has the URL of the store."""
        self._settings = settings
        self._facts = facts
        self._store = store
        self._tls = tls
        self._began_at = time.monotonic()
        self._reading: asyncio.Task[ServerStatus] | None = None
        self.worker_limits: Callable[[], Sequence[LimitUse]] = tuple
        """Return the limits of this worker with their use. It is set when the servers exist."""

    async def status(self, *, seconds: float) -> ServerStatus:
        """Return the state. The store has at most a number of ``seconds`` to answer.

        Callers that ask at the same time get one answer, so that many of them cost the store no more than one.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(min(seconds, self._settings.store_timeout_seconds)))
            self._reading.add_done_callback(self._forget)
        return await asyncio.shield(self._reading)

    def _forget(self, _: object) -> None:
        self._reading = None

    async def _read(self, seconds: float) -> ServerStatus:
        settings, facts = self._settings, self._facts
        store = await self._store.status(seconds=seconds)
        now = time.monotonic()
        return ServerStatus(
            version=version("tallykeeper"),
            uptime_seconds=now - facts.began_at,
            workers=facts.workers,
            worker=facts.worker,
            worker_uptime_seconds=now - self._began_at,
            certificate_ends_at=None if self._tls is None else self._tls.lifetime[1],
            store_kind=_kind_of(settings.store, facts),
            store_location=_location_of(settings, facts),
            store=store,
            limits=(*self.worker_limits(), *self._certificate(), *await self._disk(), *_limits_of_store(store)),
        )

    def _certificate(self) -> Sequence[LimitUse]:
        if self._tls is None:
            return ()
        begin, end = self._tls.lifetime
        return (LimitUse("certificate", max(0, round(time.time() - begin)), max(1, round(end - begin)), "seconds"),)

    async def _disk(self) -> Sequence[LimitUse]:
        """Return the use of the disk that has the data directory, if this server's own store runs on it."""
        if not self._facts.store_is_embedded:
            return ()
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, self._settings.data_dir)
        except OSError:
            return ()
        return (LimitUse("disk of the data directory", usage.total - usage.free, max(1, usage.total), "bytes"),)


def _kind_of(url: str, facts: ServerFacts) -> StoreKind:
    return StoreKind.EMBEDDED if facts.store_is_embedded else _KINDS[parsed_store_url(url).topology]


def _location_of(settings: Settings, facts: ServerFacts) -> str:
    return str(settings.data_dir.absolute()) if facts.store_is_embedded else without_password(settings.store)


def _limits_of_store(store: StoreStatus) -> Sequence[LimitUse]:
    """Return the limits that the nodes of a store have."""
    uses = []
    for node in store.nodes:
        where = f" of {node.address}" if node.address else ""
        if node.memory_bytes_max:
            uses.append(LimitUse(f"store memory{where}", node.memory_bytes, node.memory_bytes_max, "bytes"))
        if node.clients_max:
            uses.append(LimitUse(f"store connections{where}", node.clients, node.clients_max))
    return uses
