"""One call in a lane: its item and, when the call is done, its result."""

import asyncio
import logging
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

log = logging.getLogger(__name__)


class LaneCall(Generic[Item, Result]):
    """A call in a lane, which can be awaited or have one callback.

    The callback is called as soon as the result is there. An asyncio.Future would call back in the next turn of the
    event loop, which costs 1 µs more for each call.
    """

    __slots__ = (
        "_callback",
        "_error",
        "_is_done",
        "_result",
        "deadline",
        "item",
        "may_resend",
        "maybe_applied",
        "waiting_since",
        "weight",
    )

    _result: Result

    def __init__(self, item: Item, weight: int, deadline: float, *, may_resend: bool, waiting_since: float) -> None:
        """Take a ``deadline`` in the event loop's time, and ``waiting_since``, a time of ``perf_counter``."""
        self.item = item
        self.weight = weight
        self.deadline = deadline
        self.may_resend = may_resend
        self.waiting_since = waiting_since
        self.maybe_applied = False
        self._is_done = False
        self._error: BaseException | None = None
        self._callback: Callable[[LaneCall[Item, Result]], None] | None = None

    def done(self) -> bool:
        """Return whether the call has a result or an error, or its caller has left."""
        return self._is_done

    def result(self) -> Result:
        """Return the result of a call that is done.

        :raises asyncio.CancelledError: the call was cancelled.
        :raises Exception: the call failed.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def resolve(self, result: Result) -> None:
        """Set the result, unless the call is done."""
        if not self._is_done:
            self._result = result
            self._finish()  # the callback makes the caller's answer here

    def fail(self, error: BaseException) -> None:
        """Set an error, unless the call is done."""
        if not self._is_done:
            self._error = error
            self._finish()

    def cancel(self) -> None:
        """Note that the caller has left. A call that was not sent is then never sent."""
        self.fail(asyncio.CancelledError())

    def when_done(self, callback: Callable[["LaneCall[Item, Result]"], None]) -> None:
        """Call back once the call is done, in place of any other callback."""
        self._callback = callback
        if self._is_done:
            callback(self)

    def _finish(self) -> None:
        self._is_done = True
        callback, self._callback = (
            self._callback,
            None,
        )  # it mostly holds this call, and Python frees a cycle late
        if callback is not None:
            try:
                callback(self)
            except Exception:
                log.exception("the callback of a call has failed")

    def __await__(self) -> Generator[Any, None, Result]:
        if not self._is_done:
            future = asyncio.get_running_loop().create_future()
            self.when_done(lambda _: None if future.done() else future.set_result(None))
            try:
                yield from future
            except asyncio.CancelledError:
                self.cancel()
                raise
        return self.result()
