"""The plan: all measurements, the stores for them, and their order."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import capacity, client_batches, idle, memory, overload, postgres, script_limit
from bench.contenders import (
    FOUR,
    GO,
    GRPC_AIO,
    GRPC_AIO_MANY,
    NAIVE_AIO,
    NAIVE_THREADS,
    ON_GRPC_AIO,
    ONE,
    ONE_WITH_TLS,
    TRACED,
    TRANSPORT,
    TWO,
    Contender,
    apply,
    constants,
    contenders,
    decrement,
    increment,
    increment_anywhere,
)
from bench.generator import Generator
from bench.growth import growth
from bench.measurement import Pace, Point, Results, Series, measure_all
from bench.servers.go_build import go_servers
from bench.stores import ALWAYS, EVERYSEC, Store, StoreKind, compared_stores, embedded_store, running_store

IN_FLIGHT: Final = (1, 8, 32, 128, 512, 1_024, 4_096)
NO_STORE: Final = "no store"
BATCHES: Final = {10: 16, 100: 16, 1_000: 8}
"""The number of operations in a batch, and the number of batches in flight."""
_CLOSE: Final = 3
"""The number of samples in each repetition of a figure that a goal compares with another figure."""
_TWICE: Final = 2
"""The number of samples in each repetition of a figure that is smooth because of its many calls or operations."""
_BARE: Final = frozenset({TRANSPORT, GRPC_AIO, GRPC_AIO_MANY})
"""Constant responses to calls without deadline and metadata. The other constant contenders handle both."""
_COMPARED: Final = (ONE, TWO, FOUR, ONE_WITH_TLS, TRACED, ON_GRPC_AIO, NAIVE_AIO, NAIVE_THREADS, GO)
_CALLS: Final[tuple[tuple[int, tuple[str, ...], int], ...]] = (
    (1, (GO, ONE), _CLOSE),
    (1, (NAIVE_AIO, NAIVE_THREADS), 1),
    (8, (GO, ONE, TWO), 1),
    (32, (GO, ONE, TWO), 1),
    (128, (GO, TWO, ONE, ONE_WITH_TLS, ON_GRPC_AIO), _CLOSE),
    (128, (NAIVE_AIO, NAIVE_THREADS), 1),
    (512, (GO, TWO, ONE, TRACED), _CLOSE),
    (512, (FOUR, ONE_WITH_TLS, ON_GRPC_AIO, NAIVE_AIO), 1),
    (1_024, (ONE, TWO), _TWICE),
    (4_096, (ONE, TWO), _TWICE),
)
"""The calls in flight, the contenders, and the samples in each repetition. Compared contenders are neighbours."""


def batches_of(name: str, count: int) -> str:
    """Return the name of the series with batches of a number of operations."""
    return f"{name}, Apply of {count:,}"


def measure_everything(pace: Pace, directory: Path) -> Iterator[str | Results]:
    """Measure. Yield a line about each step as it begins, and the results at the end."""
    yield "build the Go services, if go is on PATH"
    go = go_servers()
    if go is None:
        yield "there is no go on PATH: grpc-go and the Go service are left out"
    kinds = compared_stores()
    results = Results(always=kinds[ALWAYS].title, everysec=kinds[EVERYSEC].title)
    run = _Run(pace, directory, Generator(directory), go, results)
    yield "constant responses"
    run.measure_constants()
    for kind in kinds.values():
        yield f"{kind.title}: calls and batches"
        run.measure_store(kind)
    yield f"{kinds[ALWAYS].title}: overload, idle connections, memory"
    run.measure_one_worker(kinds[ALWAYS])
    if embedded_store() not in kinds.values():
        yield f"{embedded_store().title}: calls"
        run.measure_embedded(embedded_store())
    yield f"{embedded_store().title}: the formulas of capacity"
    run.measure_capacity(embedded_store())
    yield "PostgreSQL, if it is installed"
    run.measure_postgres()
    yield results


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the benchmark. ``go`` is the program with the Go services, or None."""

    pace: Pace
    directory: Path
    generator: Generator
    go: Path | None
    results: Results

    def measure_constants(self) -> None:
        """Measure the services without a store."""
        with constants(self.go) as running:
            self._measure(_constant_points(running), None)

    def measure_store(self, kind: StoreKind) -> None:
        """Measure calls, batches and the script alone on a store, and the growth of calls with cores."""
        numbers = self.results.numbers
        with running_store(kind, self.directory) as store, contenders(store, _COMPARED, self.go) as running:
            self._measure(_call_points(kind, running), store)
            self._measure(_last_points(kind, running), store)
            numbers[f"{kind.title}: growth with cores, from the CPU time of a call"] = growth(self.results, kind.title)
            numbers[f"{kind.title}: the script alone"] = _script_limits(store, self.pace)

    def measure_one_worker(self, kind: StoreKind) -> None:
        """Measure a new worker three times: under overload, with idle connections, and after many calls."""
        numbers, pace = self.results.numbers, self.pace
        with running_store(kind, self.directory) as store:
            with contenders(store, [ONE]) as running:
                for connections, topic in overload.TOPICS.items():
                    numbers[topic] = overload.measure_overload(self.generator, running[ONE], pace, connections)
            with contenders(store, [ONE]) as running:
                numbers[idle.TOPIC] = idle.hold_connections(running[ONE], pace.idle_connections)
            with contenders(store, [ONE]) as running:
                numbers[memory.TOPIC] = memory.resident_after(self.generator, running[ONE], pace.calls_before_memory)
                numbers[client_batches.TOPIC] = client_batches.calls_per_second(running[ONE].port, seconds=pace.seconds)

    def measure_embedded(self, kind: StoreKind) -> None:
        """Measure the store that a server starts by itself."""
        with running_store(kind, self.directory) as store, contenders(store, (ONE, TWO)) as running:
            points = (
                Point(Series(kind.title, name, in_flight), running[name], decrement())
                for in_flight in (1, 128, 512)
                for name in (ONE, TWO)
            )
            self._measure(points, store)

    def measure_capacity(self, kind: StoreKind) -> None:
        """Measure what the formulas of capacity predict, on a fresh store."""
        count, seconds = (20_000, 1.0) if self.pace.is_quick else (100_000, 3.0)
        with running_store(kind, self.directory) as store, contenders(store, [ONE]) as running:
            checks = capacity.measure(store, running[ONE], self.generator, count=count, seconds=seconds)
        self.results.numbers[capacity.TOPIC] = capacity.as_numbers(checks)

    def measure_postgres(self) -> None:
        """Measure PostgreSQL, which takes one statement for a change."""
        rate = postgres.transactions_per_second(seconds=self.pace.seconds)
        self.results.numbers["PostgreSQL"] = {
            f"one statement a change, {postgres.CLIENTS} connections, changes/s": rate
        }

    def _measure(self, points: Iterable[Point], store: Store | None) -> None:
        process = store.process if store else None
        self.results.series += measure_all(self.generator, list(points), process, self.pace)


