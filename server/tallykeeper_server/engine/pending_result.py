"""Results that are not there yet: a call in a lane, and the functions that make the caller's result from the call's."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from tallykeeper_server.engine.lane_call import LaneCall

Result = TypeVar("Result")


class Pending(Generic[Result]):
    """A result that a callback of the call fetches once the call is done.

    A callback saves the 4 µs of a task for each call (Python 3.11, uvloop).
    """

    __slots__ = ("_read", "call")

    def __init__(self, call: LaneCall[Any, Any], read: Callable[[Any], Result]) -> None:
        """Take ``read``, which makes the result from that of the call.

        It may raise an exception for the caller instead.
        """
        self.call = call
        self._read = read

    def result(self) -> Result:
        """Return the result of a call that is done.

        :raises Exception: the call failed, or a function that makes the result raised this.
        :raises asyncio.CancelledError: the call was cancelled.
        """
        return self._read(self.call.result())
