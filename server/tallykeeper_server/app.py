"""The composition root: puts store, engine and services together, and takes them apart again.

It alone knows all of them.
"""

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tallykeeper.v1 import batch_pb2, counter_pb2, inventory_pb2, ledger_pb2, namespace_pb2, reservation_pb2
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.domain.retention import Retention
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.lane import LaneLimits
from tallykeeper_server.engine.source import EngineSource
from tallykeeper_server.engine.watching import WatchHub, WatchLimits
from tallykeeper_server.rpc.batches import BatchServicer, changes_of_operations
from tallykeeper_server.rpc.counters import CounterServicer
from tallykeeper_server.rpc.health import Health
from tallykeeper_server.rpc.inventory import InventoryServicer
from tallykeeper_server.rpc.ledger import LedgerServicer
from tallykeeper_server.rpc.methods import service_handler
from tallykeeper_server.rpc.namespaces import NamespaceServicer
from tallykeeper_server.rpc.reservation_changes import ReservationChanges
from tallykeeper_server.rpc.reservations import ReservationServicer
from tallykeeper_server.settings import Settings, without_password
from tallykeeper_server.store.checks import StoreReport, check_store
from tallykeeper_server.store.connection import Connection
from tallykeeper_server.store.embedded import EmbeddedStore, find_binary
from tallykeeper_server.store.redis_store import RedisStore

