"""One measurement: a load on a contender, and the CPU time that everything used for it."""

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
    """How long each measurement takes, in seconds, and how often it is repeated."""

    repetitions: int
    warm_up: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One repetition. Latencies are in microseconds; CPU times in microseconds for each call that succeeded."""

    calls_per_second: float
    p50: int
    p99: int
    p999: int
    refused_per_second: float
    refused_p50: int
    refused_p99: int
    server_cpu: float
    store_cpu: float
    generator_cpu: float
    cores_busy: float
    """How many cores of the machine were, with everything on them: the kernel's work, which belongs to nobody, too."""


@dataclass(slots=True)
class Series:
    """The repetitions of one measurement. ``operations`` is how many changes one call makes."""

    store: str
    name: str
    in_flight: int
    operations: int = 1
    samples: list[Sample] = field(default_factory=list)

    def median(self, what: str) -> float:
        """Return the median of one of a sample's values."""
        return float(median(getattr(sample, what) for sample in self.samples))

    @property
    def rate(self) -> float:
        """The median of changes a second."""
        return self.median("calls_per_second") * self.operations

    def as_json(self) -> dict[str, Any]:
        """Return it with its medians, as it is written to the results."""
        medians = {name: round(self.median(name), 2) for name in Sample.__dataclass_fields__}
        return asdict(self) | {"medians": medians, "operations_per_second": round(self.rate)}


@dataclass(frozen=True, slots=True)
class Point:
    """What to measure: a request, made to a contender, so many at a time."""

    series: Series
    contender: Contender
    request: Request
    times: int = 1
    """How often in each repetition: more than once what is compared with something not much slower or faster."""


def measure(generator: Generator, point: Point, store: Process, *, warm_up: float, seconds: float) -> None:
    """Add one repetition to a point's series.

    The CPU time of server and store is taken over warm-up and measurement alike, and shared among the calls of both.
    """
    server = point.contender.process
    before = (server.cpu_seconds(), store.cpu_seconds())
    began, busy_before = time.monotonic(), busy_seconds()
    load = generator.run(
        point.contender.port, point.request, in_flight=point.series.in_flight, warm_up=warm_up, seconds=seconds
    )
    used = (server.cpu_seconds() - before[0], store.cpu_seconds() - before[1])
    cores_busy = (busy_seconds() - busy_before) / (time.monotonic() - began)
    calls = max(1, load.succeeded.calls)
    all_calls = calls * (warm_up + seconds) / seconds
    point.series.samples.append(
        Sample(
            calls_per_second=load.calls_per_second,
            p50=load.succeeded.p50,
            p99=load.succeeded.p99,
            p999=load.succeeded.p999,
            refused_per_second=load.refused.calls / load.seconds,
            refused_p50=load.refused.p50,
            refused_p99=load.refused.p99,
            server_cpu=used[0] / all_calls * 1e6,
            store_cpu=used[1] / all_calls * 1e6,
            generator_cpu=load.cpu_seconds / calls * 1e6,
            cores_busy=cores_busy,
        )
    )


def measure_all(generator: Generator, points: Sequence[Point], store: Process, pace: Pace) -> list[Series]:
    """Measure all points in turn, again and again, so that what the machine does besides meets all of them alike."""
    times_max = max(point.times for point in points)
    for turn in range(pace.repetitions * times_max):
        for point in points:
            if turn % times_max < point.times:
                measure(generator, point, store, warm_up=pace.warm_up, seconds=pace.seconds)
    return [point.series for point in points]
