"""What is measured, on which stores, and in which order."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench import client_batching, memory, postgres, script_limit
from bench.contenders import (
    BY_CHRT,
    CEILING_OF_TWO,
    Contender,
    apply,
    contenders,
    decrement,
    increment,
    increment_anywhere,
)
from bench.generator import Generator, Request
from bench.measuring import Pace, Point, Series, measure_all
from bench.stores import Store, StoreKind, running_store, store_kinds

IN_FLIGHT: Final = (1, 8, 32, 128, 512)
CROWD: Final = 1_024
"""More callers than make anything faster."""
_COMPARED: Final = {
    *((name, 1) for name in ("ours", "naive aio", "naive threads")),
    *((name, 128) for name in ("ours", "ceiling", "ours, 2 workers", "ours, with metrics")),
    *(("ours", in_flight) for in_flight in (512, CROWD)),
}
"""What a target compares with something that is not much slower or faster."""
RESIDENT: Final = "resident MiB of that worker"
RESIDENT_LATER: Final = "resident MiB of it then"
BATCHES: Final = {10: 16, 100: 16, 1_000: 8}
"""How many operations a batch has, and how many batches are under way at a time."""
_TWO_WORKERS: Final[dict[str, tuple[str, ...]]] = {"ours, 2 workers": ("--workers", "2")}
_OF_ONE_WORKER: Final = {"ours", "ours, Increment", "ours, Increment, 1,000 namespaces"}
_EXTRA: Final = {
    **_TWO_WORKERS,
    "ours, with metrics": ("--workers", "1", "--metrics-listen", "127.0.0.1:0"),
    "ours, 50 waiting at most": ("--workers", "1", "--waiting-mutations-max", "50"),
}


@dataclass(slots=True)
class Results:
    """All that was measured: series of loads, and single numbers by store and name."""

    series: list[Series] = field(default_factory=list)
    numbers: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def rate(self, store: str, name: str, in_flight: int) -> float | None:
        """Return the median of changes a second of one series, None if it was not measured."""
        series = self.find(store, name, in_flight)
        return series.rate if series else None

    def find(self, store: str, name: str, in_flight: int) -> Series | None:
        """Return one series, None if it was not measured."""
        wanted = (store, name, in_flight)
        return next((each for each in self.series if (each.store, each.name, each.in_flight) == wanted), None)


def measure_everything(pace: Pace, directory: Path) -> Iterator[str | Results]:
    """Measure; yield a line about each step as it begins, and the results at the end."""
    results = Results()
    generator = Generator(directory)
    for place, kind in enumerate(store_kinds()):
        yield f"{kind.title}: calls"
        extra = _EXTRA if place == 0 else _TWO_WORKERS
        with _measured_store(kind, directory, extra, on_two_cores=place == 0) as (store, running):
            calls = _all_calls(kind, running) if place == 0 else _few_calls(kind, running)
            for points in (calls, _last_calls(kind, running)):
                results.series += measure_all(generator, points, store.process, pace)
            yield f"{kind.title}: the script alone"
            numbers = results.numbers.setdefault(kind.title, {})
            numbers |= _store_limits(store, pace)
            if place == 0:
                yield f"{kind.title}: the client's batching, memory"
                numbers |= client_batching.calls_per_second(running["ours"].port, seconds=pace.seconds)
                numbers |= _memory_of_worker(generator, running["ours"], results.series, pace)
                sizes = memory.bytes_of_each(store, running["ours"].port)
                numbers |= {f"bytes of a {name}": size for name, size in sizes.items()}
    yield "PostgreSQL"
    results.numbers["PostgreSQL"] = {
        f"one statement, {postgres.CLIENTS} connections": postgres.transactions_per_second(seconds=pace.seconds)
    }
    yield results


@contextlib.contextmanager
def _measured_store(
    kind: StoreKind, directory: Path, extra: dict[str, tuple[str, ...]], *, on_two_cores: bool
) -> Iterator[tuple[Store, dict[str, Contender]]]:
    with (
        tempfile.TemporaryDirectory(dir=directory) as place,
        running_store(kind, Path(place)) as store,
        contenders(store, extra, on_two_cores=on_two_cores) as running,
    ):
        yield store, running


def _all_calls(kind: StoreKind, running: dict[str, Contender]) -> list[Point]:
    """All loads on the store of the promise.

    What is compared closely is measured close together, for a machine's speed changes within minutes.
    """
    one, two = BY_CHRT
    further = [
        ("ours, with metrics", 128),
        *((name, in_flight) for name in ("ours, 2 workers", CEILING_OF_TWO) for in_flight in (128, 512)),
        *(each for each in ((one, 1), (one, 128), (two, 128), (two, 512)) if each[0] in running),
    ]
    points = [
        *(_point(kind, running, name, 1, decrement()) for name in ("naive aio", "ours", "naive threads")),
        *(_point(kind, running, "ours", in_flight, decrement()) for in_flight in (*IN_FLIGHT[1:], CROWD)),
        *(_point(kind, running, name, in_flight, decrement()) for name, in_flight in further),
        *(_point(kind, running, "ceiling", in_flight, decrement()) for in_flight in reversed(IN_FLIGHT)),
        *(_point(kind, running, "ours, Increment", in_flight, increment()) for in_flight in IN_FLIGHT),
        *(_point(kind, running, "naive aio", in_flight, decrement()) for in_flight in IN_FLIGHT[1:]),
        *(_point(kind, running, "naive threads", in_flight, decrement()) for in_flight in IN_FLIGHT[1:]),
        *(_point(kind, running, "ours, 50 waiting at most", in_flight, decrement()) for in_flight in (64, CROWD)),
    ]
    return [
        replace(point, times=3) if (point.series.name, point.series.in_flight) in _COMPARED else point
        for point in points
    ]


def _few_calls(kind: StoreKind, running: dict[str, Contender]) -> list[Point]:
    """What may differ on another store: what there is to choose from is compared for a caller alone and for many."""
    naive = ("naive aio", "naive threads")
    return [
        *(
            _point(kind, running, name, in_flight, decrement())
            for in_flight in IN_FLIGHT
            for name in ("ours", *(naive if in_flight in {1, 128} else ()))
        ),
        *(_point(kind, running, "ours, Increment", in_flight, increment()) for in_flight in IN_FLIGHT),
        _point(kind, running, "ceiling", 128, decrement()),
    ]


def _last_calls(kind: StoreKind, running: dict[str, Contender]) -> list[Point]:
    """What leaves so much in the store that the others come before it."""
    batches = [
        Point(Series(kind.title, f"{name}, Apply of {count}", in_flight, count), running[name], apply(count))
        for count, in_flight in BATCHES.items()
        for name in ("ours", "ours, 2 workers")
    ]
    return [*batches, _point(kind, running, "ours, Increment, 1,000 namespaces", 128, increment_anywhere())]


def _point(kind: StoreKind, running: dict[str, Contender], name: str, in_flight: int, request: Request) -> Point:
    contender = running.get(name) or running["ours"]
    return Point(Series(kind.title, name, in_flight), contender, request)


def _store_limits(store: Store, pace: Pace) -> dict[str, float | None]:
    return {
        "script, us from one call to its reply": script_limit.round_trip_seconds(store) * 1e6,
        "script, mutations/s, 128 a script": script_limit.independent_mutations_per_second(store, seconds=pace.seconds),
        "script, lines/s, 1,000 a mutation": script_limit.lines_per_second(store, seconds=pace.seconds),
        "redis-benchmark, INCRBY/s, 128 clients": script_limit.redis_benchmark_increments(store, requests=50_000),
    }


def _memory_of_worker(
    generator: Generator, contender: Contender, series: Sequence[Series], pace: Pace
) -> dict[str, float | None]:
    """Return how much memory a worker has in use after all that it served, and after a good deal more.

    Both are read when it has just served as many callers.
    """
    served = sum(
        sample.calls_per_second * (pace.warm_up + pace.seconds)
        for each in series
        if each.name in _OF_ONE_WORKER
        for sample in each.samples
    )
    generator.run(contender.port, decrement(), in_flight=128, warm_up=0.0, seconds=5 * pace.seconds)
    before = _resident_mib(contender)
    more = generator.run(contender.port, decrement(), in_flight=128, warm_up=0.0, seconds=20 * pace.seconds)
    return {
        "calls that one worker has served, about": served,
        RESIDENT: before,
        "calls that it has served since": more.succeeded.calls,
        RESIDENT_LATER: _resident_mib(contender),
    }


def _resident_mib(contender: Contender) -> float:
    return max(contender.process.resident_bytes()) / 2**20
