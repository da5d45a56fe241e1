"""The goals of the service, and whether a run has reached them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench import capacity, idle, memory, overload
from bench.contenders import (
    GO,
    GRPC_AIO,
    GRPC_AIO_MANY,
    GRPC_GO,
    ON_GRPC_AIO,
    ONE,
    ONE_WITH_TLS,
    TRACED,
    TRANSPORT,
    TRANSPORT_WITH_METADATA,
    TWO,
)
from bench.growth import IN_FLIGHT as GROWTH_IN_FLIGHT
from bench.measurement import Results
from bench.plan import BATCHES, IN_FLIGHT, NO_STORE, batches_of

_IDLE_CONNECTIONS: Final = 10_000
_CROWDS: Final = (1_024, 4_096)


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure with its goal. ``measured`` is None if this machine lacks a part that the figure needs."""

    name: str
    wanted: float
    measured: float | None
    at_most: bool = False

    @property
    def is_reached(self) -> bool | None:
        """True if the goal was reached, or None if it was not measured."""
        if self.measured is None:
            return None
        return self.measured <= self.wanted if self.at_most else self.measured >= self.wanted

    def as_json(self) -> dict[str, Any]:
        """Return the goal in the form of the results."""
        return asdict(self) | {"is_reached": self.is_reached}


def goals(results: Results) -> list[Goal]:
    """Return all goals, with their figures from one run."""
    return [
        *_constant_goals(results),
        *_service_goals(results),
        *_scaling_goals(results),
        *_crowd_goals(results),
        *_overload_goals(results),
        *_size_goals(results),
        *_capacity_goals(results),
    ]


def _constant_goals(results: Results) -> Iterator[Goal]:
    def rate(name: str) -> float | None:
        return results.rate(NO_STORE, name, 128)

    ours = rate(TRANSPORT)
    yield Goal("constant response / grpc.aio", 10.0, _ratio(ours, rate(GRPC_AIO)))
    yield Goal("constant response / eight grpc.aio servers at one port", 10.0, _ratio(ours, rate(GRPC_AIO_MANY)))
    with_metadata = rate(TRANSPORT_WITH_METADATA)
    yield Goal("the same with deadline and metadata / grpc-go", 1.0, _ratio(with_metadata, rate(GRPC_GO)))


def _service_goals(results: Results) -> Iterator[Goal]:
    for title, store, in_flight, wanted in (
        ("always", results.always, 128, 2.2),
        ("everysec", results.everysec, 128, 1.4),
        ("everysec", results.everysec, 512, 1.8),
    ):
        ratio = _ratio(results.rate(store, TWO, in_flight), results.rate(store, GO, in_flight))
        yield Goal(f"{title}, {in_flight} in flight, 2 workers / Go service", wanted, ratio)
    for title, store, wanted in (("always", results.always, 1.0), ("everysec", results.everysec, 1.6)):
        ours, theirs = (results.median(store, name, 1, "p50") for name in (ONE, GO))
        yield Goal(f"{title}, p50 of a single caller / Go service", wanted, _ratio(ours, theirs), at_most=True)


def _scaling_goals(results: Results) -> Iterator[Goal]:
    for title, store in (("always", results.always), ("everysec", results.everysec)):
        one = results.rate(store, ONE, 128)
        yield Goal(
            f"{title}, 128 in flight, 1 worker / its handlers on grpc.aio",
            5.0,
            _ratio(one, results.rate(store, ON_GRPC_AIO, 128)),
        )
    for title, store in (("always", results.always), ("everysec", results.everysec)):
        one, two = (results.rate(store, name, 512) for name in (ONE, TWO))
        yield Goal(f"{title}, 512 in flight, 2 workers / 1 worker", 1.35, _ratio(two, one))
    for title, store in (("always", results.always), ("everysec", results.everysec)):
        cpu = results.median(store, ONE, GROWTH_IN_FLIGHT, "server_cpu")
        yield Goal(f"{title}, 512 in flight, 1 worker: its CPU, us per change", 20.0, cpu, at_most=True)
    for title, store in (("always", results.always), ("everysec", results.everysec)):
        plain, traced = (results.rate(store, name, 512) for name in (ONE, TRACED))
        yield Goal(f"{title}, 512 in flight, every call traced / untraced", 0.85, _ratio(traced, plain))
    plain, tls = (results.rate(results.everysec, name, 128) for name in (ONE, ONE_WITH_TLS))
    yield Goal("everysec, 128 in flight, TLS / plaintext", 0.75, _ratio(tls, plain))


def _crowd_goals(results: Results) -> Iterator[Goal]:
    for title, store in (("always", results.always), ("everysec", results.everysec)):
        for name in (ONE, TWO):
            rates = [results.rate(store, name, in_flight) for in_flight in IN_FLIGHT]
            peak = max((rate for rate in rates if rate), default=None)
            for crowd in _CROWDS:
                ratio = _ratio(results.rate(store, name, crowd), peak)
                yield Goal(f"{title}, {name}, {crowd:,} in flight / peak", 0.9, ratio)


def _overload_goals(results: Results) -> Iterator[Goal]:
    for connections, topic in overload.TOPICS.items():
        goodput = results.number(topic, overload.GOODPUT)
        yield Goal(f"ten times the capacity, {connections:,} connections: goodput / peak", 0.85, goodput)
    refusing = overload.TOPICS[overload.REFUSING]
    delayed, p99 = (results.number(refusing, name) for name in (overload.WITH_DELAY, overload.REFUSAL_P99))
    yield Goal("ten times the capacity: refusals with a retry delay, share", 1.0, delayed)
    yield Goal("ten times the capacity: p99 of refusals, ms", 20.0, p99, at_most=True)


def _size_goals(results: Results) -> Iterator[Goal]:
    yield Goal("idle connections that are served", _IDLE_CONNECTIONS, results.number(idle.TOPIC, idle.SERVED))
    yield Goal("memory of an idle connection, KiB", 25.0, results.number(idle.TOPIC, idle.KIB_EACH), at_most=True)
    for name in (ONE, TWO):
        rate = results.rate(results.everysec, batches_of(name, 1_000), BATCHES[1_000])
        yield Goal(f"everysec, {name}, Apply of 1,000, operations/s", 180_000.0, rate)
    resident, later = (results.number(memory.TOPIC, name) for name in (memory.RESIDENT, memory.RESIDENT_LATER))
    yield Goal("memory of a worker after a million calls, MiB", 120.0, resident, at_most=True)
    yield Goal("the same after a second million / before", 1.02, _ratio(later, resident), at_most=True)


def _capacity_goals(results: Results) -> Iterator[Goal]:
    for name in capacity.NAMES:
        closeness = results.number(capacity.TOPIC, capacity.closeness_of(name))
        yield Goal(f"{name}: formula and measured", 0.9, closeness)


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None
