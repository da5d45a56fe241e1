"""Accepts sockets: checks that there is room, does the TLS handshake, and hands over to an HTTP connection.

uvicorn's own listener takes one TLS context for its life, knows no limit for handshakes and addresses, and resets the
connections that the kernel has accepted when it closes.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Final

import structlog

from tallykeeper_server.http.connections import Connections, GuardedConnection
from tallykeeper_server.transport.peers import address_of
from tallykeeper_server.transport.tls import TlsContexts

_ACCEPT_PAUSE_SECONDS: Final = 0.5
"""The pause after the process had no file descriptor for an accepted socket."""
_ACCEPTED_AT_ONCE: Final = 128

log = structlog.get_logger()


class HttpListener:
    """Accepts sockets, in plaintext or with TLS, until it is closed."""

    def __init__(
        self,
        listener: socket.socket,
        tls: TlsContexts | None,
        connections: Connections,
        make: Callable[[str], GuardedConnection],
        *,
        handshake_seconds: float,
    ) -> None:
        """Accept from a listening socket. ``make`` returns the protocol of a connection from an address."""
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._tls = tls
        self._connections = connections
        self._make = make
        self._handshake_seconds = handshake_seconds
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
        """Wait until accepted sockets have their connections, and end those that take longer than a timeout."""
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
            log.warning("no HTTP connection can be accepted", error=str(error))
            self._loop.remove_reader(self._listener)
            self._pause = self._loop.call_later(_ACCEPT_PAUSE_SECONDS, self._resume)

    def _greet(self, one: socket.socket, name: object) -> None:
        one.settimeout(0)
        address = address_of(name)
        reason = self._connections.enter(address)
        if reason is not None:
            log.debug("an HTTP connection was refused", reason=reason)
            one.close()
            return
        task = self._loop.create_task(self._begin(one, address))
        self._greetings.add(task)
        task.add_done_callback(self._greetings.discard)

    async def _begin(self, one: socket.socket, address: str) -> None:
        """Hand a socket to its connection, which counts itself out."""
        context = None if self._tls is None else self._tls.context
        seconds = None if context is None else self._handshake_seconds
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._make(address), one, ssl=context, ssl_handshake_timeout=seconds
            )
        except OSError as error:  # ssl.SSLError and the error of a timeout are OSErrors
            log.debug("an HTTP connection was lost before it began", peer=address, error=str(error))
            self._connections.leave(address)
            one.close()
        except asyncio.CancelledError:
            self._connections.leave(address)
            one.close()
            raise
