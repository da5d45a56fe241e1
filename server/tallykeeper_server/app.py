"""The composition root: puts store, engine and services together, and takes them apart again.

It alone knows all of them. Whether one process serves or many is for others to know.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from tallykeeper.v1 import batch_pb2, counter_pb2, inventory_pb2, ledger_pb2, namespace_pb2, reservation_pb2
from tallykeeper_server.access.access_file import AccessFileError
from tallykeeper_server.access.gate import Gate
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.domain.retention import Retention
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.lane import LaneLimits
from tallykeeper_server.engine.source import EngineSource
from tallykeeper_server.engine.watching import WatchHub, WatchLimits
from tallykeeper_server.guarding import StoreGuard
from tallykeeper_server.lifetime import StopSignals, live
from tallykeeper_server.listening import binding, is_unix, kept_address
from tallykeeper_server.memory import Memory
from tallykeeper_server.metrics.meters import CallMeters, StoreMeter, WatchMeter
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.rpc.batches import BatchServicer, changes_of_operations
from tallykeeper_server.rpc.counters import CounterServicer
from tallykeeper_server.rpc.health import Health
from tallykeeper_server.rpc.inventory import InventoryServicer
from tallykeeper_server.rpc.ledger import LedgerServicer
from tallykeeper_server.rpc.long_answers import LongAnswers
from tallykeeper_server.rpc.methods import service_handler
from tallykeeper_server.rpc.namespaces import NamespaceServicer
from tallykeeper_server.rpc.reservation_changes import ReservationChanges
from tallykeeper_server.rpc.reservations import ReservationServicer
from tallykeeper_server.rpc.statuses import CODES
from tallykeeper_server.scraping import metrics_of_this_process, metrics_page
from tallykeeper_server.settings import Settings
from tallykeeper_server.starting import StartError, announce, ready_store
from tallykeeper_server.store.redis_store import RedisStore
from tallykeeper_server.tls import tls_files

_SERVICES: Final = {
    service.name: service
    for file in (counter_pb2, inventory_pb2, reservation_pb2, batch_pb2, ledger_pb2, namespace_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
}
_PING_INTERVAL_MS_MIN: Final = 10_000
"""How often a client may ask whether the server is there: one that does so more often is cut off. Ours asks every 30
seconds; gRPC allows one in five minutes unless told otherwise."""
_ACCESS_CHECK_SECONDS: Final = 1.0
"""How often the access file is looked at."""
_PENDING_CALLS_MAX: Final = 3_000
"""How many calls a listener has waiting in gRPC until Python takes them in. gRPC ends what is more with CANCELLED, and
already some of the last sixth; by default, of all beyond the first 1,000."""
_MEMORY_CHECK_SECONDS: Final = 5.0
LISTENERS: Final = 8
"""How many of gRPC's servers share the port. The kernel spreads connections over them; more than four gain nothing."""

log = structlog.get_logger()


@dataclass(slots=True)
class Server:
    """What serves in this process."""

    address: str
    """Where it listens."""
    drain_seconds: float
    """How long calls in flight may take from the moment that it is told to end."""
    health: Health

    async def leave(self) -> None:
        """Say from now on that it does not serve, while it still does."""
        await self.health.enter_graceful_shutdown()


async def serve(settings: Settings) -> None:
    """Serve by this process alone until SIGTERM or SIGINT, then finish what is in flight and leave nothing behind.

    :raises StartError: the store or the address cannot be used.
    """
    signals = StopSignals(reload=_refuse_to_reload)
    await live(running(settings), signals.stop, started=lambda _: None)
    log.info("stopped")


