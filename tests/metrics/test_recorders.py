"""Recorders of values, and the values of a process."""

import json
from pathlib import Path

import pytest

from tallykeeper_server.metrics import families
from tallykeeper_server.metrics.meters import CallMeters, note_build
from tallykeeper_server.metrics.recorders import Counts, Histogram
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.metrics.snapshots import Snapshot


def numbers_of(snapshot: Snapshot, family: families.Family, *labels: str) -> list[float] | None:
    for sample in snapshot["samples"].get(family.name, []):
        if sample["labels"] == list(labels):
            return sample["numbers"]
    return None


@pytest.mark.parametrize(
    ("value", "bucket"), [(0.0, 0), (0.5, 0), (1.0, 0), (1.01, 1), (2.0, 1), (4.0, 2), (4.1, 3), (1e9, 3)]
)
def test_a_value_falls_into_the_first_bucket_that_is_not_below_it(value: float, bucket: int) -> None:
    histogram = Histogram((1.0, 2.0, 4.0))

    histogram.observe(value)

    assert histogram.counts == [int(place == bucket) for place in range(4)]
    assert histogram.sum == value


def test_known_labels_begin_at_0_and_all_labels_are_counted() -> None:
    counts = Counts(("a", "b"))

    for label in "bcc":
        counts.add(label)

    assert counts.values == {"a": 0, "b": 1, "c": 2}


def test_a_snapshot_holds_every_recorder_under_its_family_and_labels() -> None:
    metrics = Metrics(process="p")
    metrics.counter(families.REPLAYS).add(3)
    metrics.counts(families.CALLS, "S", "M").add("OK")
    metrics.gauge(families.LANE_DEPTH, "queries").read = lambda: 7
    metrics.histogram(families.LANE_BATCH, "queries").observe(2)

    snapshot = metrics.snapshot()

    assert snapshot["process"] == "p"
    assert numbers_of(snapshot, families.REPLAYS) == [3]
    assert numbers_of(snapshot, families.CALLS, "S", "M", "OK") == [1]
    assert numbers_of(snapshot, families.LANE_DEPTH, "queries") == [7]
    assert numbers_of(snapshot, families.LANE_BATCH, "queries") == [0, 1, *[0] * 10, 2]


def test_a_snapshot_survives_json() -> None:
    metrics = Metrics(process="p")
    note_build(metrics, "1.2.3")
    metrics.histogram(families.LANE_WAIT, "queries").observe(0.1)

    snapshot = metrics.snapshot()

    assert json.loads(json.dumps(snapshot)) == snapshot


def test_a_snapshot_is_not_changed_by_later_values() -> None:
    metrics = Metrics()
    waits = metrics.histogram(families.LANE_WAIT, "queries")
    before = metrics.snapshot()

    waits.observe(0.1)

    assert numbers_of(before, families.LANE_WAIT, "queries") == [0] * 17


def test_a_gauge_without_a_value_is_left_out() -> None:
    metrics = Metrics()
    metrics.gauge(families.RESERVATIONS_OPEN)

    assert numbers_of(metrics.snapshot(), families.RESERVATIONS_OPEN) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux has these values in files")
def test_a_process_reports_its_cpu_time_its_memory_and_its_descriptors() -> None:
    snapshot = Metrics().snapshot()

    for family in families.PROCESS:
        numbers = numbers_of(snapshot, family)
        assert numbers is not None, family.name
        assert numbers[0] > 0, family.name


def test_a_call_is_counted_by_its_code_and_its_time_is_kept() -> None:
    metrics = Metrics()
    meters = CallMeters(metrics, reasons=("OVERLOADED",))
    meter = meters.of("S", "M", streams=False)
    began_at = 0.0  # long ago, on any clock

    meter.succeeded(began_at)
    meter.failed(began_at, "NOT_FOUND", "ITEM_NOT_FOUND")

    snapshot = metrics.snapshot()
    assert numbers_of(snapshot, families.CALLS, "S", "M", "OK") == [1]
    assert numbers_of(snapshot, families.CALLS, "S", "M", "NOT_FOUND") == [1]
    assert numbers_of(snapshot, families.REFUSALS, "ITEM_NOT_FOUND") == [1]
    assert numbers_of(snapshot, families.REFUSALS, "OVERLOADED") == [0]
    durations = numbers_of(snapshot, families.CALL_DURATION, "S", "M")
    assert durations is not None
    assert sum(durations[:-1]) == 2


def test_the_time_that_a_stream_was_open_is_not_kept() -> None:
    metrics = Metrics()
    meter = CallMeters(metrics).of("S", "M", streams=True)

    meter.succeeded(0.0)

    snapshot = metrics.snapshot()
    assert numbers_of(snapshot, families.CALLS, "S", "M", "OK") == [1]
    assert numbers_of(snapshot, families.CALL_DURATION, "S", "M") is None
