"""The way from an accepted socket to a connection: room for it, and the TLS handshake."""

import asyncio
import logging
import socket
from typing import Final, cast

from tallykeeper_server.transport.connection import Connection
from tallykeeper_server.transport.http2 import ErrorCode, last_words
from tallykeeper_server.transport.peers import address_of, peer_of
from tallykeeper_server.transport.shared import Shared
from tallykeeper_server.transport.tls import TlsContexts

_ACCEPT_PAUSE_SECONDS: Final = 0.5
"""Until sockets are accepted again after the process had no file descriptor for one."""

log = logging.getLogger(__name__)


class Greeter(asyncio.Protocol):
    """Meets an accepted socket in plaintext. It counts it and hands it to a Connection."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn away a socket for which there is no room, and begin with the others."""
        stream = cast("asyncio.Transport", transport)
        reason = self._shared.enter(peer_of(stream).address)
        if reason is None:
            _hand_over(self._shared, stream)
        else:
            log.warning("a connection was refused: %s", reason)
            stream.write(last_words(ErrorCode.ENHANCE_YOUR_CALM, reason.encode(), began=False))
            stream.close()


class SecuredGreeter(asyncio.Protocol):
    """Meets a socket after its TLS handshake. It hands it to a Connection if HTTP/2 was agreed on."""

    def __init__(self, shared: Shared, address: str) -> None:
        self._shared = shared
        self._address: str | None = address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a client that has chosen h2 by ALPN (RFC 9113, section 3.2)."""
        stream = cast("asyncio.Transport", transport)
        if stream.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            self._address = None
            _hand_over(self._shared, stream)
        else:
            log.info("a TLS client did not ask for HTTP/2 by ALPN")
            stream.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # lost for whatever reason
        """Count the socket out if it was not handed over."""
        if self._address is not None:
            self._shared.leave(self._address)
            self._address = None


def _hand_over(shared: Shared, transport: asyncio.Transport) -> None:
    """Let a connection go on, which then counts itself out."""
    connection = Connection(shared, peer_of(transport))
    transport.set_protocol(connection)
    connection.connection_made(transport)


class SecureListener:
    """Accepts sockets and secures them.

    Each is counted before its handshake, so that handshakes that never end have a limit, too, and takes the certificate
    that is current then. The event loop's own servers can do neither.
    """

    def __init__(self, shared: Shared, listener: socket.socket, tls: TlsContexts) -> None:
        """Accept from a listening socket until ``close``."""
        self._shared = shared
        self._listener = listener
        self._tls = tls
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = shared.loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more, and end the handshakes that are under way."""
        self._accepting.cancel()
        for handshake in self._handshakes:
            handshake.cancel()
        self._listener.close()

    async def _accept(self) -> None:
        while True:
            try:
                one, name = await self._shared.loop.sock_accept(self._listener)
            except OSError as error:
                log.warning("no connection can be accepted: %s", error)
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            address = address_of(name)
            reason = self._shared.enter(address)
            if reason is not None:
                log.warning("a connection was refused: %s", reason)
                one.close()
                continue
            handshake = self._shared.loop.create_task(self._secure(one, address))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _secure(self, one: socket.socket, address: str) -> None:
        seconds = self._shared.limits.handshake_seconds
        greeter = SecuredGreeter(self._shared, address)
        try:
            await self._shared.loop.connect_accepted_socket(
                lambda: greeter, one, ssl=self._tls.context, ssl_handshake_timeout=seconds
            )
        except OSError as error:  # ssl.SSLError is one, and so is what a timeout raises
            log.info("a TLS handshake with %s has failed: %s", address or "a unix socket", error)
            greeter.connection_lost(error)
            one.close()
        except asyncio.CancelledError:
            greeter.connection_lost(None)
            one.close()
            raise
