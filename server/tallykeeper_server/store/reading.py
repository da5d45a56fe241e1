"""Queries as commands, and what the replies mean: one table, a row for each kind of query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from redis.exceptions import RedisError

from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.errors import DefectError, RevisionAheadError
from tallykeeper_server.domain.levels import LevelName, ReadLevel
from tallykeeper_server.domain.mutations import FINGERPRINT_BYTES
from tallykeeper_server.domain.queries import (
    CountNamespace,
    FindStrayEntry,
    GetLevels,
    GetTime,
    Kind,
    ListNames,
    ListNamespaces,
    ListReservations,
    LookupRequest,
    NamespaceCounts,
    Query,
    ReadLedger,
    RecordedOutcome,
    RequestRecord,
    Snapshot,
    SnapshotAnswer,
)
from tallykeeper_server.domain.retention import Retention
from tallykeeper_server.store import keys
from tallykeeper_server.store.batch import LEVELS_JOINED_BY, NOTE, OUTCOMES_JOINED_BY
from tallykeeper_server.store.buckets import buckets_at
from tallykeeper_server.store.connection import Command, Reply, error_of
from tallykeeper_server.store.entry_text import StreamEntries, decode_stream, revision_of
from tallykeeper_server.store.level_text import read_level

_FIRST_ID: Final = "0-1"
_LAST_ID: Final = f"0-{2**64 - 1}"
"""Between these two are all IDs that the script gives."""
_BEYOND_ID: Final = "1-0"


@dataclass(frozen=True, slots=True)
class Reading:
    """A query on its way: its commands, and what makes its answer of their replies."""

    commands: Sequence[Command]
    answer: Callable[[list[Any]], object]


def routing_key(query: Query[object]) -> str:
    """Return a key that is where a query is to be answered."""
    namespace: str | None = getattr(query, "namespace", None)
    return keys.NAMESPACES if namespace is None else keys.prefix(namespace)


def reading_of(query: Query[object], retention: Retention) -> Reading:
    """Return how a query is read."""
    return _READINGS[type(query)](query, retention)


def answer_of(reading: Reading, replies: Sequence[Reply]) -> object:
    """Return the answer, or in its place the error of a query that failed alone."""
    for reply in replies:
        if isinstance(reply, RedisError):
            return error_of(reply)
    try:
        return reading.answer(list(replies))
    except (ValueError, TypeError, KeyError) as error:
        return DefectError(f"the store holds what the script did not write: {error}")


def _get_levels(query: GetLevels, _: Retention) -> Reading:
    if not (query.names or query.min_revision):
        return Reading([], lambda _: [])
    levels = (keys.level(query.namespace, name) for name in query.names)
    if query.min_revision:
        return Reading([("MGET", keys.revision(query.namespace), *levels)], lambda replies: _reached(query, replies[0]))
    return Reading([("MGET", *levels)], lambda replies: _levels(query.names, replies[0]))


def _reached(query: GetLevels, texts: Sequence[bytes | None]) -> list[ReadLevel | None] | RevisionAheadError:
    revision = int(texts[0] or 0)
    if revision < query.min_revision:
        return RevisionAheadError(query.min_revision, revision, field="min_revision")
    return _levels(query.names, texts[1:])


def _snapshot(query: Snapshot, _: Retention) -> Reading:
    levels = (keys.level(query.namespace, name) for name in query.names)

    def answer(replies: list[Any]) -> SnapshotAnswer:
        revision, *texts = replies[0]
        return SnapshotAnswer(int(revision or 0), tuple(_levels(query.names, texts)))

    return Reading([("MGET", keys.revision(query.namespace), *levels)], answer)


def _list_names(query: ListNames, _: Retention) -> Reading:
    low, high = keys.listed_range(query)
    command = ("ZRANGE", keys.index(query.namespace, query.kind), low, high, "BYLEX", "LIMIT", 0, query.limit)
    return Reading([command], lambda replies: [keys.name_of_listed(query.kind, text) for text in replies[0]])


def _list_reservations(query: ListReservations, _: Retention) -> Reading:
    low, high = keys.reservation_range(query)
    index = keys.index(query.namespace, Kind.RESERVATION)
    command = ("ZRANGE", index, low, high, "BYLEX", "LIMIT", 0, query.limit)
    return Reading([command], lambda replies: [keys.listed_reservation_of(text) for text in replies[0]])


def _get_time(_: GetTime, __: Retention) -> Reading:
    return Reading([("TIME",)], lambda replies: time_ms_of(replies[0]))


def time_ms_of(reply: Reply) -> int:
    """Return what TIME replies as milliseconds since 1970."""
    seconds, microseconds = cast("list[bytes]", reply)
    return int(seconds) * 1_000 + int(microseconds) // 1_000


def _read_ledger(query: ReadLedger, _: Retention) -> Reading:
    ledger = keys.ledger(query.namespace)
    count = ("COUNT", query.scripts_max)
    if query.after is not None:
        after = query.after
        commands: list[Command] = [("XRANGE", ledger, f"(0-{after}", _LAST_ID, *count)]
        if after:  # the one before tells entries that are missing here from those that were trimmed
            commands.append(("XREVRANGE", ledger, f"0-{after}", _FIRST_ID, "COUNT", 1))
        return Reading(commands, lambda replies: _entries_after(after, *replies))
    if query.before is None:
        newest: Command = ("XREVRANGE", ledger, _LAST_ID, _FIRST_ID, *count)
        return Reading([newest], lambda replies: decode_stream(replies[0][::-1])[::-1])
    # A script's entries stand under its last revision: those before this one may be in a script that goes beyond it.
    before = query.before
    containing: Command = ("XRANGE", ledger, f"0-{before}", _LAST_ID, "COUNT", 1)
    earlier: Command = ("XREVRANGE", ledger, f"(0-{before}", _FIRST_ID, *count)

    def answer(replies: list[Any]) -> list[Entry]:
        entries = decode_stream([*replies[1][::-1], *replies[0]])
        return [entry for entry in reversed(entries) if entry.revision < before]

    return Reading([containing, earlier], answer)


def _entries_after(after: int, stream: StreamEntries, previous: StreamEntries = ()) -> list[Entry]:
    last = revision_of(previous[0][0]) if previous else None
    return [entry for entry in decode_stream(stream, after=last) if entry.revision > after]


def _find_stray_entry(query: FindStrayEntry, _: Retention) -> Reading:
    command = ("XRANGE", keys.ledger(query.namespace), _BEYOND_ID, "+", "COUNT", 1)
    return Reading([command], lambda replies: ascii(replies[0][0][0])[2:-1] if replies[0] else None)


def _list_namespaces(_: ListNamespaces, __: Retention) -> Reading:
    return Reading([("SMEMBERS", keys.NAMESPACES)], lambda replies: sorted(name.decode() for name in replies[0]))


def _count_namespace(query: CountNamespace, _: Retention) -> Reading:
    namespace = query.namespace
    commands: list[Command] = [
        ("GET", keys.revision(namespace)),
        ("XRANGE", keys.ledger(namespace), _FIRST_ID, _LAST_ID, "COUNT", 1),
        ("ZCARD", keys.index(namespace, Kind.STOCK)),
        ("ZCARD", keys.index(namespace, Kind.COUNTER)),
        ("ZCARD", keys.due(namespace)),
    ]

    def answer(replies: list[Any]) -> NamespaceCounts:
        revision, stream, *counts = replies
        entries = decode_stream(stream)
        return NamespaceCounts(
            int(revision or 0), entries[0].first_revision if entries else int(revision or 0) + 1, *counts
        )

    return Reading(commands, answer)


def _lookup_request(query: LookupRequest, retention: Retention) -> Reading:
    field = keys.request_record(query.request_id, query.part)
    buckets = [keys.request_bucket(query.namespace, bucket) for bucket in buckets_at(query.now_ms, retention)]
    return Reading([("HGET", bucket, field) for bucket in buckets], _record)


def _record(replies: list[Any]) -> RequestRecord | None:
    record = next((reply for reply in replies if reply is not None), None)
    if record is None:
        return None
    outcomes = record[FINGERPRINT_BYTES:].decode().split(OUTCOMES_JOINED_BY)
    total = int(outcomes.pop().removeprefix(NOTE)) if outcomes[-1].startswith(NOTE) else 0
    return RequestRecord(tuple(map(_recorded_outcome, outcomes)), total)


def _recorded_outcome(outcome: str) -> RecordedOutcome:
    status, revision, time_ms, *_ = outcome.partition(LEVELS_JOINED_BY)[0].split(" ")
    return RecordedOutcome(status, int(revision), int(time_ms))


def _levels(names: Sequence[LevelName], texts: Sequence[bytes | None]) -> list[ReadLevel | None]:
    return [None if text is None else read_level(name, text) for name, text in zip(names, texts, strict=True)]


_READINGS: Final[dict[type, Callable[[Any, Retention], Reading]]] = {
    GetLevels: _get_levels,
    Snapshot: _snapshot,
    ListNames: _list_names,
    ListReservations: _list_reservations,
    GetTime: _get_time,
    ReadLedger: _read_ledger,
    FindStrayEntry: _find_stray_entry,
    ListNamespaces: _list_namespaces,
    CountNamespace: _count_namespace,
    LookupRequest: _lookup_request,
}
