"""The merge of several processes' snapshots, and the part of a snapshot that stays when its process has ended."""

from typing import Any

import pytest

from tallykeeper_server.metrics import families
from tallykeeper_server.metrics.snapshots import Sample, Snapshot, Totals, merge

REPLAYS = families.REPLAYS.name
CALLS = families.CALLS.name
WAITS = families.LANE_WAIT.name
WATCHERS = families.WATCHERS.name
OPEN = families.RESERVATIONS_OPEN.name
START = "process_start_time_seconds"


def of(process: str, **samples: float | list[float]) -> Snapshot:
    """Return a snapshot of series without labels, by the name of the family."""
    numbers: dict[str, Any] = {name: value if isinstance(value, list) else [value] for name, value in samples.items()}
    return Snapshot(
        process=process, samples={name: [Sample(labels=[], numbers=each)] for name, each in numbers.items()}
    )


def number(snapshot: Snapshot, name: str) -> float | None:
    samples = snapshot["samples"].get(name)
    return samples[0]["numbers"][0] if samples else None


@pytest.mark.parametrize(
    ("name", "values", "merged"),
    [
        (REPLAYS, (2, 5), 7),
        (WATCHERS, (2, 5), 7),
        (OPEN, (2, 5), 5),  # each process counts the open reservations of the whole store
        (START, (2, 5), 2),
        (families.BUILD.name, (1, 1), 1),
    ],
)
def test_values_of_several_processes_are_merged_by_the_rule_of_their_family(
    name: str, values: tuple[float, float], merged: float
) -> None:
    assert number(merge([of("a", **{name: values[0]}), of("b", **{name: values[1]})]), name) == merged


def test_histograms_are_added_bucket_by_bucket() -> None:
    merged = merge([of("a", **{WAITS: [1.0, 0.0, 2.0]}), of("b", **{WAITS: [1.0, 3.0, 0.5]})])

    assert merged["samples"][WAITS] == [Sample(labels=[], numbers=[2.0, 3.0, 2.5])]


def test_series_with_different_labels_stay_separate() -> None:
    first = Snapshot(
        process="a",
        samples={CALLS: [Sample(labels=["S", "M", "OK"], numbers=[1]), Sample(labels=["S", "N", "OK"], numbers=[2])]},
    )
    second = Snapshot(process="b", samples={CALLS: [Sample(labels=["S", "N", "OK"], numbers=[4])]})

    assert merge([first, second])["samples"][CALLS] == [
        Sample(labels=["S", "M", "OK"], numbers=[1]),
        Sample(labels=["S", "N", "OK"], numbers=[6]),
    ]


def test_a_series_of_one_process_is_kept_and_one_without_family_is_dropped() -> None:
    merged = merge([of("a", **{OPEN: 3}), of("b", tallykeeper_of_another_version=1)])

    assert merged == Snapshot(process="", samples={OPEN: [Sample(labels=[], numbers=[3])]})


def test_a_process_that_ended_keeps_its_counters_and_loses_its_gauges() -> None:
    totals = Totals()
    totals.merge([of("a", **{REPLAYS: 10, WATCHERS: 4}), of("b", **{REPLAYS: 1, WATCHERS: 1})])

    merged = totals.merge([of("b", **{REPLAYS: 2, WATCHERS: 1})])

    assert number(merged, REPLAYS) == 12
    assert number(merged, WATCHERS) == 1


def test_a_replacement_adds_to_the_counts_of_the_process_before_it() -> None:
    totals = Totals()
    totals.merge([of("a", **{REPLAYS: 10})])

    assert number(totals.merge([of("a-again", **{REPLAYS: 1})]), REPLAYS) == 11


def test_a_process_that_missed_one_answer_is_not_counted_twice() -> None:
    totals = Totals()
    totals.merge([of("a", **{REPLAYS: 10}), of("b", **{REPLAYS: 1})])
    silent = totals.merge([of("b", **{REPLAYS: 1})])

    back = totals.merge([of("a", **{REPLAYS: 12}), of("b", **{REPLAYS: 1})])

    assert (number(silent, REPLAYS), number(back, REPLAYS)) == (11, 13)


def test_counters_never_go_backwards_however_many_processes_come_and_go() -> None:
    totals = Totals()
    seen = [number(totals.merge([of(f"p{place}", **{REPLAYS: 1})]), REPLAYS) for place in range(300)]

    assert seen == list(range(1, 301))
    assert len(totals._last) < 100  # noqa: SLF001  # the memory of ended processes


def test_a_merge_of_no_snapshots_is_empty() -> None:
    assert Totals().merge([]) == Snapshot(process="", samples={})
