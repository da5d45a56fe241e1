"""The address at which Prometheus reads the metrics: ``GET /metrics`` over HTTP, from threads beside the event loop.

prometheus_client negotiates the format and writes it; what there is to say, the event loop is asked for.
"""

import asyncio
import concurrent.futures
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from socketserver import TCPServer
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from tallykeeper_server.metrics.page import SnapshotCollector
from tallykeeper_server.metrics.snapshots import Gather, Snapshot, Totals

PATH: Final = "/metrics"
GATHER_SECONDS: Final = 5.0
"""How long the processes may take to say what they counted. Prometheus itself gives up after 10 seconds."""
_REQUEST_SECONDS: Final = 5.0
"""How long a client may keep a thread waiting for its next bytes."""
_REQUESTS_MAX: Final = 8
"""How many are answered at once; what comes beyond them is cut off."""
_STOP_POLL_SECONDS: Final = 0.1
_LAST_ANSWERS_SECONDS: Final = 0.5
"""How long the requests that are under way may take when the server stops."""

log = structlog.get_logger()


@asynccontextmanager
async def metrics_served(host: str, port: int, gather: Gather) -> AsyncIterator[int]:
    """Serve the metrics of all processes that ``gather`` asks, and give the port: the one asked for, or any for 0.

    :raises OSError: the address cannot be used. UnicodeError: the host is no name at all.
    """
    totals = Totals()
    loop = asyncio.get_running_loop()

    async def gathered() -> Snapshot:
        async with asyncio.timeout(GATHER_SECONDS):
            return totals.merge(await gather())

    def snapshot() -> Snapshot:
        return asyncio.run_coroutine_threadsafe(gathered(), loop).result(2 * GATHER_SECONDS)

    server = _Server(host, port, _application(snapshot))
    thread = threading.Thread(target=server.serve_forever, args=(_STOP_POLL_SECONDS,), name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        await asyncio.to_thread(server.end)


def _application(snapshot: Callable[[], Snapshot]) -> WSGIApplication:
    """Return the WSGI application that shows what ``snapshot`` returns."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            return _told(start_response, "404 Not Found", f"The metrics are at {PATH}.")
        registry = CollectorRegistry()
        try:
            registry.register(SnapshotCollector(snapshot()))
        except (TimeoutError, concurrent.futures.CancelledError):
            return _told(start_response, "503 Service Unavailable", "The server did not say in time what it counted.")
        except Exception:
            log.exception("metrics could not be gathered")
            return _told(start_response, "500 Internal Server Error", "A defect of the server, which has logged it.")
        page: Iterable[bytes] = make_wsgi_app(registry)(environ, start_response)
        return page

    return application


def _told(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]


class _Handler(WSGIRequestHandler):
    """Answers one request and closes the connection."""

    timeout = _REQUEST_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # named by http.server
        """Log nothing."""


class _Server(ThreadingWSGIServer):
    """A thread for each request, but not for more than a few at once."""

    allow_reuse_port = False  # else a second server on the same port would take half of the requests

    def __init__(self, host: str, port: int, application: WSGIApplication) -> None:
        self.address_family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self._room = threading.BoundedSemaphore(_REQUESTS_MAX)
        super().__init__((str(address[0]), port), _Handler)
        self.set_app(application)

    def server_bind(self) -> None:
        """Bind, without asking the name service for this machine's own name as HTTPServer does."""
        TCPServer.server_bind(self)
        host, self.server_port = self.server_address[:2]
        self.server_name = str(host)
        self.setup_environ()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401  # socketserver's
        """Return whether there is room for another request."""
        del request, client_address
        return self._room.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # socketserver's
        """Answer a request, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # socketserver's
        """Say that a connection broke, or was left open; it is the client's to try again."""
        del request, client_address
        log.debug("metrics not read", error=repr(sys.exception()))

    def end(self) -> None:
        """Stop listening, and let the requests under way be answered. Not to be called in the thread that serves."""
        self.shutdown()
        self.server_close()
        deadline = time.monotonic() + _LAST_ANSWERS_SECONDS
        for _ in range(_REQUESTS_MAX):
            self._room.acquire(timeout=max(0.0, deadline - time.monotonic()))
