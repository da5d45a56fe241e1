"""A store of the server's to call the script with, and what it wrote."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import pytest

from tallykeeper_server.domain.levels import CounterName, StockName
from tallykeeper_server.domain.mutations import Mutation, Outcome
from tallykeeper_server.store.batch import Retention
from tallykeeper_server.store.redis_store import RedisStore

RETENTION = Retention(request_ms=60_000, ledger_revisions=1_000)

Apply = Callable[..., Outcome]
ApplyAll = Callable[[Sequence[Mutation]], list[Outcome]]


@pytest.fixture
def apply_all(store_url: str) -> Iterator[ApplyAll]:
    """Apply mutations in one script call."""
    with asyncio.Runner() as runner:

        async def connect() -> RedisStore:
            return RedisStore(store_url, timeout_seconds=5.0, retention=RETENTION)

        store = runner.run(connect())
        yield lambda mutations: runner.run(store.apply(mutations))
        runner.run(store.close())


@pytest.fixture
def apply(apply_all: ApplyAll, namespace: str) -> Apply:
    """Apply one operation, on the counter ``visits`` or on ``dune`` at ``main``, and return its outcome."""

    def apply_one(operation: str, *arguments: object, request_id: str = "") -> Outcome:
        level = CounterName("visits") if operation.startswith("counter") else StockName("dune", "main")
        mutation = Mutation(
            namespace=namespace,
            operation=operation,
            levels=(level,),
            arguments=tuple(map(str, arguments)),
            request_id=request_id,
        )
        (outcome,) = apply_all([mutation])
        return outcome

    return apply_one
