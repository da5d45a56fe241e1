"""One measurement: a load on a contender, and the CPU time that all processes used for it."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from bench.contenders import Contender
from bench.generator import Generator, Request
from bench.processes import Process, busy_seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """The duration of each measurement in seconds, and the number of its repetitions."""

    repetitions: int
    warm_up: float
    seconds: float
    calls_before_memory: int
    """The number of calls after which the memory of a worker is read. It is read again after the same number of
    calls."""
    idle_connections: int
    is_quick: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition. Latencies are in microseconds. CPU times are in microseconds for each call that succeeded."""

    calls_per_second: float
    p50: int
    p99: int
    p999: int
    refused_per_second: float
    server_cpu: float
    store_cpu: float
    generator_cpu: float
    cores_busy: float
    """The number of busy cores, with all processes and the kernel's work that belongs to no process."""


@dataclass(slots=True)
class Series:
    """The repetitions of one measurement. ``operations`` is the number of changes in one call."""

    store: str
    name: str
    in_flight: int
    operations: int = 1
    samples: list[Sample] = field(default_factory=list)

    def median(self, value: str) -> float:
        """Return the median of one of a sample's values."""
        return float(median(getattr(sample, value) for sample in self.samples))

    @property
    def rate(self) -> float:
        """The median of changes a second."""
        return self.median("calls_per_second") * self.operations

    def as_json(self) -> dict[str, Any]:
        """Return the series with its medians, in the form of the results."""
        medians = {name: round(self.median(name), 2) for name in Sample.__dataclass_fields__}
        return asdict(self) | {"medians": medians, "operations_per_second": round(self.rate)}


@dataclass(slots=True)
class Results:
    """All measurements: series of loads, and single numbers by topic and name."""

    always: str
    """The title of the store that syncs each write."""
    everysec: str
    """The title of the store that syncs once a second."""
    series: list[Series] = field(default_factory=list)
    numbers: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def find(self, store: str, name: str, in_flight: int) -> Series | None:
        """Return one series, or None if it was not measured."""
        wanted = (store, name, in_flight)
        return next((each for each in self.series if (each.store, each.name, each.in_flight) == wanted), None)

    def rate(self, store: str, name: str, in_flight: int) -> float | None:
        """Return the median of changes a second of one series, or None if it was not measured."""
        series = self.find(store, name, in_flight)
        return series.rate if series else None

    def median(self, store: str, name: str, in_flight: int, value: str) -> float | None:
        """Return the median of one of the values of a series, or None if it was not measured."""
        series = self.find(store, name, in_flight)
        return series.median(value) if series else None

    def number(self, topic: str, name: str) -> float | None:
        """Return a single number, or None if it was not measured."""
        return self.numbers.get(topic, {}).get(name)


@dataclass(frozen=True, slots=True)
class Point:
    """A request to a contender with a number of calls in flight, and the series for its samples."""

    series: Series
    contender: Contender
    request: Request
    times: int = 1
    """The number of samples in each repetition. It is above 1 for a figure that is close to the figure it is compared
    with."""


def measure(generator: Generator, point: Point, store: Process | None, pace: Pace) -> None:
    """Add one repetition to a point's series.

    The CPU time of server and store covers warm-up and measurement. It is divided by the calls of both.

    :raises RuntimeError: every call was refused.
    """
    processes = (point.contender.process, store)
    before = [process.cpu_seconds() if process else 0.0 for process in processes]
    began, busy_before = time.monotonic(), busy_seconds()
    load = generator.run(
        point.contender.port,
        point.request,
        in_flight=point.series.in_flight,
        warm_up=pace.warm_up,
        seconds=pace.seconds,
        tls=point.contender.tls,
    )
    if load.refused.calls and not load.all_succeeded:
        message = f"{point.series.name} has refused all {load.refused.calls} calls"
        raise RuntimeError(message)
    cores_busy = (busy_seconds() - busy_before) / (time.monotonic() - began)
    server, stored = (
        (process.cpu_seconds() if process else 0.0) - used for process, used in zip(processes, before, strict=True)
    )
    point.series.samples.append(
        Sample(
            calls_per_second=load.calls_per_second,
            p50=load.succeeded.p50,
            p99=load.succeeded.p99,
            p999=load.succeeded.p999,
            refused_per_second=load.refused.calls / load.seconds,
            server_cpu=server / max(1, load.all_succeeded) * 1e6,
            store_cpu=stored / max(1, load.all_succeeded) * 1e6,
            generator_cpu=load.cpu_seconds / max(1, load.succeeded.calls) * 1e6,
            cores_busy=cores_busy,
        )
    )


def measure_all(generator: Generator, points: Sequence[Point], store: Process | None, pace: Pace) -> list[Series]:
    """Measure all points in turn, repeatedly, so that changes of the machine's speed affect all of them."""
    times_max = 1 if pace.is_quick else max(point.times for point in points)
    for turn in range(pace.repetitions * times_max):
        for point in points:
            if turn % times_max < point.times:
                measure(generator, point, store, pace)
    return [point.series for point in points]
