"""The HTTP server of one worker: where it listens, and how it stops. uvicorn speaks HTTP/1.1."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn

from tallykeeper_server.http.connections import Connections, GuardedConnection, HttpConfig
from tallykeeper_server.http.limits import HttpLimits
from tallykeeper_server.transport.acceptor import Acceptor
from tallykeeper_server.transport.peers import Peer
from tallykeeper_server.transport.sockets import address_of, listening_sockets
from tallykeeper_server.transport.tls import TlsContexts

_GREETING_SECONDS: Final = 2.0
"""The time for TLS handshakes in progress when the server stops."""
_LAST_REQUESTS_SECONDS: Final = 1.0
"""For clients with an idle connection to send one more request. Its response says that the connection closes."""
_SETTLE_SECONDS: Final = 1
"""For the last bytes to leave."""


class _Uvicorn(uvicorn.Server):
    """uvicorn's server without its signal handlers: the worker has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class HttpServer:
    """An HTTP/1.1 server in the running event loop."""

    def __init__(self, app: Any, connections: Connections, limits: HttpLimits) -> None:  # noqa: ANN401  # ASGI's type is uvicorn's
        """``app`` is the ASGI application."""
        self._limits = limits
        self._connections = connections
        self._config = HttpConfig(app, connections, limits)
        self._config.load()
        self._server = _Uvicorn(self._config)
        loop = asyncio.get_running_loop()
        self._serving = loop.create_task(self._server.serve(sockets=[]))
        self._watch = loop.create_task(connections.enforce_limits())
        self._acceptors: list[Acceptor] = []

    def listen(self, address: str, *, tls: TlsContexts | None, reuse_port: bool) -> str:
        """Accept connections on ``host:port``; return the address with its port.

        :raises OSError: the address is in use or not one of this machine.
        """
        sockets = listening_sockets(address, reuse_port=reuse_port)
        bound = address_of(sockets[0])
        for one in sockets:
            acceptor = Acceptor(
                one, tls, self._connections, self._connect, handshake_seconds=self._limits.handshake_seconds
            )
            self._acceptors.append(acceptor)
        return bound

    async def stop(self, grace_seconds: float, abort: Callable[[], None]) -> None:
        """Accept no more connections than have come, answer the requests that have begun, and close.

        ``abort`` ends the calls that last longer than the grace.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_seconds
        for acceptor in self._acceptors:
            acceptor.close()
        for acceptor in self._acceptors:
            await acceptor.greeted(min(grace_seconds, _GREETING_SECONDS))
        self._connections.draining = True
        await self._connections.emptied(min(grace_seconds, _LAST_REQUESTS_SECONDS))
        ending = loop.call_later(deadline - loop.time(), abort)
        self._config.timeout_graceful_shutdown = math.ceil(grace_seconds) + _SETTLE_SECONDS
        self._server.should_exit = True
        await self._serving
        ending.cancel()
        self._watch.cancel()
        await asyncio.wait([self._watch])

    def _connect(self, _: asyncio.Transport, peer: Peer) -> GuardedConnection:
        return GuardedConnection(self._config, self._server.server_state, peer)
