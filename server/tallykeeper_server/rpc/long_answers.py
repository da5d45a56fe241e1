"""Answers at length, such as a page of a listing: what they hold of a worker's memory has a limit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from google.protobuf.message import Message

from tallykeeper_server.domain.errors import OverloadedError
from tallykeeper_server.metrics.recorders import Gauge
from tallykeeper_server.rpc.admission import Context
from tallykeeper_server.rpc.calls import Call

Method: TypeAlias = Callable[[Any, Call], Awaitable[Message]]
"""What carries out a request, about which something more is known, and returns the answer."""

LARGE_BYTES: Final = 16 << 10
"""From which length on an answer is counted; what is shorter takes no more than the call itself."""
_READS_MAX: Final = 64
"""How many reads of this kind are under way at once, others wait: a page of 1,000 levels takes 600 KiB in the making,
and more at once make none of them sooner."""
_COPIES: Final = 2
"""How often an answer is in memory until it is read: as Python's bytes, and in gRPC's buffer."""


class LongAnswers:
    """Lets so many be made at once, and counts the bytes of those that their callers have yet to read.

    HTTP/2 lets a caller ask for much and read nothing, and gRPC keeps the answers for it.
    """

    def __init__(self, unread_bytes_max: int, meter: Gauge) -> None:
        """``unread_bytes_max``: how much memory unread answers may hold until no more are made."""
        self._bytes_max = unread_bytes_max
        self._bytes = 0
        self._turns = asyncio.Semaphore(_READS_MAX)
        meter.read = lambda: self._bytes

    def limited(self, call: Method, *, reads: bool) -> Method:
        """Return a method that begins if there is room for its answer, and if it only ``reads``, when its turn comes.

        It raises OverloadedError if there is no room.
        """

        def change(request: Any, about: Call) -> Awaitable[Message]:  # noqa: ANN401  # the requests have no common type
            self._check_room()
            return call(request, about)

        async def read(request: Any, about: Call) -> Message:  # noqa: ANN401  # as above
            await self._turns.acquire()  # `async with` would make two coroutines more
            try:
                self._check_room()
                return await call(request, about)
            finally:
                self._turns.release()

        return read if reads else change

    def hold(self, answer: bytes, context: Context) -> None:
        """Count a large answer until its call has ended: the caller has read it, or has left."""
        held = _COPIES * len(answer)
        self._bytes += held
        context.add_done_callback(lambda _: self._release(held))  # type: ignore[arg-type]  # the stubs ask for a class

    def _check_room(self) -> None:
        if self._bytes >= self._bytes_max:
            message = (
                f"answers that callers have yet to read hold {self._bytes} bytes; from {self._bytes_max} on, nothing is"
                " begun that is answered at length"
            )
            raise OverloadedError(message)

    def _release(self, held: int) -> None:
        self._bytes -= held
