"""Starts and checks the store once for a server with any number of workers, and logs what the server is.

It knows the store, but neither gRPC nor the engine.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import structlog

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.setting_types import without_password
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tallykeeper_server.store.nodes.open_routes import open_routes
from tallykeeper_server.store.nodes.routes import ChannelLimits
from tallykeeper_server.store.promises import StoreReport, check_store

_MEANINGS: Final = {
    Durability.FSYNC: "an acknowledged change survives a power cut",
    Durability.REPLICATED: "an acknowledged change survives the loss of one node",
    Durability.MEMORY: "an acknowledged change may be lost with the store's process",
}

_CURL: Final = (
    "or with curl: curl {url}/tallykeeper.v1.CounterService/Increment -H 'Content-Type: application/json'"
    """ -H "Idempotency-Key: $(date +%s)-$$" -d '{{"counter": "visits"}}'"""
)
"""The warning is the event itself. As a field it would be quoted, and nobody could paste it into a shell."""

log = structlog.get_logger()


class StartError(Exception):
    """The server cannot start. The message says why in one line."""


@dataclass(frozen=True, slots=True)
class ReadyStore:
    """A store that answers and can keep levels."""

    url: str
    """The URL of the store. It may contain a password."""
    report: StoreReport


@contextlib.asynccontextmanager
async def ready_store(settings: Settings) -> AsyncIterator[ReadyStore]:
    """Start the store if it is the server's own, and check it.

    :raises StartError: the store cannot be started, reached or used.
    """
    if settings.store == "embedded" and Durability.REPLICATED in settings.policy.levels:
        message = "the embedded store has no replicas, which level replicated needs; set store to one that has"
        raise StartError(message)
    async with contextlib.AsyncExitStack() as stack:
        try:
            url = settings.store
            if url == "embedded":
                binary = find_binary(settings.store_binary)
                embedded = EmbeddedStore(
                    settings.data_dir,
                    binary,
                    syncs=_syncs(settings.policy),
                    check_seconds=settings.promise_check_seconds,
                )
                url = (await stack.enter_async_context(embedded)).url
            report = await _check(url, settings)
        except TallyError as error:
            where = "" if settings.store == "embedded" else f"{without_password(settings.store)}: "
            message = f"{where}{error.message}"
            raise StartError(message) from error
        yield ReadyStore(url, report)


def announce(settings: Settings, report: StoreReport, *, workers: int) -> None:
    """Log the addresses of the server, the place of its data, the promises that hold, and commands to try next.

    The settings have the addresses.
    """
    http = {"http": _url_of(settings)} if settings.http_listen else {}
    log.info(
        "serving",
        listen=settings.listen,
        **http,
        version=version("tallykeeper"),
        process_id=os.getpid(),
        workers=workers,
    )
    if settings.store == "embedded":
        log.info("store", kind=report.name, data_dir=str(settings.data_dir.absolute()))
    else:
        log.info("store", kind=report.name, url=without_password(settings.store))
    for level in report.kept:
        log.info("promise", durability=level.value, means=_MEANINGS[level])
    for shortcoming in report.shortcomings:
        log.warning("a promise does not hold", reason=shortcoming)
    _announce_access(settings)
    if settings.access_file is None and settings.tls_certificate is None:
        log.info("try next", command=f"tallykeeper demo --target {settings.listen}")
        if settings.http_listen:
            log.info(_CURL.format(url=_url_of(settings)))


def _url_of(settings: Settings) -> str:
    """Return the URL of the HTTP server."""
    return f"{'http' if settings.tls_certificate is None else 'https'}://{settings.http_listen}"


def _announce_access(settings: Settings) -> None:
    """Log who may call, and whether the connections are encrypted."""
    tls = "none" if settings.tls_certificate is None else "mutual" if settings.tls_client_ca else "of the server"
    callers = "anybody" if settings.access_file is None else f"those that {settings.access_file} names"
    open_to_all = not settings.is_local and (settings.access_file is None or settings.tls_certificate is None)
    (log.warning if open_to_all else log.info)("access", tls=tls, callers=callers)


def _syncs(policy: DurabilityPolicy) -> bool:
    """Return whether the embedded store must sync each write. It need not if every level is memory."""
    return policy.levels != {Durability.MEMORY}


async def _check(url: str, settings: Settings) -> StoreReport:
    limits = ChannelLimits(changes=1, timeout_seconds=settings.store_timeout_seconds)
    routes = open_routes(url, limits)
    try:
        return await check_store(routes, settings.policy)
    finally:
        await routes.close()
