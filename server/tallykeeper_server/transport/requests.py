"""The messages that a caller streams, for the handler."""

import asyncio
from collections import deque
from collections.abc import Callable

from tallykeeper_server.transport.status import StatusError


class Requests:
    """An asynchronous iterator over a call's messages, for one reader.

    Messages wait here until the handler takes them. While some wait, the peer's window is not renewed, so that at most
    a window of bytes waits. Iteration raises StatusError if what arrives is no message.
    """

    __slots__ = ("_drained", "_ended", "_error", "_loop", "_messages", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, drained: Callable[[], None]) -> None:
        """``drained`` is called each time that the last waiting message has been taken."""
        self._loop = loop
        self._drained = drained
        self._messages: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: StatusError | None = None

    def __aiter__(self) -> "Requests":
        return self

    async def __anext__(self) -> bytes:
        while not self._messages:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._messages.popleft()
        if not self._messages:
            self._drained()
        return message

    @property
    def waiting_bytes(self) -> int:
        """The bytes of the messages that wait."""
        return sum(map(len, self._messages))

    def put(self, messages: deque[bytes]) -> None:
        """Add messages that have arrived."""
        self._messages += messages
        self._wake()

    def end(self, error: StatusError | None = None) -> None:
        """Mark the end of the messages, with the error that ended them, if there is one."""
        self._ended = True
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
