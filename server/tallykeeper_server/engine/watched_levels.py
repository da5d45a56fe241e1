"""Reads the levels with which a watch begins, all at one revision."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tallykeeper_server.domain import limits
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.domain.levels import CounterName, ReadLevel, StockName
from tallykeeper_server.domain.queries import FindLevels, Kind, LevelRange
from tallykeeper_server.engine.namespace_reader import EngineSource


class Watched(Protocol):
    """The items and counters that a watch is about."""

    @property
    def items(self) -> frozenset[str]:
        """The items; none if the watch names none."""

    @property
    def counters(self) -> frozenset[str]:
        """The counters; none if the watch names none."""

    @property
    def is_open(self) -> bool:
        """Whether all names are watched."""

    def has(self, name: CounterName | StockName) -> bool:
        """Return whether a level is watched."""


@dataclass(frozen=True, slots=True)
class WatchedLevels:
    """Levels, and the revision at which they were read."""

    revision: int
    levels: Sequence[ReadLevel]


async def read_watched_levels(source: EngineSource, namespace: str, watched: Watched) -> WatchedLevels:
    """Read the levels that are watched.

    :raises InvalidFieldError: there are more than 10,000.
    """
    counters = tuple(CounterName(counter) for counter in watched.counters)
    room = limits.WATCH_LEVELS_MAX - len(counters)
    query = FindLevels(namespace=namespace, ranges=tuple(_ranges(watched)), names=counters, levels_max=room)
    found = await source.find_levels(query)
    if found.after is not None:
        rule = f"there are more than {limits.WATCH_LEVELS_MAX} levels; name fewer items and counters"
        raise InvalidFieldError([("include_levels", rule)])
    levels = [
        level
        for level in found.levels
        if not isinstance(level.name, CounterName | StockName) or watched.has(level.name)
    ]
    return WatchedLevels(found.revision, levels)


def _ranges(watched: Watched) -> Iterator[LevelRange]:
    if watched.is_open:
        yield LevelRange(kind=Kind.STOCK)
        yield LevelRange(kind=Kind.COUNTER)
    for item in watched.items:
        yield LevelRange(kind=Kind.STOCK, prefix=item, whole_item=True)
