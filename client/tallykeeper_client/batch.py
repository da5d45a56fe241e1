"""Mutations that are made together and share requests: the methods of `AsyncClient.batch`.

A batch gathers calls as the server does. The first request has all calls that are made in the same turn of the event
loop. While the maximum number of requests is in flight, further calls wait and share the next request.
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
"""The maximum number of lines in one request. As for operations, this is the contract's limit."""
BYTES_MAX: Final = 512 * 1024
"""The maximum size of the operations in one request. It is half of the limit of a server by default."""
UNDER_WAY_MAX: Final = 2
"""The maximum number of requests in flight."""
_OPERATION_OF: Final = re.compile(r"operations\[(\d+)\](?:\.[a-z_]+\.)?(.*)")

Apply = Callable[[Sequence[Operation]], Awaitable[ApplyResponse]]


@dataclass(slots=True, eq=False)
class _Waiting:
    """A call, and the future of its caller."""

    operation: Operation
    future: "asyncio.Future[Any]"


class Batch(CounterMutations, InventoryMutations, ReservationMutations, Awaited):
    """The mutations of an `AsyncClient`, where the calls that are made together share a request.

    Each method has the arguments, response and errors of the client's method, with three exceptions. ``request_id`` and
    ``timeout_seconds`` cannot be given, because they belong to the shared request. The namespace must be the client's.

    The client makes the id of each request, so that a retry counts nothing twice. Use the client's own methods if an id
    must outlive this process. Two requests may be in flight, so a call can overtake an earlier call. Await the first
    call if the second must come after it.

    A cancelled call is withdrawn if it was not sent. Otherwise the cancellation changes nothing.

    Example:
        >>> import asyncio
        >>> async def sell(items: list[str]) -> int:
        ...     async with AsyncClient(target, namespace=namespace) as client:
        ...         await client.set_stock("dune", 2)
        ...         async with client.batch() as batch:
        ...             calls = (batch.decrement_copies(item) for item in items)
        ...             results = await asyncio.gather(*calls, return_exceptions=True)
        ...     return sum(isinstance(result, InsufficientStock) for result in results)
        >>> asyncio.run(sell(["dune", "dune", "dune"]))
        1

    """

    def __init__(self, apply: Apply, namespace: str) -> None:
        """Take the function that sends independent operations and returns the response, and the namespace."""
        self._apply = apply
        self._namespace = namespace
        self._waiting: deque[_Waiting] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._closed = False

    @classmethod
    def _method_of(cls, build: Callable[..., Call[Any]]) -> Callable[..., object]:
        """Return a method that sends the request of ``build`` together with others, and returns its response."""

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
        """Wait until every call has its response. After an exception, first withdraw the calls that were not sent."""
        self._closed = True
        if exception is not None:
            for call in self._waiting:
                call.future.cancel()
        while self._waiting or self._under_way:
            self._send()
            await asyncio.wait(self._under_way) if self._under_way else await asyncio.sleep(0)

    def _submit(self, operation: Operation) -> "asyncio.Future[Any]":
        """Add a call to the batch.

        Raises RuntimeError if the batch has been left, and ValueError for a namespace other than the client's.
        """
        if self._closed:
            message = "the batch has ended: make calls within its `async with`"
            raise RuntimeError(message)
        request = getattr(operation, cast("str", operation.WhichOneof("operation")))
        if request.namespace not in {"", self._namespace}:
            message = f"the namespace of this batch is {self._namespace!r}, so a call cannot name {request.namespace!r}"
            raise ValueError(message)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._waiting.append(_Waiting(operation, future))
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._send)
        return future

    def _send(self) -> None:
        """Send waiting calls, up to the maximum number of requests in flight."""
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
        """Yield the calls for one request. Cancelled calls are left out."""
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
        """Send calls, and give each a response or an error, because no caller must wait forever."""
        try:
            await self._answer(calls)
        except TallykeeperError as error:
            for call in calls:
                _fail(call, type(error)(error.args[0]))  # a copy for each call, because an exception collects traces
        except Exception as error:  # noqa: BLE001  # each caller gets the error
            for call in calls:
                _fail(call, error)
        except BaseException:
            for call in calls:
                call.future.cancel()
            raise

    async def _answer(self, calls: list[_Waiting]) -> None:
        """Answer calls. If the server refuses calls with a bad field, the others are sent again without them."""
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
    """Fail the calls whose fields break a rule, each with its own fields, and return the others. Nothing was changed.

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
    for index, violations in fields.items():
        message = "; ".join(f"{each.field}: {each.description}" for each in violations)
        metadata = {"field": violations[0].field, "violations": str(len(violations))}
        own = replace(failure, message=message, metadata=metadata, field_violations=tuple(violations))
        _fail(calls[index], InvalidField(own))
    return [call for index, call in enumerate(calls) if index not in fields]


def _line_count(operation: Operation) -> int:
    """Return the number of lines that an operation counts for."""
    if operation.HasField("reserve"):
        return len(operation.reserve.lines)
    return max(1, len(operation.commit.lines)) if operation.HasField("commit") else 1
