"""Limits the rate of calls of each identity with a token bucket."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from tallykeeper_server.access.policy import AccessPolicy, Rate
from tallykeeper_server.domain.errors import RetryLaterError

_BUCKETS_MAX: Final = 10_000
"""The number of identities that have a bucket. The one that was silent longest loses it, and gets a full one later."""


class RateLimitedError(RetryLaterError):
    """An identity calls more often than its rate allows. Nothing happened."""

    reason = "RATE_LIMITED"

    def __init__(self, identity: str, rate: Rate, retry_after_seconds: float) -> None:
        super().__init__(
            f"{identity} may make {rate.calls_per_second:g} calls a second, and {rate.burst:g} at once",
            {"identity": identity, "calls_per_second": f"{rate.calls_per_second:g}", "burst": f"{rate.burst:g}"},
        )
        self.retry_after_seconds = retry_after_seconds


class RateLimits:
    """The buckets of one worker. Each bucket is full at first."""

    def __init__(self, policy: AccessPolicy, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds."""
        self._policy = policy
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float, Rate]] = OrderedDict()
        """The buckets by identity: the calls that were left, the time of that in seconds, and the rate."""

    def follow(self, policy: AccessPolicy) -> None:
        """Use another policy from now on. Any thread may call this.

        A bucket keeps the share of calls that it has left, also if its size changes.
        """
        self._policy = policy

    def take(self, identity: str) -> None:
        """Take a call from the bucket of an identity.

        :raises RateLimitedError: the bucket is empty.
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
        """Take calls from the bucket of an identity, below zero if necessary, for the operations of one call."""
        if identity in self._buckets:
            tokens, at, rate = self._buckets[identity]
            self._buckets[identity] = (tokens - calls, at, rate)
