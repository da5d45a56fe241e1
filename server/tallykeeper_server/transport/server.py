"""The server: its listeners, its limits in time, and its end."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tallykeeper_server.transport.acceptor import Acceptor
from tallykeeper_server.transport.http2.connection import Connection
from tallykeeper_server.transport.http2.patience import enforce
from tallykeeper_server.transport.http2.server_state import Admit, Explain, Shared
from tallykeeper_server.transport.http2.session import ErrorCode, last_words
from tallykeeper_server.transport.limits import TransportLimits
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.peers import Peer
from tallykeeper_server.transport.sockets import address_of, listening_sockets
from tallykeeper_server.transport.tls import TlsContexts

_GREETING_SECONDS: Final = 2.0
"""The time for TLS handshakes in progress when the server stops."""
_SETTLE_SECONDS: Final = 1.0
"""The time for the handlers of ended calls, and for the last bytes."""

log = logging.getLogger(__name__)


class TransportServer:
    """A gRPC server over HTTP/2 in the running event loop."""

    def __init__(
        self,
        methods: Iterable[Method],
        *,
        limits: TransportLimits | None = None,
        admit: Admit | None = None,
        explain: Explain | None = None,
    ) -> None:
        """Serve methods. ``admit`` takes the path of each call before the rest is read, and may return a refusal.

        ``explain`` takes a refusal of the transport, a NoRoomError or MessageTooLargeError, and returns the error for
        the caller, for example with details.

        :raises ValueError: two methods have one path.
        """
        self._limits = limits or TransportLimits()
        self._shared = Shared(methods, self._limits, admit, explain)
        self._acceptors: list[Acceptor] = []
        self._unix_paths: list[Path] = []
        self._watch = self._shared.loop.create_task(self._enforce_limits())

    async def listen(self, address: str, *, tls: TlsContexts | None = None, reuse_port: bool = False) -> str:
        """Accept connections on ``host:port``, ``[ipv6]:port`` or ``unix:path``; return the address with its port.

        :raises OSError: the address is in use or not one of this machine.
        :raises ValueError: it is not written like that.
        """
        sockets = listening_sockets(address, reuse_port=reuse_port)
        bound = address_of(sockets[0])
        if sockets[0].family is socket.AF_UNIX:
            self._unix_paths.append(Path(sockets[0].getsockname()))
        for one in sockets:
            acceptor = Acceptor(
                one,
                tls,
                self._shared,
                self._connect,
                handshake_seconds=self._limits.handshake_seconds,
                last_words=_last_words,
            )
            self._acceptors.append(acceptor)
        return bound

    @property
    def connections(self) -> int:
        """The number of connections, with those in their TLS handshake."""
        return self._shared.connections

    @property
    def calls_in_flight(self) -> int:
        """The number of calls in flight, without streams of responses."""
        return self._shared.calls

    @property
    def waiting_request_bytes(self) -> int:
        """The bytes of requests in memory, of all connections."""
        return self._shared.requests.bytes

    @property
    def unread_response_bytes(self) -> int:
        """The bytes of responses that peers have not read, of all connections."""
        return self._shared.responses.bytes

    async def stop(self, grace_seconds: float) -> None:
        """Stop accepting connections, finish the calls that have begun, and close.

        Clients get GOAWAY. They begin no more calls here, and may repeat calls that did not begin. Calls that last
        longer than the grace end with UNAVAILABLE.
        """
        for acceptor in self._acceptors:
            acceptor.close()
        for path in self._unix_paths:
            path.unlink(missing_ok=True)
        self._shared.draining = True
        for connection in self._connections():
            connection.drain()
        deadline = self._shared.loop.time() + grace_seconds
        for acceptor in self._acceptors:
            await acceptor.greeted(min(grace_seconds, _GREETING_SECONDS))
        await self._shared.emptied(deadline - self._shared.loop.time())
        for connection in self._connections():
            connection.stop()
        await self._shared.settle(_SETTLE_SECONDS)
        await self._shared.emptied(_SETTLE_SECONDS)
        for connection in self._connections():
            connection.abort()
        self._watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watch
        self._shared.deadlines.close()

    def _connect(self, stream: asyncio.Transport, peer: Peer) -> Connection | None:
        """Return a connection, unless a client with TLS has not chosen h2 by ALPN (RFC 9113, section 3.2)."""
        tls = stream.get_extra_info("ssl_object")
        if tls is None or tls.selected_alpn_protocol() == "h2":
            return Connection(self._shared, peer)
        log.info("a TLS client did not ask for HTTP/2 by ALPN")
        return None

    def _connections(self) -> list[Connection]:
        return [connection for connection in self._shared.open if isinstance(connection, Connection)]

    async def _enforce_limits(self) -> None:
        while True:
            await asyncio.sleep(self._limits.check_seconds)
            now = self._shared.loop.time()
            for connection in self._connections():
                enforce(connection, now)


def _last_words(reason: str) -> bytes:
    return last_words(ErrorCode.ENHANCE_YOUR_CALM, reason.encode(), began=False)
