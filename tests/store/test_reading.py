"""Queries that share a round trip: what is wrong with one is not the others' concern."""

import asyncio
from typing import cast

import pytest
import redis

from tallykeeper_server.domain.errors import DefectError
from tallykeeper_server.domain.levels import Counter, CounterName, DamagedLevel
from tallykeeper_server.domain.queries import GetLevels, Kind, ListNames
from tallykeeper_server.domain.retention import Retention
from tallykeeper_server.store.redis_store import RedisStore

RETENTION = Retention(request_ms=60_000, ledger_revisions=10, reservation_ms=1, reservation_lifetime_ms=1)


async def answers(url: str, *queries: GetLevels | ListNames) -> list[object]:
    store = RedisStore(url, timeout_seconds=5.0, retention=RETENTION)
    try:
        return await store.read(queries)
    finally:
        await store.close()


@pytest.mark.parametrize("rubbish", ["", "x", "1 2", "1 2 3 4 5 6"])
def test_a_level_that_the_script_did_not_write_is_read_as_damaged(
    store_url: str, raw_store: redis.Redis, namespace: str, rubbish: str
) -> None:
    raw_store.set(f"tk:{{{namespace}}}:counter:good", "7")
    raw_store.set(f"tk:{{{namespace}}}:counter:bad", rubbish)
    good, bad = CounterName("good"), CounterName("bad")

    good_answer, bad_answer = asyncio.run(
        answers(store_url, GetLevels(namespace, (good,)), GetLevels(namespace, (bad,)))
    )

    assert good_answer == [Counter(good, 7)]
    (damaged,) = cast("list[object]", bad_answer)
    assert isinstance(damaged, DamagedLevel)
    assert damaged.name == bad
    assert damaged.damage


def test_an_index_of_another_type_fails_its_own_query_alone(
    store_url: str, raw_store: redis.Redis, namespace: str
) -> None:
    raw_store.set(f"tk:{{{namespace}}}:index:counter", "not a sorted set")

    listed, read = asyncio.run(
        answers(store_url, ListNames(namespace, Kind.COUNTER), GetLevels(namespace, (CounterName("none"),)))
    )

    assert isinstance(listed, DefectError)
    assert read == [None]
