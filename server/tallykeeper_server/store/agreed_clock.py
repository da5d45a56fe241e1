"""The time that several clocks agree on: it never goes back, it never stops, and no single clock can hurry it.

The script sees the store's clock, and this process sees its own. The earlier of the two counts, so that a clock that
runs ahead ends nothing early. The time that a process has reached continues by a clock that never jumps, so that a
clock that is set back stops nothing. A process counts ages in a namespace by that clock alone.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, cast

import structlog

from tallykeeper_server.store.nodes.commands import Reply

_PACE: Final = 0.9
"""The pace of the held time. It is slower than that of a clock, so that clocks which are behind catch up with it."""
_NAMESPACES_MAX: Final = 100_000
"""The namespaces that this process remembers: those whose time is ahead of it, and those in which it counts ages."""
_DIFFERENCE_REPORTED_MS: Final = 10_000
"""The difference of the two clocks, in milliseconds, from which it is logged."""

Kept = TypeVar("Kept")

log = structlog.get_logger()


def steady_seconds() -> float:
    """Return seconds by a clock that never jumps and, where there is one, goes on while the machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def time_ms_of(reply: Reply) -> int:
    """Return a reply to TIME as milliseconds since 1970."""
    seconds, microseconds = cast("list[bytes]", reply)
    return int(seconds) * 1_000 + int(microseconds) // 1_000


@dataclass(frozen=True, slots=True)
class ScriptTimes:
    """The times that a script call is given, in milliseconds."""

    wall: int
    """This process's own clock, since 1970."""
    namespaces: Sequence[int]
    """Three numbers for each namespace: the time that this process has reached there, since 1970; the generation that
    it has found there, 0 for none; and the age that it has counted for that generation."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A number of milliseconds, and the time of the steady clock at which it was read."""

    ms: float
    at_ms: float

    def held(self, at_ms: float) -> float:
        """Return the milliseconds at a later time of the steady clock, at the slower pace."""
        return self.ms + _PACE * (at_ms - self.at_ms)

    def counted(self, at_ms: float) -> float:
        """Return the milliseconds at a later time of the steady clock."""
        return self.ms + at_ms - self.at_ms


class AgreedClock:
    """The time of one process that uses a store, and of the namespaces that it has seen."""

    def __init__(
        self, wall_clock: Callable[[], float] = time.time, steady_clock: Callable[[], float] = steady_seconds
    ) -> None:
        """Take a ``wall_clock`` of seconds since 1970, and a ``steady_clock`` of seconds that only grow."""
        self._wall_clock = wall_clock
        self._steady_clock = steady_clock
        self.has_begun = False
        """Whether the store's clock has been seen. Before that, no times can be given."""
        self._held = _Reading(0, 0)
        self._apart: dict[str, _Reading] = {}
        self._counted: dict[str, tuple[int, _Reading]] = {}
        self._reports_difference = True

    def times(self, namespaces: Sequence[str]) -> ScriptTimes:
        """Return the times for a script call on some namespaces. The clock must have begun."""
        at_ms = self._steady_clock() * 1_000
        held_ms = int(self._held.held(at_ms))
        numbers: list[int] = []
        for name in namespaces:
            apart = self._time_apart(name, at_ms)
            known = self._counted.get(name)
            generation, age_ms = (known[0], int(known[1].counted(at_ms))) if known else (0, 0)
            numbers += (held_ms if apart is None else int(apart), generation, age_ms)
        return ScriptTimes(int(self._wall_clock() * 1_000), numbers)

    def read_times(self, namespace: str) -> tuple[int, int]:
        """Return this process's own clock, and the time that it has reached in a namespace, for a read of it."""
        return int(self._wall_clock() * 1_000), self.held_ms(namespace)

    def held_ms(self, namespace: str = "") -> int:
        """Return the time that this process has reached, or that of a namespace that is ahead of it."""
        at_ms = self._steady_clock() * 1_000
        apart = self._time_apart(namespace, at_ms)
        return int(self._held.held(at_ms) if apart is None else apart)

    def now_ms(self, store_ms: int, *, namespace: str, namespace_ms: int) -> int:
        """Return the time of an answer, given the store's clock and the time of the namespace's clock."""
        agreed = min(store_ms, self._wall_clock() * 1_000)
        return int(max(namespace_ms, agreed, self.held_ms(namespace)))

    def see_store(self, store_ms: int) -> None:
        """Take the time that the store's clock shows now, in milliseconds since 1970."""
        at_ms, wall_ms = self._steady_clock() * 1_000, self._wall_clock() * 1_000
        agreed = min(store_ms, wall_ms)
        if not self.has_begun or agreed >= self._held.held(at_ms):
            self._held = _Reading(agreed, at_ms)
        self.has_begun = True
        self._report_difference(int(store_ms - wall_ms))

    def see_namespace(self, namespace: str, time_ms: int) -> None:
        """Take the time of a namespace that is ahead of this process."""
        _remember(self._apart, namespace, _Reading(time_ms, self._steady_clock() * 1_000))

    def see_generations(self, namespaces: Sequence[str], found: Sequence[int]) -> None:
        """Take the generation of each namespace and its age, as the call found them that has just been answered."""
        at_ms = self._steady_clock() * 1_000
        for namespace, generation, age in zip(namespaces, found[::2], found[1::2], strict=False):
            known = self._counted.get(namespace)
            if known is None or known[0] != generation or age > known[1].counted(at_ms):
                _remember(self._counted, namespace, (generation, _Reading(age, at_ms)))

    @property
    def namespaces_apart(self) -> list[str]:
        """The namespaces whose time is ahead of this process."""
        return list(self._apart)

    def _time_apart(self, namespace: str, at_ms: float) -> float | None:
        """Return the time of a namespace that is ahead of this process; None if it is not ahead."""
        apart = self._apart.get(namespace) if self._apart else None
        if apart is None:
            return None
        time_ms = apart.held(at_ms)
        if time_ms > self._held.held(at_ms):
            return time_ms
        del self._apart[namespace]
        return None

    def _report_difference(self, difference_ms: int) -> None:
        """Log that the two clocks differ, once until they agree again."""
        differs = abs(difference_ms) >= _DIFFERENCE_REPORTED_MS
        if differs and self._reports_difference:
            log.warning(
                "the store's clock and this machine's differ: the earlier one counts", store_ahead_ms=difference_ms
            )
        self._reports_difference = not differs


def _remember(readings: dict[str, Kept], namespace: str, reading: Kept) -> None:
    """Keep the reading of a namespace, and forget another namespace's if there are too many."""
    if namespace not in readings and len(readings) >= _NAMESPACES_MAX:
        del readings[next(iter(readings))]
    readings[namespace] = reading
