"""Flow control of one connection's responses, and the end of requests that are answered before they end."""

import asyncio
from collections.abc import Awaitable

from tallykeeper_server.transport.http2.exchange import Exchange
from tallykeeper_server.transport.http2.session import Engine, EngineError, ErrorCode


class Outflow:
    """Streams whose responses wait until the peer reads, and streams that are answered before their request ends."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, write_buffer_bytes: int) -> None:
        """``write_buffer_bytes`` is the maximum number of bytes of one stream in the engine."""
        self._engine = engine
        self._loop = loop
        self._high = write_buffer_bytes
        self._blocked: dict[Exchange, asyncio.Future[None]] = {}
        self._cut_short: list[int] = []

    def room(self, exchange: Exchange) -> Awaitable[None] | None:
        """Return an awaitable that ends when a call may write more; None if it may now."""
        if self._engine.queued(exchange.stream_id) <= self._high:
            return None
        waiter = self._blocked[exchange] = self._loop.create_future()
        return waiter

    def wake(self) -> None:
        """Let the streams continue whose peers have read."""
        for exchange, waiter in list(self._blocked.items()):
            if exchange.done or self._engine.queued(exchange.stream_id) <= self._high // 2:
                del self._blocked[exchange]
                if not waiter.done():
                    waiter.set_result(None)

    def cut_short(self, stream_id: int) -> None:
        """Stop a peer that still sends its request after the whole response was written (RFC 9113, section 8.1)."""
        self._cut_short.append(stream_id)

    def reset_answered(self) -> bool:
        """Reset the streams whose responses were written, with NO_ERROR. Return True if there were any."""
        cut_short, self._cut_short = self._cut_short, []
        for stream_id in cut_short:
            try:
                if self._engine.queued(stream_id):
                    self._cut_short.append(stream_id)
                else:
                    self._engine.reset(stream_id, ErrorCode.NO_ERROR)
            except EngineError:
                continue  # the stream has closed by itself
        return len(cut_short) > len(self._cut_short)

    def close(self) -> None:
        """Wake everybody who waits, because the connection has ended."""
        blocked, self._blocked = self._blocked, {}
        for waiter in blocked.values():
            waiter.cancel()
