"""Answers at length, such as a page of a listing: what they hold of a worker's memory has a limit."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper_server.domain.errors import DeadlineExceededError, OverloadedError
from tallykeeper_server.metrics.recorders import Gauge
from tallykeeper_server.rpc.admission import Call

Method: TypeAlias = Callable[[Any, Call], Coroutine[Any, Any, Message]]
"""What carries out a request, about which something more is known, and returns the answer."""

READS_MAX: Final = 64
"""How many reads of this kind are under way at once, others wait: a page of 1,000 levels takes 600 KiB in the making,
and more at once make none of them sooner."""
_WITHOUT_TURNS: Final = frozenset({"BatchService.Apply"})
"""Of the methods that answer at length, the one that changes something."""


class LongAnswers:
    """Lets 64 long answers be made at a time, and none while callers have left too much unread.

    HTTP/2 lets a caller ask for much and read nothing, and the transport keeps the answers for it.
    """

    def __init__(self, unread_bytes_max: int, waiting_max: int, meter: Gauge, unread_bytes: Callable[[], int]) -> None:
        """``unread_bytes_max``: the bytes of unread answers from which on no long answer is begun.

        ``waiting_max``: the number of reads that may wait for their turns. ``unread_bytes`` returns the bytes of
        answers that callers have not read.
        """
        self._bytes_max = unread_bytes_max
        self._unread_bytes = unread_bytes
        self._turns = asyncio.Semaphore(READS_MAX)
        self._waiting_max = waiting_max
        self._waiting = 0
        meter.read = unread_bytes

    def limited(self, method: MethodDescriptor, call: Method) -> Method:
        """Return what carries out a method if there is room for its answer, a read when its turn comes.

        That raises OverloadedError if there is no room, or too many wait, and DeadlineExceededError if its turn does
        not come in time. What does not answer at length, that is with a list of messages, is returned as it is.
        """
        if not any(field.is_repeated and field.message_type for field in method.output_type.fields):
            return call

        def at_once(request: Any, about: Call) -> Coroutine[Any, Any, Message]:  # noqa: ANN401  # the requests have no common type
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
        unread = self._unread_bytes()
        if unread >= self._bytes_max:
            message = (
                f"callers have not read {unread} bytes of their answers; from {self._bytes_max} bytes on, no call with"
                " a long answer is begun"
            )
            raise OverloadedError(message)
