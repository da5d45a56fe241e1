"""Pages of reservations from the script that reads them: one page looks at a limited number."""

import asyncio
import time
from dataclasses import replace

import pytest
import redis

from tallykeeper_server.domain.durability import Retention
from tallykeeper_server.domain.levels import ReservationState
from tallykeeper_server.domain.queries import FindReservations, FoundReservations
from tallykeeper_server.store.redis_store import RedisStore

RETENTION = Retention(request_ms=60_000, ledger_revisions=10, reservation_ms=1, reservation_lifetime_ms=1)
LATER_MS = int(time.time() * 1_000) + 3_600_000
LONG_LINE = f"\tstock:{'l' * 63}:{'i' * 128}\t1\t0"


def write(raw_store: redis.Redis, namespace: str, reservations: dict[str, str], *, state: int = 1) -> None:
    prefix = f"tk:{{{namespace}}}:"
    raw_store.mset({f"{prefix}reservation:{name}": text for name, text in reservations.items()})
    raw_store.zadd(f"{prefix}index:reservation", {f"{state}\0{name}": 0 for name in reservations})


def active(holder: str, lines: str = "\tstock:main:dune\t1\t0", *, expire_at_ms: int = LATER_MS) -> str:
    return f"ACTIVE 1 {expire_at_ms} - {holder}{lines}"


def pages_of(url: str, query: FindReservations) -> list[list[str]]:
    """Return the ids on each page."""

    async def read() -> list[list[str]]:
        store = RedisStore(url, timeout_seconds=5.0, retention=RETENTION)
        try:
            pages = []
            following: FindReservations | None = query
            while following is not None:
                (page,) = await store.read([following])
                assert isinstance(page, FoundReservations), page
                pages.append([reservation.name.text for reservation in page.reservations])
                following = replace(following, after=page.after) if page.after else None
            return pages
        finally:
            await store.close()

    return asyncio.run(read())


def test_a_page_ends_when_five_thousand_have_been_looked_at(
    store_url: str, raw_store: redis.Redis, namespace: str
) -> None:
    write(raw_store, namespace, {f"a-{number:04}": active("ann") for number in range(5_000)} | {"b": active("kim")})

    assert pages_of(store_url, FindReservations(namespace=namespace, holder="kim")) == [[], ["b"]]


def test_a_page_ends_when_four_mebibytes_have_been_looked_at(
    store_url: str, raw_store: redis.Redis, namespace: str
) -> None:
    large = active("ann", LONG_LINE * 100)
    count = 4 * 2**20 // len(large) + 250
    write(raw_store, namespace, {f"a-{number:03}": large for number in range(count)} | {"b": active("kim")})

    assert pages_of(store_url, FindReservations(namespace=namespace, holder="kim")) == [[], ["b"]]


def test_a_page_ends_when_it_has_five_thousand_lines(store_url: str, raw_store: redis.Redis, namespace: str) -> None:
    names = [f"a-{number:02}" for number in range(60)]
    write(raw_store, namespace, {name: active("ann", "\tstock:main:dune\t1\t0" * 100) for name in names})

    assert pages_of(store_url, FindReservations(namespace=namespace)) == [names[:50], names[50:]]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (None, ["held", "over", "taken"]),
        (ReservationState.ACTIVE, ["held"]),
        (ReservationState.EXPIRED, ["over"]),
        (ReservationState.COMMITTED, ["taken"]),
    ],
)
def test_one_whose_time_is_up_is_expired_before_it_is_swept(
    store_url: str, raw_store: redis.Redis, namespace: str, state: ReservationState | None, found: list[str]
) -> None:
    write(raw_store, namespace, {"held": active("kim"), "over": active("kim", expire_at_ms=1)})
    write(raw_store, namespace, {"taken": "COMMITTED 1 2 2 kim\tstock:main:dune\t1\t1"}, state=3)

    assert pages_of(store_url, FindReservations(namespace=namespace, state=state)) == [found]


@pytest.mark.parametrize(("item", "found"), [("dune", ["a", "d"]), ("x:dune", ["b"]), ("dun", []), ("emma", ["d"])])
def test_an_item_is_found_by_its_whole_name_in_any_line(
    store_url: str, raw_store: redis.Redis, namespace: str, item: str, found: list[str]
) -> None:
    lines = {"a": ["dune"], "b": ["x:dune"], "c": ["dune 2"], "d": ["emma", "dune"]}
    texts = {name: active("kim", "".join(f"\tstock:main:{each}\t1\t0" for each in of)) for name, of in lines.items()}
    write(raw_store, namespace, texts)

    assert pages_of(store_url, FindReservations(namespace=namespace, item=item)) == [found]
