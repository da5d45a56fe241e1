"""The server's store, with which tests call the script, and access to the keys that it wrote."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

import pytest

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy, Retention
from tallykeeper_server.domain.levels import CounterName, LevelName, ReservationName, StockName
from tallykeeper_server.domain.mutations import Bundle, Mutation, Outcome, fingerprint_of
from tallykeeper_server.store.redis_store import RedisStore

RETENTION = Retention(
    request_ms=60_000, ledger_revisions=1_000, reservation_ms=60_000, reservation_lifetime_ms=3_600_000
)
LEVELS: Final[dict[str, tuple[LevelName, ...]]] = {
    "counter": (CounterName("visits"),),
    "stock": (StockName("dune", "main"),),
    "stock_move": (StockName("dune", "main"), StockName("dune", "annex")),
    "reservation": (ReservationName("basket"),),
    "reservation_reserve": (ReservationName("basket"), StockName("dune", "main")),
    "reservation_commit": (ReservationName("basket"), StockName("dune", "main")),
}
"""The level that each operation, or each kind of operation, is tried on."""

POLICY: Final = DurabilityPolicy(default=Durability.MEMORY)
"""The store waits for no durability."""

Apply = Callable[..., Outcome]
ApplyAll = Callable[[Sequence[Bundle]], list[Outcome]]


@pytest.fixture
def apply_all(store_url: str) -> Iterator[ApplyAll]:
    """Apply bundles in one script call, and return the outcomes of all their mutations."""
    with asyncio.Runner() as runner:

        async def connect() -> RedisStore:
            return RedisStore(store_url, timeout_seconds=5.0, retention=RETENTION, policy=POLICY)

        store = runner.run(connect())

        def outcomes_of(bundles: Sequence[Bundle]) -> list[Outcome]:
            results = runner.run(store.apply(bundles))
            return [outcome for outcomes in results if isinstance(outcomes, list) for outcome in outcomes]

        yield outcomes_of
        runner.run(store.close())


def mutation(operation: str, *arguments: object, levels: tuple[LevelName, ...] = (), reason: str = "") -> Mutation:
    """Return a mutation of the level that its operation is tried on, or of other levels."""
    kind = operation.partition("_")[0]
    return Mutation(
        operation=operation,
        levels=levels or LEVELS.get(operation) or LEVELS[kind],
        arguments=cast("tuple[int | str, ...]", arguments),
        reason=reason,
        resolves=operation in {"reservation_commit", "reservation_release", "reservation_expire"},
    )


def bundle(namespace: str, *mutations: Mutation, request_id: str = "", atomic: bool = False) -> Bundle:
    """Return mutations under one request id."""
    return Bundle(
        namespace=namespace,
        mutations=mutations,
        request_id=request_id,
        atomic=atomic,
        fingerprint=fingerprint_of(mutations) if request_id else b"",
    )


@pytest.fixture
def apply(apply_all: ApplyAll, namespace: str) -> Apply:
    """Apply one operation to the level that it is tried on, and return its outcome."""

    def apply_one(operation: str, *arguments: object, request_id: str = "") -> Outcome:
        (outcome,) = apply_all([bundle(namespace, mutation(operation, *arguments), request_id=request_id)])
        return outcome

    return apply_one
