"""The levels with which a watch begins, all as they are at one revision."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

from tallykeeper_server.domain import limits
from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.domain.levels import CounterName, LevelName, ReadLevel, StockName
from tallykeeper_server.domain.queries import Kind, ListNames, ReadLedger, Snapshot
from tallykeeper_server.engine.source import EngineSource

_LISTED_MAX: Final = limits.WATCH_LEVELS_MAX + 1


class Watched(Protocol):
    """What a watch is about."""

    @property
    def items(self) -> frozenset[str]:
        """The items; none if there are no names, or only others."""

    @property
    def counters(self) -> frozenset[str]:
        """The counters; none if there are no names, or only others."""

    @property
    def is_open(self) -> bool:
        """Whether all names are watched."""

    def has(self, name: CounterName | StockName) -> bool:
        """Tell whether a level is one that is watched."""


@dataclass(frozen=True, slots=True)
class WatchedLevels:
    """Levels, and the revision at which they are so."""

    revision: int
    levels: Sequence[ReadLevel]


async def read_watched_levels(source: EngineSource, namespace: str, watched: Watched) -> WatchedLevels:
    """Read the levels that are watched.

    Names are listed before their levels are read; what is new in between is taken from the entries in between.

    :raises InvalidFieldError: there are more than 10,000.
    """
    before = await source.revision_of(namespace)
    listed = await asyncio.gather(*(source.list_names(query) for query in _listings(namespace, watched)))
    names: dict[LevelName, None] = dict.fromkeys(CounterName(counter) for counter in watched.counters)
    names |= dict.fromkeys(
        name for name in chain(*listed) if not isinstance(name, CounterName | StockName) or watched.has(name)
    )
    if len(names) > limits.WATCH_LEVELS_MAX:
        rule = f"there are more than {limits.WATCH_LEVELS_MAX} levels; name fewer items and counters"
        raise InvalidFieldError([("include_levels", rule)])
    snapshot = await source.snapshot(Snapshot(namespace, tuple(names)))
    levels: dict[LevelName, ReadLevel | None] = dict(zip(names, snapshot.levels, strict=True))
    for entry in await _entries_between(source, namespace, before, snapshot.revision):
        levels |= {line.name: line.after for line in entry.lines if line.name not in names and watched.has(line.name)}
    return WatchedLevels(snapshot.revision, [level for level in levels.values() if level is not None])


def _listings(namespace: str, watched: Watched) -> Iterator[ListNames]:
    if watched.is_open:
        yield ListNames(namespace, Kind.STOCK, limit=_LISTED_MAX)
        yield ListNames(namespace, Kind.COUNTER, limit=_LISTED_MAX)
    for item in watched.items:
        yield ListNames(namespace, Kind.STOCK, prefix=item, whole_item=True, limit=_LISTED_MAX)


async def _entries_between(source: EngineSource, namespace: str, after: int, last: int) -> list[Entry]:
    entries: list[Entry] = []
    while after < last:
        page = await source.read_ledger(ReadLedger(namespace, after=after, scripts_max=256))
        if not page:
            break
        entries += (entry for entry in page if entry.revision <= last)
        after = page[-1].revision
    return entries
