"""The rules for a watch that loses its connection: the revision, the time and the failures at which it begins again.

The clients open the streams and wait. This module knows neither threads nor an event loop.
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
"""The longest pause. A server that comes back after an hour is found within this time."""

_AGAIN_CODES: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,  # a proxy's limit, because a watch has no deadline itself
    }
)
_AGAIN_REASONS: Final = frozenset({"OVERLOADED", "RATE_LIMITED", "TOO_MANY_WATCHES", "WATCHER_TOO_SLOW"})
_BROKEN_STREAM: Final = ("RST_STREAM", "Stream removed")
"""Words in gRPC's message with INTERNAL or UNKNOWN if the connection, not the server, has ended a stream."""


class Following:
    """A watch through all its connections."""

    def __init__(
        self,
        call: Call[WatchResponse],
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Take a watch. ``clock`` counts seconds, and ``draw`` returns a number from 0 to 1."""
        self.request = cast("WatchRequest", call.request)
        self._clock = clock
        self._draw = draw
        self._give_up_at: float | None = clock() + call.timeout_seconds
        self._failures = 0

    def took(self, response: WatchResponse) -> None:
        """Note a received response. The next connection begins after its revision."""
        self.request.after_revision = response.revision
        self.request.include_levels = False
        self._give_up_at = None
        self._failures = 0

    def pause_seconds(self, error: TallykeeperError) -> float | None:
        """Return the seconds to wait before the watch begins again; None if it must end with this error."""
        if not _may_pass(error):
            return None
        # Half of the pause is random, so that the watchers of a restarted server do not all come at once.
        backoff = min(BACKOFF_SECONDS_MIN * 2.0**self._failures, BACKOFF_SECONDS_MAX) * (1 + self._draw()) / 2
        pause = max(backoff, error.retry_after_seconds or 0.0)
        if self._give_up_at is not None and self._clock() + pause > self._give_up_at:
            return None
        self._failures = min(self._failures + 1, 16)
        return pause


def ended(target: str) -> Unavailable:
    """Return the error for a stream that the server ended without an error. A watch never ends so."""
    code = grpc.StatusCode.UNAVAILABLE
    return Unavailable(Failure(code=code, reason=code.name, message=f"the server at {target} ended the watch"))


def _may_pass(error: TallykeeperError) -> bool:
    return (
        error.code in _AGAIN_CODES
        or error.reason in _AGAIN_REASONS
        or any(words in error.message for words in _BROKEN_STREAM)
    )
