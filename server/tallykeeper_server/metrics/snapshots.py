"""What one process says of its metrics, and what several say together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias, TypedDict

from tallykeeper_server.metrics.families import FAMILIES, Family, Kind

_SILENT_PROCESSES_MAX: Final = 64
"""How many are told apart that say nothing any more. The counters of those before them are kept as one."""


class Sample(TypedDict):
    """One series: the values of its family's labels, and its numbers.

    A counter or a gauge has one; a histogram has its buckets' counts, each for itself, and then the sum.
    """

    labels: list[str]
    numbers: list[float]


class Snapshot(TypedDict):
    """All metrics at one moment, of one process or of several. It can be sent as JSON and comes back the same."""

    process: str
    """What tells this process, and this run of it, from all others; empty if it is of several."""
    samples: dict[str, list[Sample]]
    """By the name of the family."""


Gather: TypeAlias = Callable[[], Awaitable[Sequence[Snapshot]]]
"""Asks every process that serves, and returns what those said that answered in time."""
GatherAll: TypeAlias = Callable[[], Awaitable[Snapshot | None]]
"""Returns one snapshot for all processes that serve; None if they did not report in time."""

GATHER_SECONDS: Final = 5.0
"""The time that the processes may take to report what they counted. Prometheus itself gives up after 10 seconds."""


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return one snapshot for all: counters and histograms are added, gauges joined as their family says.

    What has no family here, as it may come from another version, is left out.
    """
    found: dict[str, dict[tuple[str, ...], list[list[float]]]] = {name: {} for name in FAMILIES}
    for snapshot in snapshots:
        for name in snapshot["samples"].keys() & FAMILIES.keys():
            for sample in snapshot["samples"][name]:
                found[name].setdefault(tuple(sample["labels"]), []).append(sample["numbers"])
    return Snapshot(
        process="",
        samples={
            name: [Sample(labels=list(labels), numbers=_join(FAMILIES[name], rows)) for labels, rows in series.items()]
            for name, series in found.items()
            if series
        },
    )


def _join(family: Family, rows: list[list[float]]) -> list[float]:
    return [family.join(column) for column in zip(*rows, strict=True)]


class Totals:
    """Merges what the processes say, time after time, so that no counter goes backwards when one of them ends.

    Whoever shows the metrics has one of these. What a process counted between its last snapshot and its end is lost.
    """

    def __init__(self) -> None:
        self._last: dict[str, Snapshot] = {}
        self._ended = merge(())

    def merge(self, snapshots: Sequence[Snapshot]) -> Snapshot:
        """Return one snapshot for all processes: those that said something now, and the counters of the others.

        A process that is silent for once, and then speaks again, is counted once.
        """
        speaking = {snapshot["process"] for snapshot in snapshots}
        for snapshot in snapshots:
            self._last.pop(snapshot["process"], None)
            self._last[snapshot["process"]] = _without_gauges(snapshot)
        self._forget(speaking)
        silent = [last for process, last in self._last.items() if process not in speaking]
        return merge([self._ended, *silent, *snapshots])

    def _forget(self, speaking: set[str]) -> None:
        """Put those that have been silent longest together, if there are too many."""
        silent = [process for process in self._last if process not in speaking]
        for process in silent[: max(0, len(silent) - _SILENT_PROCESSES_MAX)]:
            self._ended = merge([self._ended, self._last.pop(process)])


def merged(gather: Gather) -> GatherAll:
    """Return a function that asks all processes, and puts together what they say. It keeps counters from going back."""
    totals = Totals()

    async def gather_all() -> Snapshot | None:
        try:
            async with asyncio.timeout(GATHER_SECONDS):
                return totals.merge(await gather())
        except TimeoutError:
            return None

    return gather_all


def _without_gauges(snapshot: Snapshot) -> Snapshot:
    samples = {
        name: samples
        for name, samples in snapshot["samples"].items()
        if name in FAMILIES and FAMILIES[name].kind is not Kind.GAUGE
    }
    return Snapshot(process=snapshot["process"], samples=samples)