def _constant_points(running: Mapping[str, Contender]) -> Iterator[Point]:
    for in_flight, times in ((1, 1), (128, _CLOSE), (512, 1)):
        for name, contender in running.items():
            yield Point(Series(NO_STORE, name, in_flight), contender, decrement(bare=name in _BARE), times)


def _call_points(kind: StoreKind, running: Mapping[str, Contender]) -> Iterator[Point]:
    for in_flight, names, times in _CALLS:
        for name in names:
            if name in running:
                yield Point(Series(kind.title, name, in_flight), running[name], decrement(), times)
    yield Point(Series(kind.title, f"{ONE}, Increment", 128), running[ONE], increment())


def _last_points(kind: StoreKind, running: Mapping[str, Contender]) -> Iterator[Point]:
    """Yield the points that leave the most data in the store, so that the other points must come first."""
    for count, in_flight in BATCHES.items():
        for name in (ONE, TWO):
            series = Series(kind.title, batches_of(name, count), in_flight, count)
            yield Point(series, running[name], apply(count), _TWICE)
    yield Point(Series(kind.title, f"{ONE}, Increment, 1,000 namespaces", 128), running[ONE], increment_anywhere())


def _script_limits(store: Store, pace: Pace) -> dict[str, float | None]:
    return {
        "from one call to its reply, us": script_limit.round_trip_seconds(store) * 1e6,
        "128 changes a script, changes/s": script_limit.independent_mutations_per_second(store, seconds=pace.seconds),
        "1,000 lines a change, lines/s": script_limit.lines_per_second(store, seconds=pace.seconds),
        "redis-benchmark, INCRBY, 128 clients, calls/s": script_limit.redis_benchmark_increments(
            store, requests=50_000
        ),
    }
