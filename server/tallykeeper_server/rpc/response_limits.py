"""Limits the memory of a worker that long responses take, such as a page of a listing."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper.v1.ledger_pb2 import ListEntriesRequest
from tallykeeper_server.domain.errors import DeadlineExceededError, OverloadedError
from tallykeeper_server.domain.limits import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from tallykeeper_server.engine.entry_pages import STEP_ENTRIES
from tallykeeper_server.metrics.recorders import Gauge
from tallykeeper_server.rpc.admission import Call

Method: TypeAlias = Callable[[Any, Call], Coroutine[Any, Any, Message]]
"""A function that takes a request and its call, and returns the response."""

ENTRIES_MAX: Final = 2_048
"""The number of entries of all long responses that are made at once, by the sizes that their requests ask for. A page
of 1,000 levels takes 600 KiB and 3 ms of the worker's CPU time, during which other calls wait. No page is ready sooner
if more are made at once."""
ENTRIES_MIN: Final = 32
"""The number of entries for which each long response counts at least, so that at most 64 are made at once."""
_WITHOUT_TURNS: Final = frozenset({"BatchService.Apply"})
"""The methods with long responses that change something. They begin at once."""
_OF_EVERY_ENTRY: Final = frozenset({"namespace", "newest_first", "page_size", "page_token"})
"""The fields of a ListEntriesRequest that are no filter."""


class ResponseLimits:
    """Limits the long responses that are made at once, and permits none while too many bytes are unread.

    In HTTP/2, a caller can send many requests and read no response. The transport keeps the responses for it.
    """

    def __init__(self, unread_bytes_max: int, waiting_max: int) -> None:
        """Take the limits.

        ``unread_bytes_max``: no long response is begun while callers have left this number of bytes unread, or more.
        ``waiting_max``: the number of reads that may wait.
        """
        self._bytes_max = unread_bytes_max
        self._unread_bytes: Callable[[], int] = int
        self._turns = _Turns(ENTRIES_MAX)
        self._waiting_max = waiting_max
        self._waiting = 0

    def track_unread(self, unread_bytes: Callable[[], int], meter: Gauge) -> None:
        """Use and meter ``unread_bytes``, which returns the bytes of responses that callers have not read."""
        self._unread_bytes = unread_bytes
        meter.read = unread_bytes

    def wrap(self, method: MethodDescriptor, call: Method) -> Method:
        """Return a function that calls ``call`` when there is room for its response.

        A method has long responses if they hold a list of messages; for other methods, ``call`` itself is returned.
        Reads wait until those that run return few enough entries together. The function raises OverloadedError if there
        is no room or too many reads wait, and DeadlineExceededError if the deadline passes while the call waits.
        """
        if not any(field.is_repeated and field.message_type for field in method.output_type.fields):
            return call

        def run_now(request: Any, about: Call) -> Coroutine[Any, Any, Message]:  # noqa: ANN401  # the requests have no common type
            self._check_room()
            return call(request, about)

        async def run_when_free(request: Any, about: Call) -> Message:  # noqa: ANN401  # as in run_now
            entries = entries_of(request)
            if not self._turns.take(entries):
                await self._wait_for_turn(entries, about.deadline)
            try:
                self._check_room()
                return await call(request, about)
            finally:
                self._turns.give_back(entries)

        return run_now if f"{method.containing_service.name}.{method.name}" in _WITHOUT_TURNS else run_when_free

    async def _wait_for_turn(self, entries: int, deadline: float) -> None:
        if self._waiting >= self._waiting_max:
            message = f"{self._waiting} reads already wait; try again later"
            raise OverloadedError(message)
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._turns.wait_for(entries)
        except TimeoutError as error:
            message = "the deadline passed while the call waited for other reads to end"
            raise DeadlineExceededError(message) from error
        finally:
            self._waiting -= 1

    def _check_room(self) -> None:
        unread = self._unread_bytes()
        if unread >= self._bytes_max:
            message = (
                f"callers have not read {unread} bytes of responses, and no long response begins while they have not"
                f" read {self._bytes_max} bytes; try again later"
            )
            raise OverloadedError(message)


class _Turns:
    """Room for a number of entries. Calls that wait for it get it in their order."""

    def __init__(self, entries_max: int) -> None:
        self._free = entries_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take(self, entries: int) -> bool:
        """Take room now. Return False if there is too little, or if other calls wait."""
        if self._waiting or entries > self._free:
            return False
        self._free -= entries
        return True

    async def wait_for(self, entries: int) -> None:
        """Take room when there is enough."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entries, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(entries)
            else:
                turn.cancel()
                self._hand_out()  # the call may have blocked smaller calls behind it
            raise

    def give_back(self, entries: int) -> None:
        """Return room, and hand it to the calls that wait."""
        self._free += entries
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            entries, turn = self._waiting[0]
            if not turn.done():
                if entries > self._free:
                    return
                self._free -= entries
                turn.set_result(None)
            self._waiting.popleft()


def entries_of(request: Message) -> int:
    """Return the number of entries that are made at once for a request.

    This is the page's size, or the number of names in the request. A listing of the ledger with a filter also decodes
    entries that the page does not take.
    """
    fields = request.DESCRIPTOR.fields_by_name
    if "page_size" in fields:
        size: int = request.page_size or PAGE_SIZE_DEFAULT  # type: ignore[attr-defined]  # as the field shows
    else:
        size = sum(len(getattr(request, name)) for name, field in fields.items() if field.is_repeated)
    if isinstance(request, ListEntriesRequest) and {field.name for field, _ in request.ListFields()} - _OF_EVERY_ENTRY:
        size = max(size, STEP_ENTRIES)
    return max(ENTRIES_MIN, min(size, PAGE_SIZE_MAX))
