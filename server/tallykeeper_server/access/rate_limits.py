"""How often each identity may call: a token bucket for each of those who called lately."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tallykeeper_server.access.policy import AccessPolicy, Rate
from tallykeeper_server.domain.errors import RetryLaterError

_BUCKETS_MAX: Final = 10_000
"""How many identities are remembered; the longest silent is forgotten first, and begins with a full bucket."""


class RateLimitedError(RetryLaterError):
    """Somebody calls more often than they may. Nothing happened."""

    reason = "RATE_LIMITED"

    def __init__(self, identity: str, rate: Rate, retry_after_seconds: float) -> None:
        super().__init__(
            f"{identity} may make {rate.calls_per_second:g} calls a second, and {rate.burst:g} at once",
            {"identity": identity, "calls_per_second": f"{rate.calls_per_second:g}", "burst": f"{rate.burst:g}"},
        )
        self.retry_after_seconds = retry_after_seconds


class RateLimits:
    """The buckets, each of them full at first. Every worker has its own."""

    def __init__(self, policy: AccessPolicy, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds."""
        self._policy = policy
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float, Rate]] = OrderedDict()
        """By identity: calls that are left, when that was so, and the rate that it was filled by."""

    def follow(self, policy: AccessPolicy) -> None:
        """Go by another policy from now on. It may be called from any thread.

        A bucket stays as full as it was, in proportion if its size changes: a change of the file is no new start.
        """
        self._policy = policy

    def take(self, identity: str) -> None:
        """Let somebody make a call.

        :raises RateLimitedError: not yet.
        """
        rate = self._policy.rate_of(identity)
        if rate is None:
            return
        now = self._clock()
        tokens, at, filled_by = self._buckets.pop(identity, (rate.burst, now, rate))
        tokens = min(filled_by.burst, tokens + (now - at) * filled_by.calls_per_second)
        if filled_by != rate:
            tokens *= rate.burst / filled_by.burst
        allowed = tokens >= 1
        self._buckets[identity] = (tokens - 1 if allowed else tokens, now, rate)
        if len(self._buckets) > _BUCKETS_MAX:
            self._buckets.popitem(last=False)
        if not allowed:
            wait = (1 - tokens) / rate.calls_per_second if rate.calls_per_second else 3_600.0
            raise RateLimitedError(identity, rate, min(wait, 3_600.0))

    def charge(self, identity: str, calls: int) -> None:
        """Count further calls that came as one which has been let in: they are paid for before the next."""
        if identity in self._buckets:
            tokens, at, rate = self._buckets[identity]
            self._buckets[identity] = (tokens - calls, at, rate)
