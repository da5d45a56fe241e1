"""The state that the connections of one server share."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeAlias

from tallykeeper_server.transport.call import Cancellable
from tallykeeper_server.transport.http2.budget import Budget
from tallykeeper_server.transport.http2.deadlines import Deadlines
from tallykeeper_server.transport.http2.session import ErrorCode
from tallykeeper_server.transport.limits import TransportLimits
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.status import StatusError

Admit: TypeAlias = Callable[[str], StatusError | None]
"""A function that takes the path of a call before the rest is read. It returns None, or a refusal."""
Explain: TypeAlias = Callable[[StatusError], StatusError]
"""A function that takes a refusal of the transport, and returns the error for the caller."""
_UNREAD: Final = "unread_responses"
_SHARE_MIN: Final = 16
"""The minimum number of calls that each connection may have in flight."""
_CROWD: Final = 8
"""The calls in flight, of the maximum on all connections, above which connections may have fewer than their share. Many
connections reach it, because each may have the minimum."""


class Endable(Protocol):
    """The part of a connection that the server uses to make room."""

    unread: Budget

    def end(self, code: ErrorCode, message: str) -> None:
        """Send GOAWAY and close."""

    def abort(self) -> None:
        """Close the socket at once."""

    def adapt_streams(self) -> None:
        """Send the peer its limit of calls in flight, if it has changed."""


class Shared:
    """Methods, limits and counts of one server."""

    def __init__(
        self, methods: Iterable[Method], limits: TransportLimits, admit: Admit | None, explain: Explain | None
    ) -> None:
        """Use the running event loop.

        :raises ValueError: two methods have one path.
        """
        self.loop = asyncio.get_running_loop()
        self.limits = limits
        self.admit = admit
        self.explain: Explain = explain or _unchanged
        self.methods: dict[bytes, Method] = {}
        for method in methods:
            if method.path.encode() in self.methods:
                message = f"two methods have the path {method.path}"
                raise ValueError(message)
            self.methods[method.path.encode()] = method
        self.deadlines = Deadlines(self.loop)
        self.requests = Budget(limits.waiting_request_bytes_max)
        self.responses = Budget(limits.unread_response_bytes_max)
        self.connections = 0
        self.calls = 0
        """The calls in flight, without streams of responses."""
        self.open: set[Endable] = set()
        """The connections that serve. ``connections`` also counts accepted sockets, as in a TLS handshake."""
        self.draining = False
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._addresses: Counter[str] = Counter()
        self._ending: set[asyncio.Future[Any]] = set()

    def enter(self, address: str) -> str | None:
        """Count a connection from an IP address. Return None, or the reason of its refusal."""
        limits = self.limits
        if self.connections >= limits.connections_max:
            return f"the server has {self.connections} connections, and no room for more"
        if address and self._addresses[address] >= limits.connections_per_address_max:
            return f"{address} has {self._addresses[address]} connections, and no room for more"
        share = self.streams_share
        self.connections += 1
        self._addresses[address] += 1
        if self.streams_share != share:
            for one in self.open:
                one.adapt_streams()
        return None

    def leave(self, address: str) -> None:
        """Remove a connection from the count."""
        self.connections -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    @property
    def streams_share(self) -> int:
        """The number of calls that each connection may have in flight, so that all together have at most streams_max.

        It changes when the number of connections passes a power of two.
        """
        shares = 1 << max(0, self.connections - 1).bit_length()
        return min(self.limits.streams_per_connection_max, max(_SHARE_MIN, self.limits.streams_max // shares))

    @property
    def is_crowded(self) -> bool:
        """Whether a connection that begins another call must have fewer, because too many are in flight."""
        return self.calls > _CROWD * self.limits.streams_max

    def join(self, connection: Endable) -> None:
        """Count a connection that serves."""
        self.open.add(connection)
        self._emptied.clear()

    def part(self, connection: Endable) -> None:
        """Remove a connection that served from the count."""
        self.open.discard(connection)
        if not self.open:
            self._emptied.set()

    async def emptied(self, timeout_seconds: float) -> None:
        """Wait until no connection serves, for at most a number of seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._emptied.wait(), timeout_seconds)

    def shed(self) -> None:
        """End the connection with the most unread bytes, because all connections together hold too many."""
        if self.open:
            greediest = max(self.open, key=lambda connection: connection.unread.bytes)
            greediest.end(ErrorCode.ENHANCE_YOUR_CALM, _UNREAD)
            greediest.abort()

    def cancel(self, work: Cancellable) -> None:
        """Cancel the work of a call, and keep a task until it has ended."""
        work.cancel()
        if isinstance(work, asyncio.Future) and not work.done():
            self._ending.add(work)
            work.add_done_callback(self._ending.discard)

    async def settle(self, timeout_seconds: float) -> None:
        """Wait until cancelled tasks have ended, for at most a number of seconds."""
        if self._ending:
            await asyncio.wait(set(self._ending), timeout=timeout_seconds)


def _unchanged(refusal: StatusError) -> StatusError:
    return refusal
