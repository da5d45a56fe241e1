"""Limits the memory of a worker that long responses take, such as a page of a listing."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper_server.domain.errors import DeadlineExceededError, OverloadedError
from tallykeeper_server.metrics.recorders import Gauge
from tallykeeper_server.rpc.admission import Call

Method: TypeAlias = Callable[[Any, Call], Coroutine[Any, Any, Message]]
"""A function that takes a request and its call, and returns the response."""

READS_MAX: Final = 64
"""The number of long responses that are made at once; other reads wait. To make a page of 1,000 levels takes 600 KiB,
and no page is ready sooner when more are made at once."""
_WITHOUT_TURNS: Final = frozenset({"BatchService.Apply"})
"""The methods with long responses that change something. They begin at once."""


class ResponseLimits:
    """Lets 64 long responses be made at a time, and none while callers have left too many bytes unread.

    In HTTP/2, a caller can send many requests and read no response. The transport keeps the responses for it.
    """

    def __init__(self, unread_bytes_max: int, waiting_max: int) -> None:
        """Take the limits.

        ``unread_bytes_max``: no long response is begun while callers have left this number of bytes unread, or more.
        ``waiting_max``: the number of reads that may wait.
        """
        self._bytes_max = unread_bytes_max
        self._unread_bytes: Callable[[], int] = int
        self._turns = asyncio.Semaphore(READS_MAX)
        self._waiting_max = waiting_max
        self._waiting = 0

    def track_unread(self, unread_bytes: Callable[[], int], meter: Gauge) -> None:
        """Use and meter ``unread_bytes``, which returns the bytes of responses that callers have not read."""
        self._unread_bytes = unread_bytes
        meter.read = unread_bytes

    def wrap(self, method: MethodDescriptor, call: Method) -> Method:
        """Return a function that calls ``call`` when there is room for its response.

        A method has long responses if they hold a list of messages; for other methods, ``call`` itself is returned.
        Reads wait until fewer than 64 others run. The function raises OverloadedError if there is no room or too many
        reads wait, and DeadlineExceededError if the deadline passes while the call waits.
        """
        if not any(field.is_repeated and field.message_type for field in method.output_type.fields):
            return call

        def run_now(request: Any, about: Call) -> Coroutine[Any, Any, Message]:  # noqa: ANN401  # the requests have no common type
            self._check_room()
            return call(request, about)

        async def run_when_free(request: Any, about: Call) -> Message:  # noqa: ANN401  # as in run_now
            if self._turns.locked():
                await self._wait_for_turn(about.deadline)
            else:
                await self._turns.acquire()  # `async with` would make two more coroutines
            try:
                self._check_room()
                return await call(request, about)
            finally:
                self._turns.release()

        return run_now if f"{method.containing_service.name}.{method.name}" in _WITHOUT_TURNS else run_when_free

    async def _wait_for_turn(self, deadline: float) -> None:
        if self._waiting >= self._waiting_max:
            message = f"{self._waiting} reads already wait; try again later"
            raise OverloadedError(message)
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._turns.acquire()
        except TimeoutError as error:
            message = "the deadline passed while the call waited for other reads to end"
            raise DeadlineExceededError(message) from error
        finally:
            self._waiting -= 1

    def _check_room(self) -> None:
        unread = self._unread_bytes()
        if unread >= self._bytes_max:
            message = (
                f"callers have not read {unread} bytes of responses, and from {self._bytes_max} bytes on no long"
                " response is begun; try again later"
            )
            raise OverloadedError(message)
