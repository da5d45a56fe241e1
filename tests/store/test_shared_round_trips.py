"""Queries that share a round trip: a fault of one does not affect the others."""

import asyncio
import time
from typing import Any, cast

import pytest
import redis

from tallykeeper_server.domain.durability import Retention
from tallykeeper_server.domain.errors import DefectError
from tallykeeper_server.domain.levels import Counter, CounterName, DamagedLevel, StockLevel, StockName
from tallykeeper_server.domain.queries import (
    CountNamespace,
    FindLevels,
    FindReservations,
    FoundLevels,
    FoundReservations,
    GetLevels,
    Kind,
    LevelRange,
    ListNames,
    NamespaceCounts,
    Query,
    ReadLevels,
)
from tallykeeper_server.store.redis_store import RedisStore

RETENTION = Retention(request_ms=60_000, ledger_revisions=10, reservation_ms=1, reservation_lifetime_ms=1)


async def answers(url: str, *queries: Query[Any]) -> list[object]:
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

    assert good_answer == ReadLevels(0, [Counter(good, 7)])
    (damaged,) = cast("ReadLevels", bad_answer).levels
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
    assert read == ReadLevels(0, [None])


def test_a_script_that_the_store_does_not_have_is_brought_along(
    store_url: str, raw_store: redis.Redis, namespace: str
) -> None:
    raw_store.set(f"tk:{{{namespace}}}:stock:main:dune", "7")
    raw_store.zadd(f"tk:{{{namespace}}}:index:stock", {"dune\0main": 0})
    item = LevelRange(kind=Kind.STOCK, prefix="dune", whole_item=True)
    raw_store.script_flush()

    found, reservations, counts, named = asyncio.run(
        answers(
            store_url,
            FindLevels(namespace=namespace, ranges=(item,)),
            FindReservations(namespace=namespace),
            CountNamespace(namespace),
            GetLevels(namespace, (CounterName("none"),)),
        )
    )

    assert isinstance(found, FoundLevels)
    assert found.levels == (StockLevel(StockName("dune", "main"), 7),)
    assert isinstance(reservations, FoundReservations)
    assert isinstance(counts, NamespaceCounts)
    assert (reservations.reservations, counts.stock_levels) == ((), 1)
    assert named == ReadLevels(0, [None])


def test_what_an_index_has_and_the_store_has_not_is_passed_over(
    store_url: str, raw_store: redis.Redis, namespace: str
) -> None:
    raw_store.set(f"tk:{{{namespace}}}:counter:b", "7")
    raw_store.zadd(f"tk:{{{namespace}}}:index:counter", {"a": 0, "b": 0, "c": 0})
    query = FindLevels(namespace=namespace, ranges=(LevelRange(kind=Kind.COUNTER),), levels_max=2)

    (found,) = asyncio.run(answers(store_url, query))

    assert isinstance(found, FoundLevels)
    assert (found.levels, found.after) == ((Counter(CounterName("b"), 7),), CounterName("b"))


def test_levels_of_several_ranges_and_by_name_come_in_this_order_and_up_to_a_number(
    store_url: str, raw_store: redis.Redis, namespace: str
) -> None:
    levels = [StockLevel(StockName(item, at), 1) for item in ("dune", "emma") for at in ("a", "b")]
    for level in levels:
        raw_store.set(f"tk:{{{namespace}}}:stock:{level.name.text}", "1")
        raw_store.zadd(f"tk:{{{namespace}}}:index:stock", {f"{level.name.item}\0{level.name.location}": 0})
    raw_store.set(f"tk:{{{namespace}}}:counter:visits", "5")
    ranges = tuple(LevelRange(kind=Kind.STOCK, prefix=item, whole_item=True) for item in ("emma", "dune"))
    visits = CounterName("visits")
    queries = [
        FindLevels(namespace=namespace, ranges=ranges, names=(visits,), levels_max=number) for number in (4, 3, 2, 1)
    ]

    found = asyncio.run(answers(store_url, *queries))

    in_order = [*levels[2:], *levels[:2]]
    for answer, number in zip(found, (4, 3, 2, 1), strict=True):
        assert isinstance(answer, FoundLevels)
        assert answer.levels == (*in_order[:number], Counter(visits, 5))
        assert answer.after == (None if number == len(levels) else in_order[number - 1].name)


def test_what_is_over_is_not_counted(store_url: str, raw_store: redis.Redis, namespace: str) -> None:
    prefix, later = f"tk:{{{namespace}}}:", int(time.time() * 1_000) + 3_600_000
    raw_store.zadd(f"{prefix}index:counter", {"over": 0, "kept": 0, "forever": 0})
    raw_store.zadd(f"{prefix}expiry:counter", {"over": 1, "kept": later})
    raw_store.zadd(f"{prefix}expiry", {"over": 1, "held": later})

    (counts,) = asyncio.run(answers(store_url, CountNamespace(namespace)))

    assert counts == NamespaceCounts(0, 1, 0, 2, 1)


def test_a_store_without_memory_for_changes_is_read(own_store: str, namespace: str) -> None:
    with redis.Redis.from_url(own_store) as connection:
        connection.set(f"tk:{{{namespace}}}:counter:a", "7")
        connection.zadd(f"tk:{{{namespace}}}:index:counter", {"a": 0})
        connection.config_set("maxmemory", 1)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            connection.set("more", "1")

        query = FindLevels(namespace=namespace, ranges=(LevelRange(kind=Kind.COUNTER),))
        by_source, by_hash = (asyncio.run(answers(own_store, query))[0] for _ in range(2))

    for found in (by_source, by_hash):
        assert isinstance(found, FoundLevels)
        assert found.levels == (Counter(CounterName("a"), 7),)