def _refuse_to_reload() -> None:
    log.warning("settings are read again only where several workers serve: set workers, or restart")


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """Run a server with its store, and say what it is.

    :raises StartError: the store or the address cannot be used.
    """
    metrics = metrics_of_this_process()
    async with ready_store(settings) as store:
        with kept_address(settings.listen) as address:
            async with (
                metrics_page(settings.metrics_listen, metrics.gather) as metrics_url,
                serving(replace(settings, listen=address), store.url, metrics) as server,
            ):
                announce(address, metrics_url, settings, store.report, workers=1)
                yield server
                log.info("stopping", drain_seconds=settings.drain_seconds)


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, store_url: str, metrics: Metrics, *, sweeps: bool = True
) -> AsyncIterator[Server]:
    """Serve from a store that is ready, at an address that is kept for this process, or for several.

    ``sweeps``: expire reservations whose time is up, though nobody asks for them. One worker of several does it.

    :raises StartError: the address cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        store = RedisStore(
            store_url,
            timeout_seconds=settings.store_timeout_seconds,
            retention=_retention(settings),
            policy=settings.policy,
            meter=StoreMeter(metrics) if settings.metrics_listen else None,
        )
        stack.push_async_callback(store.close)

        engine = _engine(store, settings, metrics)
        source = EngineSource(engine, store, query_seconds=settings.deadline_seconds)
        hub = WatchHub(source, _watch_limits(settings), WatchMeter(metrics))
        store.scripts.on_revisions_lost = hub.lose
        gate = None if settings.access_file is None else _gate(settings.access_file)
        health = Health(tuple(service.full_name for service in _SERVICES.values()))
        meters = CallMeters(metrics, reasons=tuple(CODES))
        listeners = _listeners(_handlers(engine, source, hub, meters, settings, gate=gate), health, settings)
        serves = Server(settings.listen, settings.drain_seconds, health)
        guard = StoreGuard(store, health, check_seconds=settings.promise_check_seconds, tells=sweeps)
        await guard.check()
        await health.tell(serves=True)
        for listener in listeners:
            await listener.start()
        stack.push_async_callback(lambda: _stop(listeners, serves.drain_seconds))
        stack.push_async_callback(hub.close)
        stack.push_async_callback(health.end)
        tasks = [guard.watch(settings.store_check_seconds), _give_memory_back()]
        if sweeps:
            tasks.append(_sweep(store, settings.sweep_seconds))
        if gate is not None:
            tasks.append(_follow(gate))
        for task in tasks:
            stack.push_async_callback(_cancel, asyncio.create_task(task))
        yield serves


def _engine(store: RedisStore, settings: Settings, metrics: Metrics) -> Engine:
    return Engine(
        store,
        mutation_limits=LaneLimits(
            batch_items_max=settings.script_mutations_max,
            waiting_items_max=settings.waiting_mutations_max,
            pause_seconds=settings.pause_ms / 1_000,
        ),
        query_limits=LaneLimits(
            batch_items_max=settings.script_mutations_max,
            waiting_items_max=settings.waiting_queries_max,
            pause_seconds=0.0,
        ),
        metrics=metrics,
    )


def _retention(settings: Settings) -> Retention:
    return Retention(
        request_ms=settings.request_retention_seconds * 1_000,
        ledger_revisions=settings.ledger_revisions_max,
        reservation_ms=settings.reservation_retention_seconds * 1_000,
        reservation_lifetime_ms=settings.reservation_lifetime_seconds * 1_000,
    )


def _watch_limits(settings: Settings) -> WatchLimits:
    return WatchLimits(
        watches_max=settings.watches_max,
        namespaces_max=settings.watched_namespaces_max,
        buffer_entries_max=settings.watch_buffer_entries_max,
        buffer_bytes_max=settings.watch_buffer_bytes_max,
        buffers_bytes_max=settings.watch_buffers_bytes_max,
        bookmark_seconds=settings.bookmark_seconds,
    )


def _gate(path: Path) -> Gate:
    try:
        return Gate(path)
    except AccessFileError as error:
        raise StartError(str(error)) from error


def _handlers(
    engine: Engine, source: EngineSource, hub: WatchHub, meters: CallMeters, settings: Settings, *, gate: Gate | None
) -> list[grpc.GenericRpcHandler]:
    """Return what serves each service."""
    retention = _retention(settings)
    reservations = ReservationChanges(lifetime_ms_max=retention.reservation_lifetime_ms)
    servicers = {
        "CounterService": CounterServicer(engine),
        "InventoryService": InventoryServicer(engine),
        "ReservationService": ReservationServicer(engine, reservations),
        "BatchService": BatchServicer(engine, changes_of_operations(reservations), meters.refusals),
        "LedgerService": LedgerServicer(engine, source, hub),
        "NamespaceService": NamespaceServicer(engine, retention, settings.policy),
    }
    long_answers = LongAnswers(settings.unread_bytes_max, settings.waiting_queries_max, meters.unread_bytes)
    seconds = settings.deadline_seconds
    return [
        service_handler(
            service,
            servicers[name],
            default_deadline_seconds=seconds,
            long_answers=long_answers,
            meters=meters,
            gate=gate,
        )
        for name, service in _SERVICES.items()
    ]


def _listeners(handlers: Sequence[grpc.GenericRpcHandler], health: Health, settings: Settings) -> list[grpc.aio.Server]:
    """Return gRPC's servers, bound to the address: several, for each takes in but one call at a time.

    :raises StartError: it cannot be bound, or not be secured.
    """
    count = 1 if is_unix(settings.listen) else LISTENERS
    listeners = [_listener(handlers, health, settings) for _ in range(count)]
    tls = tls_files(settings)
    with binding(settings.listen):
        for listener in listeners:
            if tls is None:
                listener.add_insecure_port(settings.listen)
            else:
                listener.add_secure_port(settings.listen, tls.credentials())
    return listeners


async def _stop(listeners: Sequence[grpc.aio.Server], grace_seconds: float) -> None:
    """Take no more calls, and end those that last longer than so many seconds."""
    await asyncio.gather(*(listener.stop(grace_seconds) for listener in listeners))


def _connection_options(settings: Settings) -> Iterator[tuple[str, int]]:
    """Yield what ends connections that nobody uses, or that never come to be used."""
    yield "grpc.server_handshake_timeout_ms", math.ceil(settings.handshake_seconds * 1_000)
    yield "grpc.max_connection_idle_ms", math.ceil(settings.idle_seconds * 1_000)
    yield "grpc.keepalive_time_ms", math.ceil(settings.keepalive_seconds * 1_000)
    yield "grpc.keepalive_timeout_ms", math.ceil(settings.keepalive_timeout_seconds * 1_000)
    yield "grpc.http2.ping_timeout_ms", math.ceil(settings.keepalive_timeout_seconds * 1_000)
    if settings.connection_age_seconds:
        yield "grpc.max_connection_age_ms", math.ceil(settings.connection_age_seconds * 1_000)
        yield "grpc.max_connection_age_grace_ms", math.ceil(settings.drain_seconds * 1_000)


def _listener(handlers: Sequence[grpc.GenericRpcHandler], health: Health, settings: Settings) -> grpc.aio.Server:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.message_bytes_max),
            ("grpc.so_reuseport", 1),
            ("grpc.max_concurrent_streams", settings.streams_max),
            # Else it counts calls that have ended for a while, and refuses callers who begin no more than they may.
            ("grpc.http.overload_protection", 0),
            ("grpc.server.max_pending_requests", _PENDING_CALLS_MAX * 5 // 6),
            ("grpc.server.max_pending_requests_hard_limit", _PENDING_CALLS_MAX),
            *_connection_options(settings),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_INTERVAL_MS_MIN),
        ]
    )
    server.add_generic_rpc_handlers(list(handlers))
    by_name: Any = _ByName(server)
    health_pb2_grpc.add_HealthServicer_to_server(health, by_name)
    if settings.reflection:
        names = (
            *(service.full_name for service in _SERVICES.values()),
            "grpc.health.v1.Health",
            reflection.SERVICE_NAME,
        )
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]  # generated
            reflection.aio.ReflectionServicer(names), by_name
        )
    return server


class _ByName:
    """Stands in for a server where gRPC's generated code adds handlers to one: they are found by name alone.

    Those that are registered besides, grpc.aio awaits one by one with each call that it takes in.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Add them."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """Leave it at that."""


async def _sweep(store: RedisStore, interval_seconds: float) -> None:
    """Expire the reservations whose time is up. Several servers may do so at once: each is expired by one of them."""
    swept = True
    while True:
        swept_before = swept
        try:
            expired = await store.sweep()
        except TallyError as error:
            swept = False
            if swept_before:
                log.warning("reservations are not swept", error=error.message)
        else:
            swept = True
            if expired:
                log.debug("swept", reservations=expired)
        await asyncio.sleep(interval_seconds)


async def _give_memory_back() -> None:
    memory = Memory()
    while True:
        await asyncio.sleep(_MEMORY_CHECK_SECONDS)
        await asyncio.to_thread(memory.give_back)


async def _follow(gate: Gate) -> None:
    """Let who may do what change with its file."""
    while True:
        await asyncio.sleep(_ACCESS_CHECK_SECONDS)
        await asyncio.to_thread(gate.follow)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
