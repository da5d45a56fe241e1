"""How a watch outlives its connection: from where it begins anew, when, and after which failures.

The clients open the streams and wait; this decides, and knows neither threads nor an event loop.
"""

import random
import time
from collections.abc import Callable
from typing import Final, cast

import grpc

from tallykeeper.v1.ledger_pb2 import WatchRequest, WatchResponse
from tallykeeper_client._calls.base import Call
from tallykeeper_client._status_details import Failure
from tallykeeper_client.errors import TallykeeperError, Unavailable

BACKOFF_SECONDS_MIN: Final = 0.1
BACKOFF_SECONDS_MAX: Final = 5.0
"""The longest pause: a server that comes back after an hour is found in so many seconds."""

_AGAIN_CODES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,  # not of this call, which has none: a proxy's limit
    }
)
_AGAIN_REASONS: Final = frozenset({"OVERLOADED", "RATE_LIMITED", "TOO_MANY_WATCHES", "WATCHER_TOO_SLOW"})
_BROKEN_STREAM: Final = ("RST_STREAM", "Stream removed")
"""What gRPC says with INTERNAL or UNKNOWN when not the server but the connection has ended a stream."""


class Following:
    """One watch through all its connections."""

    def __init__(
        self,
        call: Call[WatchResponse],
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """``clock`` counts seconds; ``draw`` gives a number from 0 to 1."""
        self.request = cast("WatchRequest", call.request)
        self._clock = clock
        self._draw = draw
        self._give_up_at: float | None = clock() + call.timeout_seconds
        self._failures = 0

    def took(self, response: WatchResponse) -> None:
        """Note what has been received: the next connection begins after it."""
        self.request.after_revision = response.revision
        self.request.include_levels = False
        self._give_up_at = None
        self._failures = 0

    def pause_seconds(self, error: TallykeeperError) -> float | None:
        """Say how long to wait before the watch begins anew; None if it must end with this error."""
        if not _may_pass(error):
            return None
        # A random half spreads the watchers of a server that restarts.
        backoff = min(BACKOFF_SECONDS_MIN * 2.0**self._failures, BACKOFF_SECONDS_MAX) * (1 + self._draw()) / 2
        pause = max(backoff, error.retry_after_seconds or 0.0)
        if self._give_up_at is not None and self._clock() + pause > self._give_up_at:
            return None
        self._failures = min(self._failures + 1, 16)
        return pause


def ended(target: str) -> Unavailable:
    """Tell of a stream that the server ended without an error, which a watch never has."""
    code = grpc.StatusCode.UNAVAILABLE
    return Unavailable(Failure(code=code, reason=code.name, message=f"the server at {target} ended the watch"))


def _may_pass(error: TallykeeperError) -> bool:
    return (
        error.code in _AGAIN_CODES
        or error.reason in _AGAIN_REASONS
        or any(words in error.message for words in _BROKEN_STREAM)
    )
