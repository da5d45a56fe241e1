"""Overload: ten times the calls that a worker can answer, from callers that ignore refusals, and the goodput.

Each repetition measures the peak. Then it begins ten times as many calls a second on many connections, and afterwards
measures the time until the peak is reached again. The server limits the calls of each connection, so that the callers
wait on their own side.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.contenders import Contender, increment
from bench.generator import Generator, Load
from bench.measurement import Pace
from bench.processes import Process

TOPICS: Final = {
    256: "ten times the capacity, in an open loop, one worker, 256 connections",
    1_024: "ten times the capacity, in an open loop, one worker, 1,024 connections",
}
"""The topic of each number of connections."""
REFUSING: Final = 1_024
"""The number of connections of which most may send more calls than can wait, until the server reduces their limits."""
BEGUN: Final = "calls begun / peak"
"""The ratio is below ten if the connections lack room, because the server's SETTINGS limit the calls of each."""
GOODPUT: Final = "goodput / peak"
REFUSAL_P99: Final = "refusals, p99, ms"
WITH_DELAY: Final = "refusals that carry a retry delay, share"
_TIMES: Final = 10
_IN_FLIGHT: Final = 128
_UNDER_WAY_MAX: Final = 100_000
_NEAR: Final = 0.8
"""The share of its peak at which the service counts as recovered."""
_RECOVERY_SECONDS_MAX: Final = 10.0
_WINDOW_SECONDS: Final = 0.5
_FLOOD_WARM_UP_SECONDS: Final = 1.0
_FLOOD_SECONDS: Final = 4.0


@dataclass(frozen=True, slots=True)
class Repetition:
    """One repetition. Rates are in calls a second, memory is in bytes, and the recovery is in seconds."""

    peak: float
    flood: Load
    memory_before: int
    memory_most: int
    recovery: float


def measure_overload(
    generator: Generator, contender: Contender, pace: Pace, connections: int
) -> dict[str, float | None]:
    """Return the numbers for the report: medians of the repetitions."""
    repetitions = [_repetition(generator, contender, pace, connections) for _ in range(pace.repetitions)]

    def median(value: Callable[[Repetition], float]) -> float:
        return statistics.median(value(each) for each in repetitions)

    refused = sum(each.flood.refused.calls for each in repetitions)
    return {
        "peak, 128 callers, calls/s": median(lambda each: each.peak),
        BEGUN: median(lambda each: each.flood.begun / each.flood.seconds / each.peak),
        GOODPUT: median(lambda each: each.flood.calls_per_second / each.peak),
        WITH_DELAY: sum(each.flood.delayed for each in repetitions) / refused if refused else None,
        "refusals, p50, ms": median(lambda each: each.flood.refused.p50 / 1_000) if refused else None,
        REFUSAL_P99: median(lambda each: each.flood.refused.p99 / 1_000) if refused else None,
        "answers, p50, ms": median(lambda each: each.flood.succeeded.p50 / 1_000),
        "answers, p99, ms": median(lambda each: each.flood.succeeded.p99 / 1_000),
        "cores used by the load": median(lambda each: each.flood.cpu_seconds / each.flood.seconds),
        "memory of the worker before, MiB": median(lambda each: each.memory_before / 2**20),
        "memory of the worker at most, MiB": max(each.memory_most for each in repetitions) / 2**20,
        "peak is back after, s": max(each.recovery for each in repetitions),
    }


def _repetition(generator: Generator, contender: Contender, pace: Pace, connections: int) -> Repetition:
    load = partial(generator.run, contender.port, increment())
    peak = load(in_flight=_IN_FLIGHT, warm_up=pace.warm_up, seconds=2 * pace.seconds).calls_per_second
    before = max(contender.process.resident_bytes())
    with _most_memory(contender.process) as most:
        flood = load(
            in_flight=_UNDER_WAY_MAX,
            warm_up=_FLOOD_WARM_UP_SECONDS,
            seconds=_FLOOD_SECONDS,
            rate=_TIMES * peak,
            connections=connections,
        )
    recovery = _recovery(
        lambda: load(in_flight=_IN_FLIGHT, warm_up=0.0, seconds=_WINDOW_SECONDS).calls_per_second, peak
    )
    return Repetition(peak, flood, before, most(), recovery)


def _recovery(rate: Callable[[], float], peak: float) -> float:
    """Return the seconds until the rate of a window is near the peak, with the seconds of the window."""
    began_at = time.monotonic()
    while rate() < _NEAR * peak and time.monotonic() < began_at + _RECOVERY_SECONDS_MAX:
        pass
    return time.monotonic() - began_at


@contextmanager
def _most_memory(server: Process) -> Iterator[Callable[[], int]]:
    """Read the memory of a server ten times a second within this context. Yield a function that returns the maximum."""
    seen, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            seen.append(max(server.resident_bytes()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: max(seen)
    finally:
        ended.set()
        thread.join()
