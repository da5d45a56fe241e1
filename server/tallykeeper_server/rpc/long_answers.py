"""Answers at length, such as a page of a listing: what they hold of a worker's memory has a limit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper_server.domain.errors import DeadlineExceededError, OverloadedError
from tallykeeper_server.metrics.recorders import Gauge
from tallykeeper_server.rpc.admission import Context
from tallykeeper_server.rpc.calls import Call

Method: TypeAlias = Callable[[Any, Call], Awaitable[Message]]
"""What carries out a request, about which something more is known, and returns the answer."""

_LARGE_BYTES: Final = 16 << 10
"""From which length on an answer is counted; what is shorter takes no more than the call itself."""
READS_MAX: Final = 64
"""How many reads of this kind are under way at once, others wait: a page of 1,000 levels takes 600 KiB in the making,
and more at once make none of them sooner."""
_WITHOUT_TURNS: Final = frozenset({"BatchService.Apply", "LedgerService.VerifyNamespace"})
"""Of the methods that answer at length, the one that changes something, and the one that may take minutes."""
_COPIES: Final = 2
"""How often an answer is in memory until it is read: as Python's bytes, and in gRPC's buffer."""


class LongAnswers:
    """Lets so many be made at once, and counts the bytes of those that their callers have yet to read.

    HTTP/2 lets a caller ask for much and read nothing, and gRPC keeps the answers for it.
    """

    def __init__(self, unread_bytes_max: int, waiting_max: int, meter: Gauge) -> None:
        """``unread_bytes_max``: how much memory unread answers may hold until no more are made.

        ``waiting_max``: how many reads may wait for their turns.
        """
        self._bytes_max = unread_bytes_max
        self._bytes = 0
        self._turns = asyncio.Semaphore(READS_MAX)
        self._waiting_max = waiting_max
        self._waiting = 0
        meter.read = lambda: self._bytes

    def limited(self, method: MethodDescriptor, call: Method) -> Method:
        """Return what carries out a method if there is room for its answer, a read when its turn comes.

        That raises OverloadedError if there is no room, or too many wait, and DeadlineExceededError if its turn does
        not come in time. What does not answer at length, that is with a list of messages, is returned as it is.
        """
        if not any(field.is_repeated and field.message_type for field in method.output_type.fields):
            return call

        def at_once(request: Any, about: Call) -> Awaitable[Message]:  # noqa: ANN401  # the requests have no common type
            self._check_room()
            return call(request, about)

        async def in_turn(request: Any, about: Call) -> Message:  # noqa: ANN401  # as above
            if self._turns.locked():
                await self._wait_for_turn(about.deadline)
            else:
                await self._turns.acquire()  # `async with` would make two coroutines more
            try:
                self._check_room()
                return await call(request, about)
            finally:
                self._turns.release()

        return at_once if f"{method.containing_service.name}.{method.name}" in _WITHOUT_TURNS else in_turn

    def hold(self, answer: bytes, context: Context) -> None:
        """Count an answer, if it is large, until its call has ended: the caller has read it, or has left."""
        if len(answer) < _LARGE_BYTES:
            return
        held = _COPIES * len(answer)
        self._bytes += held
        context.add_done_callback(lambda _: self._release(held))  # type: ignore[arg-type]  # the stubs ask for a class

    async def _wait_for_turn(self, deadline: float) -> None:
        if self._waiting >= self._waiting_max:
            message = f"{self._waiting} reads are waiting already; try again later"
            raise OverloadedError(message)
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._turns.acquire()
        except TimeoutError as error:
            message = "the deadline passed before the call's turn to read came"
            raise DeadlineExceededError(message) from error
        finally:
            self._waiting -= 1

    def _check_room(self) -> None:
        if self._bytes >= self._bytes_max:
            message = (
                f"answers that callers have yet to read hold {self._bytes} bytes; from {self._bytes_max} on, nothing is"
                " begun that is answered at length"
            )
            raise OverloadedError(message)

    def _release(self, held: int) -> None:
        self._bytes -= held
