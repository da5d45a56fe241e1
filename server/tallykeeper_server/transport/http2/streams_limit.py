"""The number of calls that one peer may have in flight, which follows the load of the server."""

import math
from typing import Final

from tallykeeper_server.transport.http2.server_state import Shared

_LEAST: Final = 1


class StreamsLimit:
    """The limit of calls in flight on one connection (SETTINGS_MAX_CONCURRENT_STREAMS; RFC 9113, section 5.1.2).

    It is the connection's share of the calls of the server, and one more for each stream of responses that the peer
    has. A peer whose call finds no room or a crowd gets half of that, down to one call: then it holds back what the
    server could only refuse. When this has not happened for a time, the limit doubles until it is the share again.
    """

    def __init__(self, shared: Shared) -> None:
        self.is_narrow = False
        """True while the limit is below the share."""
        self._shared = shared
        self._long_calls = 0
        self._most = 0
        """The number of calls that is allowed while the limit is narrow."""
        self._halved_at = self._quiet_since = -math.inf
        self.value = self._wanted()
        """The limit that the peer was sent last."""

    def count_long_calls(self, change: int) -> None:
        """Add streams of responses. A negative number removes them."""
        self._long_calls += change

    def narrow(self) -> None:
        """Halve the limit, because there was no room for a call of the peer, or a crowd."""
        now = self._quiet_since = self._shared.loop.time()
        if now - self._halved_at >= self._shared.limits.narrow_seconds:
            self._halved_at = now
            self._most = max(_LEAST, self._calls() // 2)
            self.is_narrow = True

    def widen(self) -> None:
        """Double the limit if it was not halved for a time."""
        now = self._shared.loop.time()
        if now - self._quiet_since >= self._shared.limits.widen_seconds:
            self._quiet_since = now
            self._most *= 2
            self.is_narrow = self._most < self._shared.streams_share

    def changed(self) -> bool:
        """Compute the limit again. Return whether it has changed, so that the peer must get the new ``value``."""
        before, self.value = self.value, self._wanted()
        return self.value != before

    def _wanted(self) -> int:
        return min(self._shared.limits.streams_per_connection_max, self._calls() + self._long_calls)

    def _calls(self) -> int:
        share = self._shared.streams_share
        return min(self._most, share) if self.is_narrow else share
