"""Accepts sockets: checks that there is room, does the TLS handshake, and hands over to a connection."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, cast

from tallykeeper_server.transport.peers import Peer, ip_address_of, peer_of
from tallykeeper_server.transport.sockets import address_of
from tallykeeper_server.transport.tls import TlsContexts

_PAUSE_SECONDS: Final = 0.5
"""The pause after the process had no file descriptor for an accepted socket."""
_ACCEPTED_AT_ONCE: Final = 128
"""The number of sockets that are accepted in one turn of the event loop."""

log = logging.getLogger(__name__)


class Room(Protocol):
    """The count of a server's connections, and its limits."""

    def enter(self, address: str) -> str | None:
        """Count a connection from an IP address. Return None, or the reason of its refusal."""

    def leave(self, address: str) -> None:
        """Remove a connection from the count."""


Connect: TypeAlias = Callable[[asyncio.Transport, Peer], asyncio.Protocol | None]
"""A function that returns the connection of a socket, or None if the socket must be closed.

The connection leaves the room itself when it is lost.
"""


class Acceptor:
    """Accepts sockets, in plaintext or with TLS, until it is closed.

    A socket counts from before its TLS handshake, so that endless handshakes have a limit too, and it gets the present
    certificate. ``close`` accepts the connections that the kernel has accepted, which would be reset with the listening
    socket, and lets handshakes continue. The event loop's own servers can do none of this.
    """

    def __init__(
        self,
        listener: socket.socket,
        tls: TlsContexts | None,
        room: Room,
        connect: Connect,
        *,
        handshake_seconds: float,
        last_words: Callable[[str], bytes] = lambda _: b"",
    ) -> None:
        """Accept from a listening socket, in the running event loop.

        ``last_words`` takes the reason of a refusal, and returns the bytes for a refused client without TLS.
        """
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._tls = tls
        self._room = room
        self._connect = connect
        self._handshake_seconds = handshake_seconds
        self._last_words = last_words
        self._greetings: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._resume()

    def close(self) -> None:
        """Accept the sockets that wait now, and stop listening. A second call has no effect."""
        if self._listener.fileno() < 0:
            return
        if self._pause is None:
            self._loop.remove_reader(self._listener)
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
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            for _ in range(_ACCEPTED_AT_ONCE):
                self._greet(*self._listener.accept())
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("no connection can be accepted at %s: %s", address_of(self._listener), error)
            self._loop.remove_reader(self._listener)
            self._pause = self._loop.call_later(_PAUSE_SECONDS, self._resume)

    def _greet(self, one: socket.socket, name: object) -> None:
        one.settimeout(0)
        reason = self._room.enter(ip_address_of(name))
        if reason is None:
            task = self._loop.create_task(self._begin(one, _Greeter(self._room, self._connect, name)))
            self._greetings.add(task)
            task.add_done_callback(self._greetings.discard)
            return
        log.warning("a connection was refused: %s", reason)
        if self._tls is None:
            with contextlib.suppress(OSError):  # the peer is gone
                one.send(self._last_words(reason))
        one.close()

    async def _begin(self, one: socket.socket, greeter: "_Greeter") -> None:
        context = None if self._tls is None else self._tls.context
        seconds = None if context is None else self._handshake_seconds
        try:
            await self._loop.connect_accepted_socket(lambda: greeter, one, ssl=context, ssl_handshake_timeout=seconds)
        except (OSError, asyncio.CancelledError) as error:
            greeter.connection_lost(None)
            one.close()
            if not isinstance(error, OSError):  # ssl.SSLError and the error of a timeout are OSErrors
                raise
            what = "a connection" if context is None else "a TLS handshake"
            log.info("%s with %s has failed: %s", what, greeter, error)


class _Greeter(asyncio.Protocol):
    """The protocol of a socket until its connection takes over. It leaves the room if none does."""

    def __init__(self, room: Room, connect: Connect, name: object) -> None:
        self._room = room
        self._connect = connect
        self._name = name
        self._counts = True

    def __str__(self) -> str:
        return ip_address_of(self._name) or "a unix socket"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand over to a connection, or close the socket."""
        stream = cast("asyncio.Transport", transport)
        connection = self._connect(stream, peer_of(stream, self._name))
        if connection is None:
            stream.abort()
            return
        self._counts = False
        stream.set_protocol(connection)
        connection.connection_made(stream)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  # lost for whatever reason
        """Leave the room if no connection has taken over."""
        if self._counts:
            self._counts = False
            self._room.leave(ip_address_of(self._name))
