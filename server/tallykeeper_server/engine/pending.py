"""Results that are not there yet: a call in a lane, and the functions that make the caller's result of its own."""

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from tallykeeper_server.engine.lane_call import LaneCall

Result = TypeVar("Result")
Next = TypeVar("Next")


class Pending(Generic[Result]):
    """A result that can be awaited, or fetched by a callback once its call is done.

    A callback saves the 4 µs of a task for each call (Python 3.11, uvloop). Awaiting reads better.
    """

    __slots__ = ("_read", "call")

    def __init__(self, call: LaneCall[Any, Any], read: Callable[[Any], Result]) -> None:
        """``read`` makes the result out of that of the call. It may raise what the caller is to get instead."""
        self.call = call
        self._read = read

    def then(self, function: Callable[[Result], Next]) -> "Pending[Next]":
        """Return the result of a function of this result."""
        read = self._read
        return Pending(self.call, lambda done: function(read(done)))

    def result(self) -> Result:
        """Return the result of a call that is done.

        :raises Exception: the call's error, or that of a function that makes the result.
        :raises asyncio.CancelledError: the call was cancelled.
        """
        return self._read(self.call.result())

    def __await__(self) -> Generator[Any, None, Result]:
        return self._read((yield from self.call.__await__()))
