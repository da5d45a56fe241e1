"""Builds the server of one process: joins the store, the engine, the services and the transport, and stops them.

It alone knows all of them. It does not know whether other processes serve too.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from tallykeeper.v1 import (
    batch_pb2,
    counter_pb2,
    inventory_pb2,
    ledger_pb2,
    namespace_pb2,
    reservation_pb2,
    server_pb2,
)
from tallykeeper_server.access.access_file import AccessFileError
from tallykeeper_server.access.authorizer import Authorizer
from tallykeeper_server.app import http_gateway
from tallykeeper_server.app.background_tasks import follow_access_file, running_tasks, sweep_forever
from tallykeeper_server.app.certificates import TlsFiles, tls_files
from tallykeeper_server.app.listen_address import binding, is_unix, kept_address, kept_http_address
from tallykeeper_server.app.process_metrics import metrics_of_this_process
from tallykeeper_server.app.server_facts import ServerFacts
from tallykeeper_server.app.status_source import StatusReader
from tallykeeper_server.app.store_monitor import StoreMonitor
from tallykeeper_server.app.store_startup import StartError, announce, ready_store
from tallykeeper_server.app.traces import Parts, parts_of
from tallykeeper_server.domain.durability import Retention
from tallykeeper_server.domain.server_status import LimitUse, StatusSource
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.lane import LaneLimits
from tallykeeper_server.engine.namespace_reader import EngineSource
from tallykeeper_server.engine.watch import WatchHub, WatchLimits
from tallykeeper_server.http.gateway import Gateway
from tallykeeper_server.metrics.meters import CallMeters, StoreMeter, WatchMeter
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.metrics.snapshots import GatherAll, merged
from tallykeeper_server.rpc.admission import Overload
from tallykeeper_server.rpc.batches import BatchServicer
from tallykeeper_server.rpc.counters import CounterServicer
from tallykeeper_server.rpc.dispatch import Handlers, service_methods
from tallykeeper_server.rpc.inventory import InventoryServicer
from tallykeeper_server.rpc.ledger import LedgerServicer
from tallykeeper_server.rpc.namespaces import NamespaceServicer
from tallykeeper_server.rpc.operations import mutation_methods
from tallykeeper_server.rpc.reservations import ReservationServicer
from tallykeeper_server.rpc.response_limits import ResponseLimits
from tallykeeper_server.rpc.server.servicer import ServerServicer
from tallykeeper_server.rpc.statuses import CODES, explained
from tallykeeper_server.runtime.lifecycle import StopSignals, live
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.redis_store import RedisStore
from tallykeeper_server.transport.health import SERVICE as HEALTH_SERVICE
from tallykeeper_server.transport.health import Health
from tallykeeper_server.transport.limits import TransportLimits
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.reflection import Reflection
from tallykeeper_server.transport.server import TransportServer

_SECOND_BATCH_MIN: Final = 16
"""The fewest changes that are worth a second script call under way: then the worker and the store are busy at once."""
_SECOND_BATCH_MIN_ON_BUSY_CORES: Final = 48
"""The same if each core has a worker: then another worker is busy, and fewer and larger script calls cost less."""
_SERVICES: Final = {
    service.name: service
    for file in (counter_pb2, inventory_pb2, reservation_pb2, batch_pb2, ledger_pb2, namespace_pb2, server_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
}

log = structlog.get_logger()


@dataclass(slots=True)
class Server:
    """The server of this process."""

    address: str
    """The address at which it listens."""
    http_address: str
    """The address of HTTP; empty if it serves no HTTP."""
    drain_seconds: float
    """The time that calls in flight have to end once the server stops, in seconds."""
    health: Health

    async def leave(self) -> None:
        """Report through the health service that the server does not serve, while it still serves."""
        self.health.leave()


async def serve(settings: Settings) -> None:
    """Serve in this process alone until SIGTERM or SIGINT; then finish the calls in flight and stop.

    :raises StartError: the store or the address cannot be used.
    """
    signals = StopSignals(reload=_refuse_to_reload)
    await live(running(settings), signals.stop, started=lambda _: None)
    log.info("stopped")


def _refuse_to_reload() -> None:
    log.warning("settings are read again only where several workers serve: set workers, or restart")


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Server]:
    """Run a server with its store within this context, and log its address, its store and its promises.

    :raises StartError: the store or the address cannot be used.
    """
    metrics = metrics_of_this_process()
    async with ready_store(settings) as store:
        with kept_address(settings.listen) as address, kept_http_address(settings.http_listen) as http_address:
            here = replace(settings, listen=address, http_listen=http_address)
            facts = ServerFacts(store_is_embedded=settings.store == "embedded")
            async with serving(here, store.url, metrics, gather_all=merged(metrics.gather), facts=facts) as server:
                announce(here, store.report, workers=1)
                yield server
                log.info("stopping", drain_seconds=settings.drain_seconds)


@contextlib.asynccontextmanager
async def serving(
    settings: Settings,
    store_url: str,
    metrics: Metrics,
    *,
    gather_all: GatherAll,
    facts: ServerFacts,
    sweeps: bool = True,
) -> AsyncIterator[Server]:
    """Serve within this context from a store that is ready, at addresses that are kept for the listeners.

    ``gather_all`` returns the metrics of all processes of the server. ``facts`` is what its settings do not say.
    ``sweeps``: expire the reservations whose time is up, and log the promises of the store. One worker does both.

    :raises StartError: the address cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        parts = await stack.enter_async_context(parts_of(settings, store_url, metrics))
        store = parts.store(
            store_url,
            timeout_seconds=settings.store_timeout_seconds,
            retention=_retention(settings),
            policy=settings.policy,
            meter=StoreMeter(metrics) if settings.http_listen else None,
        )
        stack.push_async_callback(store.close)

        engine = _engine(store, settings, metrics, parts)
        source = EngineSource(engine, store, query_seconds=settings.deadline_seconds)
        hub = WatchHub(source, _watch_limits(settings), WatchMeter(metrics))
        store.scripts.on_revisions_lost = hub.lose
        authorizer = None if settings.access_file is None else _authorizer_of(settings.access_file)
        health = Health(tuple(service.full_name for service in _SERVICES.values()))
        serves = Server(settings.listen, settings.http_listen, settings.drain_seconds, health)
        meters = CallMeters(metrics, reasons=tuple(CODES), meter_class=parts.call_meter)
        tls = tls_files(settings)
        status = StatusReader(settings, facts, store, tls)
        servicers = _servicers(engine, source, hub, meters, settings, status=status)
        servers = _servers(
            settings,
            engine,
            servicers,
            health=health,
            meters=meters,
            authorizer=authorizer,
            gather_all=gather_all,
            handlers=parts.handlers,
        )
        status.worker_limits = lambda: _limits_of_worker(settings, engine, hub, servers)
        stack.push_async_callback(lambda: servers.stop(serves.drain_seconds))
        monitor = StoreMonitor(store, health, check_seconds=settings.promise_check_seconds, logs_promises=sweeps)
        await monitor.check()
        health.tell(serves=True)
        if servers.gateway is not None:
            http_gateway.listen(servers.gateway, settings)
        await _listen(servers.transport, settings, tls)
        stack.push_async_callback(hub.close)
        stack.callback(health.close)
        works = [monitor.watch(settings.store_check_seconds)]
        if sweeps:
            works.append(sweep_forever(store, settings.sweep_seconds))
        if authorizer is not None:
            works.append(follow_access_file(authorizer))
        async with running_tasks(*works):
            yield serves


