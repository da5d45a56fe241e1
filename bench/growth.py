"""Growth with cores: a model from the CPU time of a call, checked with one and two workers on this machine.

A worker uses at most one core, and so does the store. If a call takes s of a worker and t of the store, w workers on
enough cores answer at most w / s calls a second, and at most 1 / t. On a machine with C cores that runs everything, at
most C / (the CPU time of a call in all processes) are possible.
"""

import os
from dataclasses import dataclass
from typing import Final

from bench.contenders import ONE, TWO
from bench.measurement import Results, Series

IN_FLIGHT: Final = 512
WORKERS: Final = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class CallCost:
    """CPU microseconds of one call, by process."""

    server: float
    store: float
    everything: float
    """The sum, with the load generator and the kernel's work that belongs to no process."""

    def calls_per_second(self, workers: int, cores: int | None = None) -> float:
        """Return the greatest rate of some workers: on ``cores`` that run everything, or on enough cores."""
        bounds = [workers / self.server, 1 / self.store]
        if cores is not None:
            bounds.append(cores / self.everything)
        return 1e6 * min(bounds)


def cost_of(series: Series) -> CallCost:
    """Return the cost of a call that a series has measured."""
    server, store, generator = (series.median(f"{part}_cpu") for part in ("server", "store", "generator"))
    busy = series.median("cores_busy") / series.median("calls_per_second") * 1e6
    return CallCost(max(server, 0.001), max(store, 0.001), max(busy, server + store + generator))


def growth(results: Results, store: str) -> dict[str, float | None]:
    """Return the model's rates for a store and the measured rates of one and two workers, for the report."""
    one = results.find(store, ONE, IN_FLIGHT)
    if one is None:
        return {}
    cost, cores = cost_of(one), os.cpu_count() or 1
    numbers: dict[str, float | None] = {
        "CPU of a worker, us per change": cost.server,
        "CPU of the store, us per change": cost.store,
        "CPU of everything, us per change": cost.everything,
    }
    for workers, name in ((1, ONE), (2, TWO)):
        measured = results.find(store, name, IN_FLIGHT)
        if measured is not None:
            bound = cost.calls_per_second(workers, cores)
            numbers[f"{name} on {cores} cores with everything, model, changes/s"] = bound
            numbers[f"{name} on {cores} cores with everything, measured, changes/s"] = measured.rate
            numbers[f"{name}, measured / model"] = measured.rate / bound
    for workers in WORKERS:
        numbers[f"workers, each on its own core: {workers}, model, changes/s"] = cost.calls_per_second(workers)
    return numbers
