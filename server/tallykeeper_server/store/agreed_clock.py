"""The time that several clocks agree on: it never goes back, it never stops, and no single clock can hurry it.

The script sees the store's clock, and this process sees its own. The earlier one of the two counts, so that a clock
that runs ahead ends nothing early. The time that a process has come to goes on by a clock that never jumps, so that a
clock that is set back stops nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import structlog

from tallykeeper_server.store.connection import Reply

_PACE: Final = 0.9
"""The pace of the held time. It is slower than that of a clock, so that clocks which are behind catch up with it."""
_PLAUSIBLE_LEAD_MS: Final = 60_000
"""The lead of a namespace's time over both clocks, in milliseconds, up to which this process takes that time for its
own. The time of a namespace that is further ahead holds there alone."""
_NAMESPACES_APART_MAX: Final = 10_000
_DIFFERENCE_REPORTED_MS: Final = 10_000
"""The difference of the two clocks, in milliseconds, from which it is logged."""

log = structlog.get_logger()


def steady_seconds() -> float:
    """Return seconds by a clock that never jumps and that goes on while the machine is suspended, if there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def time_ms_of(reply: Reply) -> int:
    """Return a reply to TIME as milliseconds since 1970."""
    seconds, microseconds = cast("list[bytes]", reply)
    return int(seconds) * 1_000 + int(microseconds) // 1_000


@dataclass(frozen=True, slots=True)
class ScriptTimes:
    """The times that a script call is given, in milliseconds since 1970."""

    wall: int
    """This process's own clock."""
    held: int
    """The time that this process has come to."""
    certain: int
    """The time at which this process began, and the milliseconds since then by the steady clock."""


@dataclass(slots=True)
class _Reading:
    """A time, and when it was that time by the steady clock, in milliseconds."""

    time_ms: float
    at_ms: float

    def held(self, at_ms: float) -> float:
        """Return the time that has been reached since, at the slower pace."""
        return self.time_ms + _PACE * (at_ms - self.at_ms)

    def certain(self, at_ms: float) -> float:
        """Return the time that it is at most, if the reading was right."""
        return self.time_ms + at_ms - self.at_ms


@dataclass(slots=True)
class _Apart:
    """A namespace whose time is ahead of both clocks: its time when it was first seen, and the last one."""

    first: _Reading
    last: _Reading


class AgreedClock:
    """The time of one process that uses a store."""

    def __init__(
        self, wall_clock: Callable[[], float] = time.time, steady_clock: Callable[[], float] = steady_seconds
    ) -> None:
        """``wall_clock`` gives seconds since 1970, ``steady_clock`` seconds that only grow."""
        self._wall_clock = wall_clock
        self._steady_clock = steady_clock
        self.has_begun = False
        """The store's clock has been seen. Before that, no times can be given."""
        self._began = _Reading(0, 0)
        self._held = _Reading(0, 0)
        self._apart: dict[str, _Apart] = {}
        self._reports_difference = True

    def times(self) -> ScriptTimes:
        """Return the times for a script call. The clock must have begun."""
        at_ms = self._steady_clock() * 1_000
        return ScriptTimes(
            int(self._wall_clock() * 1_000), int(self._held.held(at_ms)), int(self._began.certain(at_ms))
        )

    def times_apart(self, namespace: str) -> tuple[int, int] | None:
        """Return the held and the certain time of a namespace that is ahead of the clocks; None if it is not."""
        apart = self._apart.get(namespace) if self._apart else None
        if apart is None:
            return None
        at_ms = self._steady_clock() * 1_000
        return int(apart.last.held(at_ms)), int(apart.first.certain(at_ms))

    def read_times(self, namespace: str) -> tuple[int, int]:
        """Return this process's own clock and the held time for a read of a namespace, as ``ScriptTimes`` has them."""
        return int(self._wall_clock() * 1_000), int(self.held_ms(namespace))

    def see_store(self, store_ms: int) -> None:
        """Take in what the store's clock says now, in milliseconds since 1970."""
        at_ms, wall_ms = self._steady_clock() * 1_000, self._wall_clock() * 1_000
        agreed = min(store_ms, wall_ms)
        if not self.has_begun:
            self.has_begun = True
            self._began = self._held = _Reading(agreed, at_ms)
        elif agreed >= self._held.held(at_ms):
            self._held = _Reading(agreed, at_ms)
        self._report_difference(int(store_ms - wall_ms))

    def see_namespace(self, namespace: str, time_ms: int, store_ms: int) -> None:
        """Take in the time of a namespace that is ahead of what this process has come to and of both clocks."""
        at_ms = self._steady_clock() * 1_000
        reading = _Reading(time_ms, at_ms)
        if time_ms <= max(store_ms, self._wall_clock() * 1_000) + _PLAUSIBLE_LEAD_MS:
            if time_ms > self._held.held(at_ms):
                self._held = reading
            return
        known = self._apart.get(namespace)
        if known is not None:
            known.last = reading
            return
        if len(self._apart) >= _NAMESPACES_APART_MAX:
            del self._apart[next(iter(self._apart))]
        self._apart[namespace] = _Apart(reading, reading)
        log.warning("a namespace's time is ahead of all clocks", namespace=namespace, time_ms=time_ms)

    def now_ms(self, store_ms: int, *, namespace: str = "", namespace_ms: int = 0) -> int:
        """Return the time for an answer, given the store's clock and the time that the namespace's clock holds."""
        at_ms = self._steady_clock() * 1_000
        apart = self._apart.get(namespace) if self._apart else None
        held = self._held.held(at_ms) if apart is None else apart.last.held(at_ms)
        return int(max(namespace_ms, min(store_ms, self._wall_clock() * 1_000), held))

    def held_ms(self, namespace: str = "") -> int:
        """Return the time that this process has come to, in a namespace if that is ahead of the clocks."""
        apart = self.times_apart(namespace)
        return self.times().held if apart is None else apart[0]

    def certain_ms(self, namespace: str) -> int:
        """Return the certain time of a namespace: see ``ScriptTimes``."""
        apart = self.times_apart(namespace)
        return self.times().certain if apart is None else apart[1]

    @property
    def namespaces_apart(self) -> list[str]:
        """The namespaces whose time is ahead of all clocks."""
        return list(self._apart)

    def _report_difference(self, difference_ms: int) -> None:
        """Log that the two clocks differ, once until they agree again."""
        differs = abs(difference_ms) >= _DIFFERENCE_REPORTED_MS
        if differs and self._reports_difference:
            log.warning(
                "the store's clock and this machine's differ: the earlier one counts", store_ahead_ms=difference_ms
            )
        self._reports_difference = not differs