@dataclass(frozen=True, slots=True)
class _Servers:
    """The servers of this process: gRPC, and HTTP if it is enabled."""

    transport: TransportServer
    gateway: Gateway | None

    @property
    def unread_response_bytes(self) -> int:
        """The bytes of responses that callers have not read."""
        return self.transport.unread_response_bytes + (self.gateway.connections.unread_bytes if self.gateway else 0)

    async def stop(self, drain_seconds: float) -> None:
        """Drain both at the same time."""
        gateways = [] if self.gateway is None else [self.gateway.stop(drain_seconds)]
        await asyncio.gather(self.transport.stop(drain_seconds), *gateways)


def _servers(
    settings: Settings,
    engine: Engine,
    servicers: Mapping[str, object],
    *,
    health: Health,
    meters: CallMeters,
    authorizer: Authorizer | None,
    gather_all: GatherAll,
    handlers: Handlers,
) -> _Servers:
    """Return the servers with the methods of all services. They do not listen yet."""
    overload = Overload(mutations=engine.mutations, queries=engine.queries)
    response_limits = ResponseLimits(settings.unread_bytes_max // 2, settings.waiting_queries_max)
    mutations = mutation_methods(engine, reservation_ttl_ms_max=_reservation_ttl_ms_max(settings))
    methods = [
        method
        for name, servicer in servicers.items()
        for method in service_methods(
            _SERVICES[name],
            servicer,
            mutations=mutations,
            default_deadline_seconds=settings.deadline_seconds,
            response_limits=response_limits,
            overload=overload,
            meters=meters,
            authorizer=authorizer,
            require_request_ids=settings.require_request_ids,
            handlers=handlers,
        )
    ]
    transport = TransportServer(
        [*methods, *_standard_methods(health, settings)],
        limits=_transport_limits(settings),
        admit=overload.admit,
        explain=explained,
    )
    gateway = None
    if settings.http_listen:
        gateway = http_gateway.gateway_of(
            methods, _SERVICES.values(), settings=settings, overload=overload, health=health, gather_all=gather_all
        )
    servers = _Servers(transport, gateway)
    response_limits.track_unread(lambda: servers.unread_response_bytes, meters.unread_bytes)
    return servers


def _limits_of_worker(settings: Settings, engine: Engine, hub: WatchHub, servers: _Servers) -> Sequence[LimitUse]:
    """Return the limits of this worker, with their use at this moment."""
    transport, gateway = servers.transport, servers.gateway
    http = () if gateway is None else (len(gateway.connections),)
    return (
        LimitUse("connections", transport.connections, settings.connections_max),
        *(LimitUse("HTTP connections", count, settings.http_connections_max) for count in http),
        LimitUse("waiting mutations", engine.mutations.load, settings.waiting_mutations_max),
        LimitUse("waiting queries", engine.queries.load, settings.waiting_queries_max),
        LimitUse("watches", hub.watches, settings.watches_max),
        LimitUse("watched namespaces", hub.namespaces, settings.watched_namespaces_max),
        LimitUse("requests in memory", transport.waiting_request_bytes, settings.request_bytes_max, "bytes"),
        LimitUse("unread responses", servers.unread_response_bytes, settings.unread_bytes_max, "bytes"),
    )


def _engine(store: RedisStore, settings: Settings, metrics: Metrics, parts: Parts) -> Engine:
    return Engine(
        store,
        mutation_limits=LaneLimits(
            batch_items_max=settings.script_mutations_max,
            waiting_items_max=settings.waiting_mutations_max,
            pause_seconds=settings.pause_ms / 1_000,
            second_batch_min=_SECOND_BATCH_MIN if settings.has_idle_cores else _SECOND_BATCH_MIN_ON_BUSY_CORES,
        ),
        query_limits=LaneLimits(
            batch_items_max=settings.script_mutations_max,
            waiting_items_max=settings.waiting_queries_max,
            pause_seconds=0.0,
        ),
        metrics=metrics,
        make_lane=parts.make_lane,
    )


def _retention(settings: Settings) -> Retention:
    return Retention(
        request_ms=settings.request_retention_seconds * 1_000,
        ledger_revisions=settings.ledger_revisions_max,
        reservation_ms=settings.reservation_retention_seconds * 1_000,
        reservation_lifetime_ms=_reservation_ttl_ms_max(settings),
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


def _authorizer_of(path: Path) -> Authorizer:
    try:
        return Authorizer(path)
    except AccessFileError as error:
        raise StartError(str(error)) from error


def _servicers(
    engine: Engine,
    source: EngineSource,
    hub: WatchHub,
    meters: CallMeters,
    settings: Settings,
    *,
    status: StatusSource,
) -> Mapping[str, object]:
    """Return the servicer of each service."""
    return {
        "CounterService": CounterServicer(engine),
        "InventoryService": InventoryServicer(engine),
        "ReservationService": ReservationServicer(engine),
        "BatchService": BatchServicer(
            engine, reservation_ttl_ms_max=_reservation_ttl_ms_max(settings), refusals=meters.refusals
        ),
        "LedgerService": LedgerServicer(engine, source, hub),
        "NamespaceService": NamespaceServicer(engine, _retention(settings), settings.policy),
        "ServerService": ServerServicer(status),
    }


def _reservation_ttl_ms_max(settings: Settings) -> int:
    return settings.reservation_lifetime_seconds * 1_000


def _standard_methods(health: Health, settings: Settings) -> Sequence[Method]:
    """Return the methods of the standard services: health and, if the settings ask for it, reflection."""
    if not settings.reflection:
        return health.methods()
    names = (*(service.full_name for service in _SERVICES.values()), HEALTH_SERVICE)
    return (*health.methods(), *Reflection(names).methods())


def _transport_limits(settings: Settings) -> TransportLimits:
    return TransportLimits(
        connections_max=settings.connections_max,
        connections_per_address_max=settings.connections_per_address_max,
        handshake_seconds=settings.handshake_seconds,
        streams_per_connection_max=settings.streams_max,
        streams_max=settings.calls_max,
        header_list_bytes_max=settings.header_list_bytes_max,
        message_bytes_max=settings.message_bytes_max,
        waiting_request_bytes_per_connection_max=settings.request_bytes_per_connection_max,
        waiting_request_bytes_max=settings.request_bytes_max,
        unread_response_bytes_per_connection_max=settings.unread_bytes_per_connection_max,
        unread_response_bytes_max=settings.unread_bytes_max,
        stalled_seconds=settings.stalled_seconds,
        resets_per_second=settings.resets_per_second_max,
        pings_per_second=settings.pings_per_second_max,
        control_frames_per_second=settings.control_frames_per_second_max,
        bad_compressions_per_second=settings.bad_compressions_per_second_max,
        idle_seconds=settings.idle_seconds,
        keepalive_seconds=settings.keepalive_seconds,
        keepalive_timeout_seconds=settings.keepalive_timeout_seconds,
        half_sent_call_seconds=settings.half_sent_seconds,
        connection_age_seconds=settings.connection_age_seconds or math.inf,
        connection_age_grace_seconds=settings.drain_seconds,
    )


async def _listen(transport: TransportServer, settings: Settings, tls: TlsFiles | None) -> None:
    """Accept connections at the address of the settings.

    :raises StartError: the address cannot be bound.
    """
    with binding(settings.listen):
        await transport.listen(settings.listen, tls=tls, reuse_port=not is_unix(settings.listen))
