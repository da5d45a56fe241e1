"""A namespace's ledger, read as the head of driver.lua describes it."""

from dataclasses import dataclass
from typing import cast

import redis


@dataclass(frozen=True)
class Line:
    """One level that an entry changed."""

    key: str
    change: int
    after: str


@dataclass(frozen=True)
class Entry:
    """What the ledger keeps of one mutation."""

    revision: int
    operation: str
    request_id: str
    reason: str
    reference: str
    lines: tuple[Line, ...]


def read_ledger(store: redis.Redis, namespace: str) -> list[Entry]:
    """Return the entries in the order in which they stand; each stream entry's ID must be its last revision."""
    entries: list[Entry] = []
    stream = cast("list[tuple[bytes, dict[bytes, bytes]]]", store.xrange(f"tk:{{{namespace}}}:ledger"))
    for stream_id, fields in stream:
        entries += [_entry(int(field), text.decode()) for field, text in fields.items() if field != b"time"]
        assert stream_id.decode() == f"0-{entries[-1].revision}"
    return entries


def _entry(revision: int, text: str) -> Entry:
    operation, request_id, reason, reference, *rest = text.split("\t")
    lines = tuple(
        Line(key, int(change), after) for key, change, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    )
    return Entry(revision, operation, request_id, reason, reference, lines)
