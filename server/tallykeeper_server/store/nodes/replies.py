"""The incoming side of a connection to a node: the replies to the commands that were sent last, in their order.

It is a protocol of asyncio and not a stream: a single call takes 0.65 ms, and 0.70 ms through asyncio's streams, of
which 0.04 ms are CPU time.
"""

import asyncio
from typing import Final

import hiredis

_INCOMPLETE: Final = object()


class Replies(asyncio.Protocol):
    """Replies to one caller at a time. After a fault it gives no more replies, and the connection must be closed."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._replies: list[object] = []
        self._wanted = 0
        self._arrival: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self.ended = asyncio.Event()
        """Set when the connection is closed on both sides."""

    @property
    def are_clean(self) -> bool:
        """Whether the connection has no fault, and no reply or part of one is left over."""
        return self._failure is None and not self._replies and not self._reader.has_data()

    async def next(self, count: int, *, timeout_seconds: float) -> list[object]:
        """Return the next ``count`` replies. A reply that refuses a command is a hiredis.ReplyError among them.

        :raises TimeoutError: the replies were not all there in time.
        :raises hiredis.ProtocolError: the other side sent bytes that are no reply.
        :raises OSError: the connection was lost.
        """
        if len(self._replies) < count and self._failure is None:
            loop = asyncio.get_running_loop()
            self._wanted = count
            self._arrival = loop.create_future()
            timer = loop.call_later(timeout_seconds, self._fail, TimeoutError("no answer in time"))
            try:
                await self._arrival
            finally:
                timer.cancel()
                self._arrival = None
        if len(self._replies) < count and self._failure is not None:
            raise self._failure  # replies that were all there before the fault are returned
        replies, self._replies = self._replies[:count], self._replies[count:]
        return replies

    def data_received(self, data: bytes) -> None:
        """Parse the bytes that arrived, and wake the caller if all its replies are there."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                self._replies.append(reply)
        except hiredis.ProtocolError as error:
            self._fail(error)
        if len(self._replies) >= self._wanted:
            self._arrive()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the caller that waits, because no reply will follow."""
        self._fail(exc or ConnectionResetError("it closed the connection"))
        self.ended.set()

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._arrive()

    def _arrive(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
