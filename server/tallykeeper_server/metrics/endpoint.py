"""The address at which Prometheus reads the metrics: ``GET /metrics`` over HTTP, from threads beside the event loop.

prometheus_client negotiates the format and writes it; what there is to say, the event loop is asked for.
"""

import asyncio
import concurrent.futures
import contextlib
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
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
"""How long a client may take to send its request, and as long again to take each part of the answer."""
_CONNECTION_SECONDS: Final = 20.0
"""How long a connection may last in all."""
_CONNECTIONS_MAX: Final = 32
"""How many clients are connected at once. Beyond them, the oldest that has not sent its request is cut off, so that
slow clients never keep a scrape from being answered; or the oldest whose answer should be through by now."""
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

    def parse_request(self) -> bool:
        """Note that the request has come."""
        came = super().parse_request()
        if came and isinstance(self.server, _Server):
            self.server.connections.note_request(self.connection)
        return came

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # named by http.server
        """Log nothing."""


@dataclass(slots=True)
class _Connection:
    began_at: float
    has_asked: bool = False


class _Connections:
    """The clients that are connected, the oldest first."""

    def __init__(self) -> None:
        self._open: dict[socket.socket, _Connection] = {}
        self._changed = threading.Condition()

    def take(self, connection: socket.socket) -> bool:
        """Take a new one in, if need be in the place of one that is slow to ask; return whether there was room."""
        with self._changed:
            if len(self._open) >= _CONNECTIONS_MAX:
                asking = next((each for each, about in self._open.items() if not about.has_asked), None)
                slow = asking or self._slow_reader()
                if slow is None:
                    return False
                self._cut_off(slow)
            self._open[connection] = _Connection(time.monotonic())
        return True

    def note_request(self, connection: socket.socket) -> None:
        """Note that a client has sent its request."""
        with self._changed:
            if connection in self._open:
                self._open[connection].has_asked = True

    def leave(self, connection: socket.socket) -> None:
        """Forget one that has ended."""
        with self._changed:
            self._open.pop(connection, None)
            self._changed.notify_all()

    def cut_off_slow(self) -> None:
        """Cut off those that take too long."""
        now = time.monotonic()
        with self._changed:
            for connection, about in list(self._open.items()):
                allowed = _CONNECTION_SECONDS if about.has_asked else _REQUEST_SECONDS
                if now - about.began_at > allowed:
                    self._cut_off(connection)

    def wait_until_left(self, seconds: float) -> None:
        """Wait until all have ended, but no longer than so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open, seconds)

    def _slow_reader(self) -> socket.socket | None:
        """Return the oldest that has asked, if its answer should be through."""
        oldest, about = next(iter(self._open.items()))
        return oldest if time.monotonic() - about.began_at > GATHER_SECONDS else None

    def _cut_off(self, connection: socket.socket) -> None:
        """Wake the thread that waits for a client: what it waits for has ended."""
        del self._open[connection]
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingWSGIServer):
    """A thread for each request, but not for more than a few at once."""

    allow_reuse_port = False  # else a second server on the same port would take half of the requests

    def __init__(self, host: str, port: int, application: WSGIApplication) -> None:
        self.address_family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self.connections = _Connections()
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
        del client_address
        return self.connections.take(request)

    def service_actions(self) -> None:
        """Cut off clients that take too long, from time to time."""
        self.connections.cut_off_slow()

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # socketserver's
        """Answer a request, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.leave(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # socketserver's
        """Say that a connection broke, or was left open; it is the client's to try again."""
        del request, client_address
        log.debug("metrics not read", error=repr(sys.exception()))

    def end(self) -> None:
        """Stop listening, and let the requests under way be answered. Not to be called in the thread that serves."""
        self.shutdown()
        self.server_close()
        self.connections.wait_until_left(_LAST_ANSWERS_SECONDS)
