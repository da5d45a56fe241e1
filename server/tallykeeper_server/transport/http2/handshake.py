"""Accepts sockets: checks that there is room, does the TLS handshake, and hands over to a Connection."""

import asyncio
import contextlib
import logging
import socket
from typing import Final, cast

from tallykeeper_server.transport.http2.connection import Connection
from tallykeeper_server.transport.http2.server_state import Shared
from tallykeeper_server.transport.http2.session import ErrorCode, last_words
from tallykeeper_server.transport.peers import address_of, peer_of
from tallykeeper_server.transport.tls import TlsContexts

_ACCEPT_PAUSE_SECONDS: Final = 0.5
"""The pause after the process had no file descriptor for an accepted socket."""
_ACCEPTED_AT_ONCE: Final = 128
"""The number of sockets that are accepted in one turn of the event loop."""

log = logging.getLogger(__name__)


class Greeter(asyncio.Protocol):
    """The protocol of a plaintext socket until its Connection takes over. It counts the socket."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse a socket without room, and begin with any other."""
        stream = cast("asyncio.Transport", transport)
        reason = self._shared.enter(peer_of(stream).address)
        if reason is None:
            _hand_over(self._shared, stream)
        else:
            log.warning("a connection was refused: %s", reason)
            stream.write(last_words(ErrorCode.ENHANCE_YOUR_CALM, reason.encode(), began=False))
            stream.close()


class SecuredGreeter(asyncio.Protocol):
    """The protocol of a TLS socket after its handshake, until its Connection takes over, if ALPN chose HTTP/2."""

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
        """Remove the socket from the count if no Connection has taken it over."""
        if self._address is not None:
            self._shared.leave(self._address)
            self._address = None


def _hand_over(shared: Shared, transport: asyncio.Transport) -> None:
    """Hand over to a connection, which removes itself from the count."""
    connection = Connection(shared, peer_of(transport))
    transport.set_protocol(connection)
    connection.connection_made(transport)


class Listener:
    """Accepts sockets, in plaintext or with TLS.

    A TLS socket counts from before its handshake, so that endless handshakes have a limit too, and it gets the present
    certificate. ``close`` accepts the connections that the kernel has accepted, which would be reset with the listening
    socket, and lets handshakes continue. The event loop's own servers can do none of this.
    """

    def __init__(self, shared: Shared, listener: socket.socket, tls: TlsContexts | None) -> None:
        """Accept from a listening socket until ``close``."""
        self._shared = shared
        self._listener = listener
        self._tls = tls
        self._greetings: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._resume()

    def close(self) -> None:
        """Accept the sockets that wait now, and stop listening. A second call has no effect."""
        if self._listener.fileno() < 0:
            return
        if self._pause is None:
            self._shared.loop.remove_reader(self._listener)
        else:
            self._pause.cancel()
        with contextlib.suppress(OSError):  # no socket waits, or there is no file descriptor for it
            while True:
                self._greet(*self._listener.accept())
        self._listener.close()

    async def greeted(self, timeout_seconds: float) -> None:
        """Wait until accepted sockets have their connections, and end handshakes after a timeout."""
        if self._greetings:
            _, late = await asyncio.wait(self._greetings, timeout=timeout_seconds)
            for greeting in late:
                greeting.cancel()

    def _resume(self) -> None:
        self._pause = None
        self._shared.loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            for _ in range(_ACCEPTED_AT_ONCE):
                self._greet(*self._listener.accept())
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("no connection can be accepted: %s", error)
            self._shared.loop.remove_reader(self._listener)
            self._pause = self._shared.loop.call_later(_ACCEPT_PAUSE_SECONDS, self._resume)

    def _greet(self, one: socket.socket, name: object) -> None:
        one.settimeout(0)
        if self._tls is None:
            greeting = self._begin(one)
        else:
            address = address_of(name)
            reason = self._shared.enter(address)
            if reason is not None:
                log.warning("a connection was refused: %s", reason)
                one.close()
                return
            greeting = self._secure(one, address, self._tls)
        task = self._shared.loop.create_task(greeting)
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)

    async def _begin(self, one: socket.socket) -> None:
        try:
            await self._shared.loop.connect_accepted_socket(lambda: Greeter(self._shared), one)
        except OSError as error:
            log.info("a connection was lost before it began: %s", error)
            one.close()

    async def _secure(self, one: socket.socket, address: str, tls: TlsContexts) -> None:
        seconds = self._shared.limits.handshake_seconds
        greeter = SecuredGreeter(self._shared, address)
        try:
            await self._shared.loop.connect_accepted_socket(
                lambda: greeter, one, ssl=tls.context, ssl_handshake_timeout=seconds
            )
        except OSError as error:  # ssl.SSLError and the error of a timeout are OSErrors
            log.info("a TLS handshake with %s has failed: %s", address or "a unix socket", error)
            greeter.connection_lost(error)
            one.close()
        except asyncio.CancelledError:
            greeter.connection_lost(None)
            one.close()
            raise
