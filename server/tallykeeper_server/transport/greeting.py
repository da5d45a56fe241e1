"""The way from an accepted socket to a connection: room for it, and the TLS handshake."""

import asyncio
import logging
from typing import cast

from tallykeeper_server.transport.connection import Connection
from tallykeeper_server.transport.http2 import ErrorCode, last_words
from tallykeeper_server.transport.peers import peer_of
from tallykeeper_server.transport.shared import Shared
from tallykeeper_server.transport.tls import ServerTls

log = logging.getLogger(__name__)


class Greeter(asyncio.Protocol):
    """Meets an accepted socket. It counts it, secures it, and hands it to a Connection."""

    def __init__(self, shared: Shared, tls: ServerTls | None) -> None:
        self._shared = shared
        self._tls = tls
        self._address: str | None = None
        self._early = bytearray()
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn a socket away for which there is no room; begin with the others."""
        socket = cast("asyncio.Transport", transport)
        peer = peer_of(socket)
        reason = self._shared.enter(peer.address)
        if reason is not None:
            log.warning("a connection of %s was refused: %s", peer.name, reason)
            if self._tls is None:
                socket.write(last_words(ErrorCode.ENHANCE_YOUR_CALM, reason.encode()))
            socket.close()
            return
        if self._tls is None:
            self._hand_over(socket)
            return
        self._address = peer.address
        socket.pause_reading()
        self._handshake = self._shared.loop.create_task(self._secure(socket, self._tls))

    async def _secure(self, socket: asyncio.Transport, tls: ServerTls) -> None:
        seconds = self._shared.limits.handshake_seconds
        try:
            secured = await self._shared.loop.start_tls(
                socket, self, tls.context, server_side=True, ssl_handshake_timeout=seconds
            )
        except (OSError, ConnectionError) as error:  # ssl.SSLError is an OSError
            log.info("a TLS handshake has failed: %s", error)
            secured = None
        if secured is None:
            self._depart()
            socket.abort()
            return
        chosen = secured.get_extra_info("ssl_object").selected_alpn_protocol()
        if chosen != "h2":
            log.info("a TLS client did not ask for HTTP/2 by ALPN")
            self._depart()
            secured.abort()
            return
        if self._address is not None:
            self._hand_over(secured)

    def _hand_over(self, transport: asyncio.Transport) -> None:
        """Let a connection go on; it counts itself out."""
        self._address = None
        connection = Connection(self._shared, peer_of(transport))
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if self._early:
            connection.data_received(bytes(self._early))

    def data_received(self, data: bytes) -> None:
        """Keep what arrives with the last bytes of the handshake, before the connection is there."""
        self._early += data

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # the peer has left, for whatever reason
        """Count a socket out that was lost before it was handed over."""
        self._depart()

    def _depart(self) -> None:
        if self._address is not None:
            self._shared.leave(self._address)
            self._address = None
