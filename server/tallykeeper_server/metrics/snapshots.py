"""Snapshots of metrics, of one process and of several together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NotRequired, TypeAlias, TypedDict

from tallykeeper_server.metrics.families import FAMILIES, Family, Kind

_SILENT_PROCESSES_MAX: Final = 64
"""The number of ended processes whose counters are kept apart. The counters of older ones are kept as one."""


class Exemplar(TypedDict):
    """One value of a histogram, and the span that it belongs to."""

    value: float
    time: float
    """The time of the value in seconds since 1970."""
    trace_id: str
    span_id: str


class Sample(TypedDict):
    """One series: the values of its family's labels, and its numbers.

    A counter or a gauge has one number. A histogram has the counts of its buckets, not cumulated, and then the sum.
    """

    labels: list[str]
    numbers: list[float]
    exemplars: NotRequired[dict[str, Exemplar]]
    """The last traced value in each bucket of a histogram, by the index of the bucket."""


class Snapshot(TypedDict):
    """All metrics at one moment, of one process or of several. JSON carries it without loss."""

    process: str
    """The name of the process and of its run; empty for several processes."""
    samples: dict[str, list[Sample]]
    """The series, by the name of their family."""


Gather: TypeAlias = Callable[[], Awaitable[Sequence[Snapshot]]]
"""A function that asks all processes, and returns the snapshots of those that answer in time."""
GatherAll: TypeAlias = Callable[[], Awaitable[Snapshot | None]]
"""A function that returns one snapshot for all processes; None if they did not answer in time."""

GATHER_SECONDS: Final = 5.0
"""The time in which the processes must answer. Prometheus itself gives up after 10 seconds."""


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return one snapshot for all processes.

    Counters and histograms are added. Gauges are joined by the rule of their family. A series without a family here
    is left out. It may come from another version.
    """
    found: dict[str, dict[tuple[str, ...], list[Sample]]] = {name: {} for name in FAMILIES}
    for snapshot in snapshots:
        for name in snapshot["samples"].keys() & FAMILIES.keys():
            for sample in snapshot["samples"][name]:
                found[name].setdefault(tuple(sample["labels"]), []).append(sample)
    return Snapshot(
        process="",
        samples={
            name: [_joined(FAMILIES[name], samples) for samples in series.values()]
            for name, series in found.items()
            if series
        },
    )


def _joined(family: Family, samples: list[Sample]) -> Sample:
    """Return one series for those of several processes, with the newest exemplar of each bucket."""
    columns = zip(*(sample["numbers"] for sample in samples), strict=True)
    joined = Sample(labels=samples[0]["labels"], numbers=[family.join(column) for column in columns])
    newest: dict[str, Exemplar] = {}
    for sample in samples:
        for bucket, exemplar in sample.get("exemplars", {}).items():
            if bucket not in newest or newest[bucket]["time"] < exemplar["time"]:
                newest[bucket] = exemplar
    if newest:
        joined["exemplars"] = newest
    return joined


class Totals:
    """Merges the snapshots of the processes, so that no counter goes backwards when a process ends.

    The counts of a process between its last snapshot and its end are lost.
    """

    def __init__(self) -> None:
        self._last: dict[str, Snapshot] = {}
        self._ended = merge(())

    def merge(self, snapshots: Sequence[Snapshot]) -> Snapshot:
        """Return one snapshot for all processes: the given ones, and the counters of processes that are missing.

        A process that is missing once and then answers again is counted once.
        """
        speaking = {snapshot["process"] for snapshot in snapshots}
        for snapshot in snapshots:
            self._last.pop(snapshot["process"], None)
            self._last[snapshot["process"]] = _without_gauges(snapshot)
        self._forget(speaking)
        silent = [last for process, last in self._last.items() if process not in speaking]
        return merge([self._ended, *silent, *snapshots])

    def _forget(self, speaking: set[str]) -> None:
        """Add up the counters of the processes that have been missing longest, if there are too many."""
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