_SERVICES: Final = {
    service.name: service
    for file in (counter_pb2, inventory_pb2, reservation_pb2, batch_pb2, ledger_pb2, namespace_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
}
_PING_INTERVAL_MS_MIN: Final = 10_000
"""How often a client may ask whether the server is there: one that does so more often is cut off. Ours asks every 30
seconds; gRPC allows one in five minutes unless told otherwise."""

log = structlog.get_logger()


class StartError(Exception):
    """The server cannot start. The message says why, in one line."""


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight and leave nothing behind.

    :raises StartError: the store or the address cannot be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    stopped = asyncio.create_task(stop.wait())
    server = running(settings)
    start = asyncio.create_task(server.__aenter__())
    # A store with much data takes a while to start; who wants to stop meanwhile need not wait for it.
    await asyncio.wait([start, stopped], return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        start.cancel()
        await asyncio.wait([start])
    else:
        await start
        await stopped
        log.info("stopping", drain_seconds=settings.drain_seconds)
        await server.__aexit__(None, None, None)
    log.info("stopped")


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """Run a server, and give the address at which it listens.

    :raises StartError: the store or the address cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            url = settings.store
            if url == "embedded":
                binary = find_binary(settings.store_binary)
                embedded = EmbeddedStore(settings.data_dir, binary)
                url = (await stack.enter_async_context(embedded)).url
            report = await _check(url, settings)
            store = RedisStore(
                url,
                timeout_seconds=settings.store_timeout_seconds,
                retention=_retention(settings),
            )
        except TallyError as error:
            where = "" if settings.store == "embedded" else f"{without_password(settings.store)}: "
            message = f"{where}{error.message}"
            raise StartError(message) from error
        stack.push_async_callback(store.close)

        engine = _engine(store, settings)
        source = EngineSource(engine, store, query_seconds=settings.deadline_seconds)
        hub = WatchHub(source, _watch_limits(settings))
        health = Health(tuple(service.full_name for service in _SERVICES.values()))
        server = _server(_servicers(engine, source, hub, settings), health, settings)
        address = _bind(server, settings.listen)
        await health.tell(serves=True)
        await server.start()
        stack.push_async_callback(server.stop, settings.drain_seconds)
        stack.push_async_callback(hub.close)
        stack.push_async_callback(health.end)
        for task in (
            _watch_store(store, health, settings.store_check_seconds),
            _sweep(store, settings.sweep_seconds),
        ):
            stack.push_async_callback(_cancel, asyncio.create_task(task))
        _announce(address, settings, report)
        yield address


async def _check(url: str, settings: Settings) -> StoreReport:
    connection = Connection(url, timeout_seconds=settings.store_timeout_seconds)
    try:
        return await check_store(connection)
    finally:
        await connection.close()


def _engine(store: RedisStore, settings: Settings) -> Engine:
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
        bookmark_seconds=settings.bookmark_seconds,
    )


def _servicers(engine: Engine, source: EngineSource, hub: WatchHub, settings: Settings) -> dict[str, object]:
    """Return what serves each service."""
    retention = _retention(settings)
    reservations = ReservationChanges(lifetime_ms_max=retention.reservation_lifetime_ms)
    return {
        "CounterService": CounterServicer(engine),
        "InventoryService": InventoryServicer(engine),
        "ReservationService": ReservationServicer(engine, reservations),
        "BatchService": BatchServicer(engine, changes_of_operations(reservations)),
        "LedgerService": LedgerServicer(engine, source, hub),
        "NamespaceService": NamespaceServicer(engine, retention),
    }


def _server(servicers: Mapping[str, object], health: Health, settings: Settings) -> grpc.aio.Server:
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", settings.message_bytes_max),
            ("grpc.so_reuseport", 0),  # else a second server on the same port would take half of the calls
            ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_INTERVAL_MS_MIN),
        ]
    )
    server.add_generic_rpc_handlers(
        [
            service_handler(service, servicers[name], default_deadline_seconds=settings.deadline_seconds)
            for name, service in _SERVICES.items()
        ]
    )
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if settings.reflection:
        names = (
            *(service.full_name for service in _SERVICES.values()),
            "grpc.health.v1.Health",
            reflection.SERVICE_NAME,
        )
        reflection.enable_server_reflection(names, server)
    return server


def _bind(server: grpc.aio.Server, listen: str) -> str:
    """Bind the address and return it with the port that was chosen where it asked for any."""
    try:
        if listen.startswith("unix:"):
            _make_way_for_socket(listen.removeprefix("unix:"))
            server.add_insecure_port(listen)
            return listen
        host, _, port = listen.rpartition(":")
        _try_to_bind(host.strip("[]"), int(port))
        return f"{host}:{server.add_insecure_port(listen)}"
    except (OSError, RuntimeError, UnicodeError) as error:  # UnicodeError: an overlong host name
        message = f"cannot listen on {listen}: {getattr(error, 'strerror', None) or error}"
        raise StartError(message) from error


def _try_to_bind(host: str, port: int) -> None:
    """Return if the address can be bound. gRPC does not say why one cannot, and logs lines of its own about it.

    :raises OSError: it is in use, or not an address of this machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def _make_way_for_socket(path: str) -> None:
    """Remove the socket of a server that was killed. gRPC would take it from one that runs, too.

    :raises OSError: a server listens on it, something else is there, or nothing can be.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(path)
        except OSError as error:
            probe.settimeout(0)  # a server that has no room for another connection is in use as well
            in_use = error.errno != errno.EADDRINUSE or probe.connect_ex(path) != errno.ECONNREFUSED
            if in_use or not Path(path).is_socket():
                raise
    Path(path).unlink()


async def _watch_store(store: RedisStore, health: Health, interval_seconds: float) -> None:
    """Say that the services serve while the store answers, and that they do not while it is away."""
    serves = True
    while True:
        served_before = serves
        try:
            await store.ping()
        except TallyError as error:
            serves = False
            if served_before:
                log.warning("not serving", error=error.message)
        else:
            serves = True
            if not served_before:
                log.info("serving again")
        if serves != served_before:
            await health.tell(serves=serves)
        await asyncio.sleep(interval_seconds)


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


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _announce(address: str, settings: Settings, report: StoreReport) -> None:
    """Say where the server listens, where its data lies, which promise holds and what to try next."""
    log.info("serving", listen=address, version=version("tallykeeper"), process_id=os.getpid())
    if settings.store == "embedded":
        log.info("store", kind=report.name, data_dir=str(settings.data_dir.absolute()))
    else:
        log.info("store", kind=report.name, url=without_password(settings.store))
    if report.syncs_each_write:
        log.info("promise", durability="fsync", survives="an acknowledged change survives a power cut")
    for shortcoming in report.shortcomings:
        log.warning("a promise does not hold", reason=shortcoming)
    log.info("try next", command=f"tallykeeper demo --target {address}")
