"""The page: a snapshot in the formats of Prometheus."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families

from tallykeeper_server.metrics import families
from tallykeeper_server.metrics.meters import (
    CallMeters,
    LaneMeter,
    PoolMeter,
    SpanMeter,
    StoreMeter,
    WatchMeter,
    note_build,
)
from tallykeeper_server.metrics.page import SnapshotCollector
from tallykeeper_server.metrics.registry import Metrics

ON_LINUX = Path("/proc/self/stat").exists()


@pytest.fixture
def registry() -> CollectorRegistry:
    """All meters, each with a value."""
    metrics = Metrics()
    note_build(metrics, "1.2.3")
    calls = CallMeters(metrics)
    calls.of("S", "M", streams=False).failed(0.0, "NOT_FOUND", "ITEM_NOT_FOUND")
    lane, store = LaneMeter(metrics, "queries"), StoreMeter(metrics)
    watch, pool, spans = WatchMeter(metrics), PoolMeter(metrics), SpanMeter(metrics)
    for gauge in (
        calls.unread_bytes,
        lane.depth,
        store.open_reservations,
        store.promises_broken,
        watch.watchers,
        pool.workers,
        spans.waiting,
    ):
        gauge.read = lambda: 1
    for seconds in (0.0001, 0.003, 0.004, 60.0):
        lane.waits.observe(seconds)
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(metrics.snapshot()))
    return registry


def test_every_family_is_on_the_page_with_its_kind_and_its_text(registry: CollectorRegistry) -> None:
    parsed = {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}

    on_this_system = {
        name: family for name, family in families.FAMILIES.items() if ON_LINUX or family not in families.PROCESS
    }
    assert parsed.keys() == {name.removesuffix("_total") for name in on_this_system}
    for name, family in on_this_system.items():
        shown = parsed[name.removesuffix("_total")]
        assert (shown.type, shown.documentation) == (family.kind, family.text)
        assert shown.samples


def test_open_metrics_has_the_same_values(registry: CollectorRegistry) -> None:
    plain = text_string_to_metric_families(generate_latest(registry).decode())
    open_text = generate_open_metrics(registry).decode()  # type: ignore[no-untyped-call]  # it has no annotations
    opened = parse_open_metrics(open_text)  # type: ignore[no-untyped-call]  # the parser has no types

    assert {family.name: family.samples for family in opened} == {family.name: family.samples for family in plain}


def test_buckets_are_cumulative_and_agree_with_the_count(registry: CollectorRegistry) -> None:
    values = {
        (sample.name.removeprefix("tallykeeper_lane_wait_seconds"), sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        if family.name == "tallykeeper_lane_wait_seconds"
        for sample in family.samples
    }

    buckets = [value for (suffix, _), value in values.items() if suffix == "_bucket"]
    assert buckets == sorted(buckets)
    assert (values["_bucket", "0.00025"], values["_bucket", "0.0025"], values["_bucket", "0.005"]) == (1, 1, 3)
    assert (values["_bucket", "10.0"], values["_bucket", "+Inf"], values["_count", ""]) == (3, 4, 4)
    assert values["_sum", ""] == pytest.approx(60.0071)


@pytest.mark.parametrize("family", families.FAMILIES.values(), ids=lambda family: family.name)
def test_names_follow_the_conventions(family: families.Family) -> None:
    assert family.name.startswith(("tallykeeper_", "process_"))
    assert family.name.endswith("_total") == (family.kind is families.Kind.COUNTER)
    assert bool(family.bounds) == (family.kind is families.Kind.HISTOGRAM)
    assert list(family.bounds) == sorted(family.bounds)
    assert family.text.endswith(".")
