"""What the service must reach, and whether it did."""

from dataclasses import asdict, dataclass
from typing import Any

from bench.plan import BATCHES, CROWD, IN_FLIGHT, RESIDENT, RESIDENT_LATER, Results

_ALWAYS = "valkey (embedded), fsync always"
_REDIS_ALWAYS = "redis (PATH), fsync always"
_REDIS_EVERYSEC = "redis (PATH), fsync everysec"


@dataclass(frozen=True, slots=True)
class Target:
    """One of them. ``reached`` is None where this machine lacks what it takes to measure it."""

    name: str
    wanted: float
    reached: float | None
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it was reached."""
        if self.reached is None:
            return False
        return self.reached <= self.wanted if self.at_most else self.reached >= self.wanted

    def as_json(self) -> dict[str, Any]:
        """Return it as it is written to the results."""
        return asdict(self) | {"is_met": self.is_met}


def targets(results: Results) -> list[Target]:
    """Return all of them."""
    ours = _rate(results, "ours", 128)
    rates = [_rate(results, "ours", in_flight) for in_flight in (*IN_FLIGHT, CROWD)]
    peak = max((rate for rate in rates if rate), default=None)
    return [
        Target("unary at 128 in flight / ceiling", 0.85, _ratio(ours, _rate(results, "ceiling", 128))),
        Target("unary at 128 in flight / better naive service", 1.8, _ratio(ours, _best_naive(results))),
        Target("p50 at 1 in flight / naive service's", 1.25, _latency_ratio(results), at_most=True),
        Target("two workers / one, at 128 in flight", 1.3, _ratio(_rate(results, "ours, 2 workers", 128), ours)),
        Target("unary at 512 in flight / peak", 0.9, _ratio(_rate(results, "ours", 512), peak)),
        Target("unary at 1,024 in flight / peak", 0.9, _ratio(_rate(results, "ours", CROWD), peak)),
        Target("with metrics / without", 0.97, _ratio(_rate(results, "ours, with metrics", 128), ours)),
        *_batch_targets(results),
        *_store_targets(results),
    ]


def _batch_targets(results: Results) -> list[Target]:
    wanted = (
        ("everysec", _REDIS_EVERYSEC, 100, 100_000),
        ("always", _REDIS_ALWAYS, 100, 60_000),
        ("everysec", _REDIS_EVERYSEC, 1_000, 150_000),
    )
    return [
        Target(
            f"Apply of {count:,}, operations/s, redis, {fsync}, {workers}",
            rate,
            results.rate(store, f"{name}, Apply of {count}", BATCHES[count]),
        )
        for fsync, store, count, rate in wanted
        for workers, name in (("1 worker", "ours"), ("2 workers", "ours, 2 workers"))
    ]


def _store_targets(results: Results) -> list[Target]:
    script = results.numbers.get(_REDIS_EVERYSEC, {})
    here = results.numbers.get(_ALWAYS, {})
    return [
        Target("script alone, mutations/s, redis, everysec", 90_000, script.get("script, mutations/s, 128 a script")),
        Target("script alone, lines/s, redis, everysec", 250_000, script.get("script, lines/s, 1,000 a mutation")),
        Target("bytes of a stock level", 200, here.get("bytes of a stock level, with its index"), at_most=True),
        Target("bytes of a request record", 150, here.get("bytes of a request record"), at_most=True),
        Target("bytes of an entry of one line", 250, here.get("bytes of a entry of one line"), at_most=True),
        Target("MiB of a worker", 120, here.get(RESIDENT), at_most=True),
        Target(
            "MiB of it after more calls / before",
            1.02,
            _ratio(here.get(RESIDENT_LATER), here.get(RESIDENT)),
            at_most=True,
        ),
    ]


def _rate(results: Results, name: str, in_flight: int) -> float | None:
    return results.rate(_ALWAYS, name, in_flight)


def _best_naive(results: Results) -> float | None:
    return max(filter(None, (_rate(results, name, 128) for name in ("naive aio", "naive threads"))), default=None)


def _latency_ratio(results: Results) -> float | None:
    ours, *naive = (results.find(_ALWAYS, name, 1) for name in ("ours", "naive aio", "naive threads"))
    times = [each.median("p50") for each in naive if each]
    return _ratio(ours.median("p50") if ours else None, min(times, default=None))


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value and base else None
