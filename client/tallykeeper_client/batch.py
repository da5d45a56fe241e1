"""Calls that are made together and travel in one: `AsyncClient.batch` gives their methods.

A batch gathers as the server does: the first call goes out with all that are made in the same turn of the event loop;
while as many requests as may be are under way, others gather, and go out together with the next reply.
"""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self, cast

from tallykeeper.v1.batch_pb2 import ApplyResponse, Operation, OperationResult
from tallykeeper_client._calls.base import Awaited, Call
from tallykeeper_client._calls.counters import CounterMutations
from tallykeeper_client._calls.inventory import InventoryMutations
from tallykeeper_client._calls.reservations import ReservationMutations
from tallykeeper_client._status_details import Failure, FieldViolation
from tallykeeper_client.errors import InvalidField, TallykeeperError, error_of_result
from tallykeeper_client.operations import operation_of

OPERATIONS_MAX: Final = 1_000
LINES_MAX: Final = 10_000
"""The most lines that the operations of one request may have together: the contract's limit, as that of operations."""
BYTES_MAX: Final = 512 * 1024
"""The most bytes of operations in one request: half of what a server takes unless told otherwise."""
UNDER_WAY_MAX: Final = 2
_OPERATION_OF: Final = re.compile(r"operations\[(\d+)\](?:\.[a-z_]+\.)?(.*)")

Apply = Callable[[Sequence[Operation]], Awaitable[ApplyResponse]]


@dataclass(slots=True, eq=False)
class _Waiting:
    """One call, and who waits for it."""

    operation: Operation
    future: "asyncio.Future[Any]"


class Batch(CounterMutations, InventoryMutations, ReservationMutations, Awaited):
    """The mutations of an `AsyncClient`, of which those that are made together share a request.

    Each method takes what the client's own takes, returns the same response and raises the same errors. But
    ``request_id`` and ``timeout_seconds`` cannot be given, nor another namespace: a request of the batch has one
    request id, which the client makes, so that its retries count nothing twice. Use the client's own methods where the
    id must outlive this process. Two requests may be under way at once, so that calls can overtake each other: await
    the first where the second must come after it.

    Who stops waiting for a call withdraws it if it was not sent, and else changes nothing.
    """

    def __init__(self, apply: Apply, namespace: str) -> None:
        """``apply`` sends operations, each for itself, and returns the response. `AsyncClient.batch` makes one."""
        self._apply = apply
        self._namespace = namespace
        self._waiting: deque[_Waiting] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._closed = False

    @classmethod
    def _method_of(cls, build: Callable[..., Call[Any]]) -> Callable[..., object]:
        """Return a method that sends what ``build`` builds together with other operations, and returns its response."""

        async def method(self: "Batch", /, *args: object, **kwargs: object) -> object:
            return await self._submit(operation_of(build, *args, **kwargs))

        return method

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait until all that was called has its response; after an exception, withdraw what was not sent."""
        self._closed = True
        if exception is not None:
            for call in self._waiting:
                call.future.cancel()
        while self._waiting or self._under_way:
            self._send()
            await asyncio.wait(self._under_way) if self._under_way else await asyncio.sleep(0)

    def _submit(self, operation: Operation) -> "asyncio.Future[Any]":
        """Take a call in. Raises RuntimeError after the batch was left, and ValueError for another namespace."""
        if self._closed:
            message = "the batch has been left: make calls within its `async with`"
            raise RuntimeError(message)
        request = getattr(operation, cast("str", operation.WhichOneof("operation")))
        if request.namespace not in {"", self._namespace}:
            message = f"a batch is of one namespace: {self._namespace!r}, and not {request.namespace!r}"
            raise ValueError(message)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(_Waiting(operation, future))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._send)
        return future

    def _send(self) -> None:
        """Send what waits, as far as it may be."""
        self._scheduled = False
        while self._waiting and len(self._under_way) < UNDER_WAY_MAX:
            calls = list(self._next_calls())
            if calls:
                task = asyncio.get_running_loop().create_task(self._run(calls))
                self._under_way.add(task)
                task.add_done_callback(self._end)

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._send()

    def _next_calls(self) -> Iterator[_Waiting]:
        """Yield what goes into one request, without what nobody waits for any more."""
        count, lines, size = 0, 0, 0
        while self._waiting and count < OPERATIONS_MAX:
            operation = self._waiting[0].operation
            lines += _line_count(operation)
            size += operation.ByteSize()
            if count and (lines > LINES_MAX or size > BYTES_MAX):
                return
            call = self._waiting.popleft()
            if not call.future.done():
                count += 1
                yield call

    async def _run(self, calls: list[_Waiting]) -> None:
        """Send calls, and see to it that each has an answer or an error: nobody may wait forever."""
        try:
            await self._answer(calls)
        except TallykeeperError as error:
            for call in calls:
                _fail(call, type(error)(error.args[0]))  # one for each, for it collects the traces of its caller
        except Exception as error:  # noqa: BLE001  # as above
            for call in calls:
                _fail(call, error)
        except BaseException:
            for call in calls:
                call.future.cancel()
            raise

    async def _answer(self, calls: list[_Waiting]) -> None:
        """Answer calls. Those that are refused for a bad field do not fail the others, which are sent again."""
        while calls:
            try:
                response = await self._apply([call.operation for call in calls])
            except InvalidField as error:
                calls = _others(calls, error)
            else:
                for call, result in zip(calls, response.results, strict=True):
                    _answer(call, result)
                return


def _answer(call: _Waiting, result: OperationResult) -> None:
    error = error_of_result(result)
    if error is not None:
        _fail(call, error)
    elif not call.future.done():
        call.future.set_result(getattr(result, cast("str", result.WhichOneof("result"))))


def _fail(call: _Waiting, error: Exception) -> None:
    if not call.future.done():
        call.future.set_exception(error)


def _others(calls: list[_Waiting], error: InvalidField) -> list[_Waiting]:
    """Fail the calls whose fields break a rule, each with its own fields, and return the others: nothing was changed.

    Raises the error itself if it names no call.
    """
    fields: dict[int, list[FieldViolation]] = {}
    for violation in error.violations:
        found = _OPERATION_OF.match(violation.field)
        if found is None:
            raise error
        fields.setdefault(int(found[1]), []).append(FieldViolation(found[2], violation.description))
    if not fields:
        raise error
    failure = cast("Failure", error.args[0])
    for place, violations in fields.items():
        told = "; ".join(f"{each.field}: {each.description}" for each in violations)
        metadata = {"field": violations[0].field, "violations": str(len(violations))}
        own = replace(failure, message=told, metadata=metadata, field_violations=tuple(violations))
        _fail(calls[place], InvalidField(own))
    return [call for place, call in enumerate(calls) if place not in fields]


def _line_count(operation: Operation) -> int:
    """Return for how many lines the contract counts an operation."""
    if operation.HasField("reserve"):
        return len(operation.reserve.lines)
    return max(1, len(operation.commit.lines)) if operation.HasField("commit") else 1
