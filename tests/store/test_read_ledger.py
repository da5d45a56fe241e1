"""Parts of the ledger: they begin after or before a revision, and end with a number of scripts or of entries."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
import redis

from tallykeeper_server.domain.durability import Retention
from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.queries import ReadLedger
from tallykeeper_server.store.redis_store import RedisStore

RETENTION = Retention(request_ms=60_000, ledger_revisions=10, reservation_ms=1, reservation_lifetime_ms=1)
SIZES = (3, 1, 5, 1, 2)
LAST = (3, 4, 9, 10, 12)
"""The last revision of each script."""


@pytest.fixture
def written(raw_store: redis.Redis, namespace: str) -> str:
    """A namespace whose ledger has the entries of five scripts."""
    for size, last in zip(SIZES, LAST, strict=True):
        fields: list[object] = ["time", 1_700_000_000_000 + last]
        for revision in range(last - size + 1, last + 1):
            fields += [revision, f"counter_increment\t\t\t\t\tcounter:c\t1\t{revision}"]
        cast("Any", raw_store).execute_command("XADD", f"tk:{{{namespace}}}:ledger", f"0-{last}", *fields)
    return namespace


def read(url: str, query: ReadLedger) -> Sequence[Entry]:
    """Return the answer to a query."""

    async def answer() -> object:
        store = RedisStore(url, timeout_seconds=5.0, retention=RETENTION)
        try:
            (found,) = await store.read([query])
            return found
        finally:
            await store.close()

    return cast("Sequence[Entry]", asyncio.run(answer()))


@pytest.mark.parametrize(
    ("after", "scripts_max", "entries_max", "expected"),
    [
        (0, 16, None, range(1, 13)),
        (0, 2, None, range(1, 5)),
        (0, 16, 1, range(1, 4)),
        (0, 16, 3, range(1, 4)),
        (0, 16, 4, range(1, 5)),
        (0, 16, 5, range(1, 10)),
        (0, 2, 5, range(1, 5)),
        (4, 16, 1, range(5, 10)),
        (6, 16, 1, range(7, 10)),  # the rest of a script
        (8, 16, 6, range(9, 11)),
        (12, 16, 1, ()),
    ],
)
def test_the_oldest_after_a_revision(
    store_url: str, written: str, after: int, *, scripts_max: int, entries_max: int | None, expected: Sequence[int]
) -> None:
    found = read(store_url, ReadLedger(written, after=after, scripts_max=scripts_max, entries_max=entries_max))

    assert [(each.revision, each.damage) for each in found] == [(revision, "") for revision in expected]


@pytest.mark.parametrize(
    ("before", "scripts_max", "entries_max", "expected"),
    [
        (None, 16, None, range(12, 0, -1)),
        (None, 2, None, range(12, 9, -1)),
        (None, 16, 1, range(12, 10, -1)),
        (None, 16, 3, range(12, 9, -1)),
        (None, 16, 4, range(12, 4, -1)),
        (None, 2, 4, range(12, 9, -1)),
        (11, 16, 1, range(10, 9, -1)),
        (10, 16, 1, range(9, 4, -1)),
        (7, 16, 1, range(6, 3, -1)),  # the rest of a script, and one entry of an earlier one
        (5, 16, 1, range(4, 3, -1)),  # nothing of the script that has the revision
        (1, 16, 1, ()),
    ],
)
def test_the_newest_before_a_revision(
    store_url: str,
    written: str,
    before: int | None,
    *,
    scripts_max: int,
    entries_max: int | None,
    expected: Sequence[int],
) -> None:
    found = read(store_url, ReadLedger(written, before=before, scripts_max=scripts_max, entries_max=entries_max))

    assert [(each.revision, each.damage) for each in found] == [(revision, "") for revision in expected]


def test_a_gap_at_the_border_of_two_parts_is_marked(store_url: str, raw_store: redis.Redis, written: str) -> None:
    raw_store.xdel(f"tk:{{{written}}}:ledger", "0-9")

    newest = read(store_url, ReadLedger(written, scripts_max=16, entries_max=3))
    rest = read(store_url, ReadLedger(written, before=newest[-1].first_revision, scripts_max=16, entries_max=1))
    oldest = read(store_url, ReadLedger(written, after=4, scripts_max=16, entries_max=1))

    assert [each.revision for each in newest] == [12, 11, 10]
    assert [(each.first_revision, each.revision, bool(each.damage)) for each in rest] == [(5, 9, True), (4, 4, False)]
    assert [(each.first_revision, each.revision, bool(each.damage)) for each in oldest] == [
        (5, 9, True),
        (10, 10, False),
    ]
