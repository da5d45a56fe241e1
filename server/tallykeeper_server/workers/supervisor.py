"""The supervisor: the parent of the workers. It owns the store and the address, and handles the signals.

It never loads gRPC, because a process that has used gRPC cannot safely start others.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import structlog

from tallykeeper_server.app.listen_address import kept_address, kept_http_address
from tallykeeper_server.app.process_metrics import metrics_of_this_process
from tallykeeper_server.app.server_facts import ServerFacts
from tallykeeper_server.app.store_startup import StartError, announce, ready_store
from tallykeeper_server.metrics.meters import PoolMeter
from tallykeeper_server.metrics.snapshots import Snapshot, merged
from tallykeeper_server.runtime.lifecycle import StopSignals, live
from tallykeeper_server.runtime.logs import configure_logs
from tallykeeper_server.settings import Settings, SettingsError
from tallykeeper_server.workers.pool import Pool

_KEPT: Final = ("store", "store_binary", "data_dir", "listen", "http_listen", "workers")
"""The settings that a reload does not change."""

log = structlog.get_logger()


async def supervise(settings: Settings, *, workers: int, read_again: Callable[[], Settings]) -> None:
    """Serve with a number of workers until SIGTERM or SIGINT. Then drain them one after another.

    A second signal kills them. SIGHUP calls ``read_again``, which raises SettingsError if the settings cannot be used,
    and replaces the workers one after another.

    :raises StartError: the store or the address cannot be used, or a worker does not serve.
    """
    supervisor = Supervisor(settings, workers=workers, read_again=read_again)
    signals = StopSignals(reload=supervisor.reload_soon, hurry=supervisor.hurry)
    await live(supervisor.running(), signals.stop, started=lambda _: None)
    log.info("stopped")


class Supervisor:
    """One server from its start to its end."""

    def __init__(self, settings: Settings, *, workers: int, read_again: Callable[[], Settings]) -> None:
        """Take the settings without starting anything."""
        self._settings = settings
        self._size = workers
        self._read_again = read_again
        self._metrics = metrics_of_this_process()
        self._gather_all = merged(self._gather)
        facts = ServerFacts(store_is_embedded=settings.store == "embedded", workers=workers)
        self._pool = Pool(facts, PoolMeter(self._metrics), {"metrics of all": self._answer_metrics})
        self._reload_wanted = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the store and the workers. The store ends last.

        :raises StartError: the store or the address cannot be used, or a worker does not serve.
        """
        async with ready_store(self._settings) as store:
            with (
                kept_address(self._settings.listen) as address,
                kept_http_address(self._settings.http_listen) as http_address,
            ):
                place: dict[str, Any] = {"store": store.url, "listen": address, "http_listen": http_address}
                await self._pool.start(replace(self._settings, **place))
                reloading = asyncio.create_task(self._reload_when_wanted(place))
                here = replace(self._settings, listen=address, http_listen=http_address)
                announce(here, store.report, workers=self._size)
                yield
                log.info("stopping", drain_seconds=self._settings.drain_seconds)
                reloading.cancel()
                await asyncio.wait([reloading])
                await self._pool.stop(self._settings.drain_seconds)

    def reload_soon(self) -> None:
        """Read the settings again as soon as all workers serve."""
        self._reload_wanted.set()

    def hurry(self) -> None:
        """Kill the workers without waiting for calls in flight."""
        log.warning("stopping at once: calls in flight are cut off")
        self._pool.kill()

    async def _gather(self) -> list[Snapshot]:
        """Return the metrics of all processes of this server, without those of the store."""
        return [self._metrics.snapshot(), *await self._pool.metrics()]

    async def _answer_metrics(self, _: None) -> Snapshot | None:
        """Answer a worker that shows the metrics of all processes."""
        return await self._gather_all()

    async def _reload_when_wanted(self, place: Mapping[str, Any]) -> None:
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            await self._reload(place)

    async def _reload(self, place: Mapping[str, Any]) -> None:
        """Replace the workers by ones with the present settings, except for those in ``_KEPT``."""
        log.info("reading the settings again")
        try:
            read = self._read_again()
        except SettingsError as error:
            log.error("the settings stay as they are", error=str(error))  # noqa: TRY400  # the line says it all
            return
        settings = replace(read, **{name: getattr(self._settings, name) for name in _KEPT})
        try:
            await self._pool.reload(replace(settings, **place))
        except StartError as error:
            log.error("the reload stopped because a worker does not start", error=str(error))  # noqa: TRY400  # no bug
            return
        changed = [name for name in _KEPT if getattr(read, name) != getattr(self._settings, name)]
        if changed:
            log.warning("these settings change only with the next start", settings=changed)
        self._settings = settings
        configure_logs(level=settings.log_level, log_format=settings.log_format)
        log.info("the settings are in force")
