"""The metrics of this process: makes recorders and reads all of them."""

from collections.abc import Sequence
from time import perf_counter, time
from typing import TypeAlias

from prometheus_client import ProcessCollector

from tallykeeper_server.metrics.families import FAMILIES, Family
from tallykeeper_server.metrics.recorders import Counter, Counts, ExemplarHistogram, Gauge, Histogram
from tallykeeper_server.metrics.snapshots import Exemplar, Sample, Snapshot

_Recorder: TypeAlias = Counter | Counts | Gauge | Histogram


class Metrics:
    """The recorders, by their family and the values of their labels."""

    def __init__(self, process: str = "") -> None:
        """``process`` is a name that no other process has, nor another run of this one."""
        self._process = process
        self._recorders: list[tuple[Family, tuple[str, ...], _Recorder]] = []

    def counter(self, family: Family, *labels: str) -> Counter:
        """Return a new counter."""
        recorder = Counter()
        self._recorders.append((family, labels, recorder))
        return recorder

    def counts(self, family: Family, *labels: str, known: Sequence[str] = ()) -> Counts:
        """Return new counters for the values of the family's last label, with the ``known`` values among them."""
        recorder = Counts(known)
        self._recorders.append((family, labels, recorder))
        return recorder

    def gauge(self, family: Family, *labels: str) -> Gauge:
        """Return a new gauge."""
        recorder = Gauge()
        self._recorders.append((family, labels, recorder))
        return recorder

    def histogram(self, family: Family, *labels: str) -> Histogram:
        """Return a new histogram with the family's bounds."""
        recorder = Histogram(family.bounds)
        self._recorders.append((family, labels, recorder))
        return recorder

    def exemplar_histogram(self, family: Family, *labels: str) -> ExemplarHistogram:
        """Return a new histogram with the family's bounds, which remembers the spans of traced values."""
        recorder = ExemplarHistogram(family.bounds)
        self._recorders.append((family, labels, recorder))
        return recorder

    async def gather(self) -> list[Snapshot]:
        """Return the snapshots of this process, for a server of one process."""
        return [self.snapshot()]

    def snapshot(self) -> Snapshot:
        """Return the present values, with the process's own metrics on Linux.

        Call this in the event loop's thread. It takes about a millisecond.
        """
        samples: dict[str, list[Sample]] = {}
        for family, labels, recorder in self._recorders:
            samples.setdefault(family.name, []).extend(_samples_of(labels, recorder))
        for metric in ProcessCollector(registry=None).collect():
            for sample in metric.samples:
                if sample.name in FAMILIES:
                    samples[sample.name] = [Sample(labels=[], numbers=[float(sample.value)])]
        return Snapshot(process=self._process, samples=samples)


def _samples_of(labels: tuple[str, ...], recorder: _Recorder) -> list[Sample]:
    if isinstance(recorder, Counts):
        return [Sample(labels=[*labels, label], numbers=[count]) for label, count in recorder.values.items()]
    if isinstance(recorder, ExemplarHistogram):
        numbers = [*recorder.counts, recorder.sum]
        return [Sample(labels=list(labels), numbers=numbers, exemplars=_exemplars_of(recorder))]
    if isinstance(recorder, Histogram):
        return [Sample(labels=list(labels), numbers=[*recorder.counts, recorder.sum])]
    value = recorder.value if isinstance(recorder, Counter) else recorder.read()
    return [] if value is None else [Sample(labels=list(labels), numbers=[value])]


def _exemplars_of(recorder: ExemplarHistogram) -> dict[str, Exemplar]:
    zero = time() - perf_counter()
    return {
        str(index): Exemplar(value=value, time=zero + at, trace_id=span[:16].hex(), span_id=span[16:].hex())
        for index, (value, span, at) in recorder.exemplars.items()
    }
