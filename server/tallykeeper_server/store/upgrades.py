"""Upgrades a data directory from one format to the next, before the server serves."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias, cast

from tallykeeper_server.domain.queries import Kind
from tallykeeper_server.store import keys
from tallykeeper_server.store.embedded.data_format import DATA_FORMAT, FIRST_FORMAT
from tallykeeper_server.store.nodes.connection import Connection

_SCANNED_AT_ONCE: Final = 1_000
_GENERATION: Final = 3
_BUCKETS_NEWEST_FIRST: Final = (0, 2, 1)
"""The buckets of format 2, for the newest buckets of format 1: generation 3 has bucket 0, and empties bucket 1 next."""

Upgrade: TypeAlias = Callable[[Connection], Awaitable[None]]
"""A step that changes a store from one format to the next. After an interrupted start, the whole step is repeated."""


async def _forget_by_no_clock_of_redis(connection: Connection) -> None:
    """Change to format 2: request buckets with fixed names, an agenda, and no key that Redis forgets by itself."""
    open_count = 0
    for namespace, numbers in (await _namespaces(connection)).items():
        await _rename_buckets(connection, namespace, numbers)
        await connection.call("SET", keys.clock(namespace), f"0 {_GENERATION} 0", "NX")
        await _keep_levels(connection, namespace)
        open_count += cast("int", await connection.call("ZCARD", keys.due(namespace)))
        await connection.call("SADD", keys.namespaces(""), namespace)
        await connection.call("ZADD", keys.agenda(""), 0, namespace)  # the first sweep finds what is due
    await connection.call("SET", keys.open_reservations(""), open_count)


async def _namespaces(connection: Connection) -> dict[str, set[int]]:
    """Return the namespaces that have a revision or request records, with the numbers of their request buckets."""
    found: dict[str, set[int]] = {}
    cursor: int = 0
    while True:
        command = ("SCAN", cursor, "MATCH", keys.REVISIONS_AND_BUCKETS, "COUNT", _SCANNED_AT_ONCE)
        next_cursor, names = cast("tuple[bytes, list[bytes]]", await connection.call(*command))
        for name in names:
            namespace, bucket = keys.namespace_and_bucket(name)
            if namespace:
                found.setdefault(namespace, set()).update([] if bucket is None else [bucket])
        cursor = int(next_cursor)
        if not cursor:
            return found


async def _rename_buckets(connection: Connection, namespace: str, numbers: set[int]) -> None:
    """Give the newest three request buckets, whose names are numbers of time spans, their fixed names."""
    old = sorted((number for number in numbers if number >= keys.REQUEST_BUCKETS), reverse=True)
    free = [bucket for bucket in _BUCKETS_NEWEST_FIRST if bucket not in numbers]
    for number, bucket in zip(old, free, strict=False):
        await connection.call("RENAME", keys.request_bucket(namespace, number), keys.request_bucket(namespace, bucket))
        await connection.call("PERSIST", keys.request_bucket(namespace, bucket))


async def _keep_levels(connection: Connection, namespace: str) -> None:
    """Remove the time to live from counters that expire and from reservations that have ended."""
    for kind in (Kind.COUNTER, Kind.RESERVATION):
        listed = await connection.call("ZRANGE", keys.name_expiry(namespace, kind), 0, -1)
        for name in cast("list[bytes]", listed):
            level_id = name.partition(b"\0")[2] if kind is Kind.RESERVATION else name
            await connection.call("PERSIST", keys.level_prefix(namespace, kind).encode() + level_id)


UPGRADES: Final[Mapping[int, Upgrade]] = {1: _forget_by_no_clock_of_redis}
"""The step from each format to the one after it."""


async def upgrade(connection: Connection, number: int) -> None:
    """Take all steps from a format to the present one.

    :raises TallyError: the store cannot be asked or changed.
    """
    for step in range(max(number, FIRST_FORMAT), DATA_FORMAT):
        await UPGRADES[step](connection)
