"""The goals: each compares the figures of one run. A goal without its figure is not reached."""

import pytest

from bench import idle, memory, overload
from bench.contenders import GO, GRPC_AIO, GRPC_GO, ONE, ONE_WITH_TLS, TRANSPORT, TRANSPORT_WITH_METADATA, TWO
from bench.goals import Goal, goals
from bench.growth import CallCost, cost_of, growth
from bench.measurement import Results, Sample, Series
from bench.plan import NO_STORE, batches_of

_ALWAYS, _EVERYSEC = "a store, always", "a store, everysec"


def _sample(rate: float, *, p50: int = 1_000, server_cpu: float = 20.0) -> Sample:
    return Sample(
        calls_per_second=rate,
        p50=p50,
        p99=p50,
        p999=p50,
        refused_per_second=0.0,
        server_cpu=server_cpu,
        store_cpu=10.0,
        generator_cpu=2.0,
        cores_busy=2.0,
    )


def _series(store: str, name: str, in_flight: int, *samples: Sample, operations: int = 1) -> Series:
    return Series(store, name, in_flight, operations, list(samples))


def _results(*series: Series, **numbers: dict[str, float | None]) -> Results:
    return Results(always=_ALWAYS, everysec=_EVERYSEC, series=list(series), numbers=dict(numbers))


def _goal(results: Results, name: str) -> Goal:
    (found,) = [goal for goal in goals(results) if goal.name == name]
    return found


def test_a_goal_without_its_figure_is_neither_reached_nor_missed() -> None:
    assert {goal.is_reached for goal in goals(_results())} == {None}


def test_each_goal_has_its_own_name() -> None:
    names = [goal.name for goal in goals(_results())]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("measured", "reached"), [(2.0, True), (1.99, False)])
def test_at_least_is_a_lower_bound(measured: float, *, reached: bool) -> None:
    assert Goal("a figure", 2.0, measured).is_reached is reached


@pytest.mark.parametrize(("measured", "reached"), [(2.0, True), (2.01, False)])
def test_at_most_is_an_upper_bound(measured: float, *, reached: bool) -> None:
    assert Goal("a figure", 2.0, measured, at_most=True).is_reached is reached


def test_figures_are_medians_of_one_store_and_one_number_of_calls() -> None:
    results = _results(
        _series(_ALWAYS, TWO, 128, _sample(100), _sample(300), _sample(1_000_000)),
        _series(_ALWAYS, GO, 128, _sample(100)),
        _series(_ALWAYS, GO, 512, _sample(1)),
        _series(_EVERYSEC, GO, 128, _sample(1)),
    )
    goal = _goal(results, "always, 128 in flight, 2 workers / Go service")
    assert (goal.measured, goal.is_reached) == (3.0, True)


def test_constants_are_compared_with_servers_that_handle_as_much() -> None:
    results = _results(
        _series(NO_STORE, TRANSPORT, 128, _sample(120)),
        _series(NO_STORE, GRPC_AIO, 128, _sample(10)),
        _series(NO_STORE, TRANSPORT_WITH_METADATA, 128, _sample(90)),
        _series(NO_STORE, GRPC_GO, 128, _sample(100)),
    )
    assert _goal(results, "constant response / grpc.aio").measured == 12.0
    assert _goal(results, "the same with deadline and metadata / grpc-go").is_reached is False


def test_the_latency_of_a_single_caller_is_a_ratio_of_medians() -> None:
    results = _results(_series(_EVERYSEC, ONE, 1, _sample(1, p50=150)), _series(_EVERYSEC, GO, 1, _sample(1, p50=100)))
    goal = _goal(results, "everysec, p50 of a single caller / Go service")
    assert (goal.measured, goal.is_reached) == (1.5, True)


def test_crowds_are_compared_with_the_peak_of_the_same_workers() -> None:
    results = _results(
        *(_series(_ALWAYS, ONE, in_flight, _sample(rate)) for in_flight, rate in ((8, 10), (512, 100), (4_096, 85))),
        _series(_ALWAYS, TWO, 512, _sample(1_000)),
    )
    goal = _goal(results, "always, 1 worker, 4,096 in flight / peak")
    assert (goal.measured, goal.is_reached) == (0.85, False)


def test_tls_is_compared_with_plaintext_on_the_same_store() -> None:
    results = _results(_series(_EVERYSEC, ONE, 128, _sample(100)), _series(_EVERYSEC, ONE_WITH_TLS, 128, _sample(80)))
    assert _goal(results, "everysec, 128 in flight, TLS / plaintext").measured == 0.8


def test_batches_count_their_operations() -> None:
    results = _results(_series(_EVERYSEC, batches_of(ONE, 1_000), 8, _sample(200), operations=1_000))
    goal = _goal(results, "everysec, 1 worker, Apply of 1,000, operations/s")
    assert (goal.measured, goal.is_reached) == (200_000, True)


def test_single_numbers_have_goals() -> None:
    results = _results()
    results.numbers[overload.TOPICS[256]] = {overload.GOODPUT: 0.9}
    results.numbers[overload.TOPICS[overload.REFUSING]] = {
        overload.GOODPUT: 0.8,
        overload.WITH_DELAY: 0.999,
        overload.REFUSAL_P99: 3.0,
    }
    results.numbers[idle.TOPIC] = {idle.SERVED: 9_999, idle.KIB_EACH: 24.0}
    results.numbers[memory.TOPIC] = {memory.RESIDENT: 100.0, memory.RESIDENT_LATER: 101.0}
    assert _goal(results, "ten times the capacity, 256 connections: goodput / peak").is_reached
    assert _goal(results, "ten times the capacity, 1,024 connections: goodput / peak").is_reached is False
    assert _goal(results, "ten times the capacity: refusals with a retry delay, share").is_reached is False
    assert _goal(results, "ten times the capacity: p99 of refusals, ms").is_reached
    assert _goal(results, "idle connections that are served").is_reached is False
    assert _goal(results, "memory of an idle connection, KiB").is_reached
    assert _goal(results, "memory of a worker after a million calls, MiB").is_reached
    assert _goal(results, "the same after a second million / before").is_reached


def test_the_model_is_bounded_by_workers_store_and_cores() -> None:
    cost = CallCost(server=20.0, store=10.0, everything=40.0)
    assert cost.calls_per_second(1) == 50_000
    assert cost.calls_per_second(2) == 100_000
    assert cost.calls_per_second(8) == 100_000, "the store has one core"
    assert cost.calls_per_second(2, cores=2) == 50_000
    assert cost.calls_per_second(1, cores=8) == 50_000


def test_the_cost_of_a_call_includes_the_kernels_own_work() -> None:
    cost = cost_of(_series(_ALWAYS, ONE, 512, _sample(20_000)))
    assert (cost.server, cost.store) == (20.0, 10.0)
    assert cost.everything == pytest.approx(100.0), "two busy cores for 20,000 calls a second"


def test_the_model_is_checked_with_one_and_two_workers() -> None:
    results = _results(
        _series(_ALWAYS, ONE, 512, _sample(20_000)), _series(_ALWAYS, TWO, 512, _sample(30_000, server_cpu=25.0))
    )
    numbers = growth(results, _ALWAYS)
    assert {"1 worker, measured / model", "2 workers, measured / model"} <= numbers.keys()
    assert numbers["workers, each on its own core: 4, model, changes/s"] == 100_000
    assert growth(results, _EVERYSEC) == {}
