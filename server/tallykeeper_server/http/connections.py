"""Connections of HTTP clients: uvicorn's protocol, with limits on a client's time and memory.

uvicorn limits the time between two requests. It does not limit the time until a first request has arrived, the time of
a header that comes byte by byte, or the time of a client that does not read.
"""

import asyncio
import contextlib
from collections import Counter
from typing import Any, Final, cast

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from tallykeeper_server.http.limits import HttpLimits
from tallykeeper_server.http.statuses import body_of, explained, refusal
from tallykeeper_server.transport.peers import Peer
from tallykeeper_server.transport.status import Code

_CHECK_SECONDS: Final = 1.0
"""The interval at which limits in time are checked, and the delay with which they may take effect."""

log = structlog.get_logger()


class Connections:
    """All connections of this worker, by the names of their sockets' peers."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._open: dict[object, GuardedConnection] = {}
        self._stalled: set[GuardedConnection] = set()
        self._left = asyncio.Event()
        self._addresses: Counter[str] = Counter()
        self.draining = False
        """The server stops: each response closes its connection."""

    def __len__(self) -> int:
        return sum(self._addresses.values())

    @property
    def unread_bytes(self) -> int:
        """The bytes of responses that slow clients have not read."""
        return sum(connection.unread_bytes for connection in self._stalled)

    def enter(self, address: str) -> str | None:
        """Count a connection from an address, and return None; or return why there is no room for it."""
        if len(self) >= self._limits.connections_max:
            return f"the server has its {self._limits.connections_max} HTTP connections"
        if self._addresses[address] >= self._limits.connections_per_address_max:
            return f"{address} has its {self._limits.connections_per_address_max} HTTP connections"
        self._addresses[address] += 1
        return None

    def leave(self, address: str) -> None:
        """Count a connection out."""
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]
        self._left.set()

    async def emptied(self, timeout_seconds: float) -> None:
        """Wait until all connections are closed, but no longer than a timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self._addresses:
                    self._left.clear()
                    await self._left.wait()

    def add(self, name: object, connection: "GuardedConnection") -> None:
        """Know an open connection by the name of its peer."""
        self._open[name] = connection

    def discard(self, name: object) -> None:
        """Forget a connection."""
        self._open.pop(name, None)

    def peer(self, client: object) -> Peer | None:
        """Return the peer that a request's scope names; None if its connection is closed already."""
        connection = self._open.get(client)
        return None if connection is None else connection.peer

    def begin_request(self, client: object) -> None:
        """Note that the header of a request has arrived."""
        if client in self._open:
            self._open[client].waits_since = None

    def end_request(self, client: object) -> None:
        """Note that a request is answered, and the next may come."""
        if client in self._open:
            self._open[client].await_request()

    async def enforce_limits(self) -> None:
        """End connections that take too long, again and again."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            now = asyncio.get_running_loop().time()
            for connection in list(self._open.values()):
                connection.enforce(now)

    def note_stalled(self, connection: "GuardedConnection") -> None:
        """Note that a client is slow to read. If such clients have too many unread bytes, end the one with the most."""
        self._stalled.add(connection)
        if self.unread_bytes > self._limits.unread_response_bytes_max:
            largest = max(self._stalled, key=lambda each: each.unread_bytes)
            largest.abort("its client does not read its responses, and there is no room for further ones")

    def note_read(self, connection: "GuardedConnection") -> None:
        """Note that a client has read, or is gone."""
        self._stalled.discard(connection)


class HttpConfig(uvicorn.Config):
    """uvicorn's configuration, with what our connections need."""

    def __init__(self, app: Any, connections: Connections, limits: HttpLimits) -> None:  # noqa: ANN401  # ASGI's type is uvicorn's
        super().__init__(
            app,
            http=GuardedConnection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=max(1, round(limits.idle_seconds)),
            h11_max_incomplete_event_size=limits.header_bytes_max,
        )
        self.guarded = connections
        self.limits = limits


class GuardedConnection(H11Protocol):
    """One connection. ``Connections`` knows it while it is open."""

    def __init__(self, config: HttpConfig, server_state: ServerState, peer: Peer) -> None:
        super().__init__(config, server_state, {})
        self._awaits_request = False
        self._limits = config.limits
        self._guarded = config.guarded
        self._stream: asyncio.Transport | None = None
        self._name: object = None
        self.peer = peer
        self.waits_since: float | None = None
        """Since when the rest of a header is missing, in the loop's time."""
        self.stalled_since: float | None = None
        """Since when the client has not read what was sent."""

    @property
    def unread_bytes(self) -> int:
        """The bytes that the client has not read."""
        return 0 if self._stream is None else self._stream.get_write_buffer_size()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a request."""
        stream = cast("asyncio.Transport", transport)
        self._stream = stream
        name = stream.get_extra_info("peername")
        if isinstance(name, tuple):  # else it is lost already
            self._name = (str(name[0]), int(name[1]))
            self._guarded.add(self._name, self)
        self.waits_since = asyncio.get_running_loop().time()
        super().connection_made(stream)

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a header from its first byte on."""
        if self._awaits_request:
            self._awaits_request = False
            self.waits_since = asyncio.get_running_loop().time()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the peer."""
        self._guarded.discard(self._name)
        self._guarded.note_read(self)
        self._guarded.leave(self.peer.address)
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's, which names no fault
        """Refuse bytes that are no request, and close; end the connection if a response is under way."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.abort("it has sent bytes that are no HTTP while its response was under way")
            return
        log.debug("an HTTP request was refused", peer=self.peer.name, reason="it is no HTTP")
        body = _no_http(self._limits.header_bytes_max)
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.transport.close()

    def pause_writing(self) -> None:
        """Note that the client is slow to read."""
        self.stalled_since = asyncio.get_running_loop().time()
        self._guarded.note_stalled(self)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that the client has read."""
        self.stalled_since = None
        self._guarded.note_read(self)
        super().resume_writing()

    def await_request(self) -> None:
        """Expect the next request. uvicorn limits the time until its first byte."""
        self._awaits_request = True

    def enforce(self, now: float) -> None:
        """End the connection if its client takes too long."""
        if self.waits_since is not None and now - self.waits_since > self._limits.header_seconds:
            self.abort(f"no request has arrived within {self._limits.header_seconds:g} s")
        elif self.stalled_since is not None and now - self.stalled_since > self._limits.stalled_seconds:
            self.abort(f"its client has not read its response for {self._limits.stalled_seconds:g} s")

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        log.debug("an HTTP connection was ended", peer=self.peer.name, reason=reason)
        if self._stream is not None:
            self._stream.abort()


def _no_http(header_bytes_max: int) -> bytes:
    """Return the body of the response to bytes that are no request."""
    rule = (
        f"must be HTTP/1.1 with a head of at most {header_bytes_max} bytes;"
        " spaces and characters beyond ASCII in the path and the query must be percent-encoded"
    )
    message = f"the request {rule}"
    facts = {"field": "request", "rule": rule}
    refused = refusal(400, Code.INVALID_ARGUMENT, "INVALID_HTTP", message, facts=facts)
    return body_of(explained(refused.error))
