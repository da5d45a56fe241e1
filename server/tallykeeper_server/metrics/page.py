"""Metrics in the form of prometheus_client, which encodes them."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.core import Exemplar as PrometheusExemplar
from prometheus_client.registry import Collector

from tallykeeper_server.metrics.families import FAMILIES, Family, Kind
from tallykeeper_server.metrics.snapshots import Exemplar, Sample, Snapshot

_INFINITY: Final = "+Inf"


class SnapshotCollector(Collector):
    """A collector of prometheus_client for one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """Yield each family that has values, in the order of their list."""
        for name, family in FAMILIES.items():
            samples = self._snapshot["samples"].get(name)
            if samples:
                yield _metric_of(family, samples)


def _metric_of(family: Family, samples: list[Sample]) -> Metric:
    if family.kind is Kind.HISTOGRAM:
        return _histogram_of(family, samples)
    kind = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for sample in samples:
        metric.add_metric(sample["labels"], sample["numbers"][0])
    return metric


def _histogram_of(family: Family, samples: list[Sample]) -> HistogramMetricFamily:
    metric = HistogramMetricFamily(family.name, family.text, labels=family.labels)
    bounds = [*map(str, family.bounds), _INFINITY]
    for sample in samples:
        *counts, total = sample["numbers"]
        exemplars = sample.get("exemplars", {})
        buckets = [
            (bound, count, _exemplar_of(exemplars[str(index)])) if str(index) in exemplars else (bound, count)
            for index, (bound, count) in enumerate(zip(bounds, accumulate(counts), strict=True))
        ]
        metric.add_metric(sample["labels"], buckets, total)
    return metric


def _exemplar_of(exemplar: Exemplar) -> PrometheusExemplar:
    ids = {"trace_id": exemplar["trace_id"], "span_id": exemplar["span_id"]}
    return PrometheusExemplar(ids, exemplar["value"], exemplar["time"])
