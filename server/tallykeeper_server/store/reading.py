"""Queries as commands, and what the replies mean: one table, a row for each kind of query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from redis.exceptions import RedisError

from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.errors import DefectError, RevisionAheadError
from tallykeeper_server.domain.levels import Level, LevelName, StockName, level_at
from tallykeeper_server.domain.mutations import FINGERPRINT_BYTES
from tallykeeper_server.domain.queries import (
    CountNamespace,
    GetLevels,
    Kind,
    ListNames,
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
from tallykeeper_server.store import keys
from tallykeeper_server.store.agreed_clock import AgreedClock, time_ms_of
from tallykeeper_server.store.batch import LEVELS_JOINED_BY, NOTE, OUTCOMES_JOINED_BY
from tallykeeper_server.store.connection import Command, Reply, error_of
from tallykeeper_server.store.entry_text import decode_script
from tallykeeper_server.store.level_text import decode_level

StreamEntries: TypeAlias = list[tuple[bytes, list[bytes]]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A query on its way: its commands, and what makes its answer of their replies."""

    commands: Sequence[Command]
    answer: Callable[[list[Any]], object]


@dataclass(frozen=True, slots=True)
class OverNow:
    """An answer that shows a level whose time is up, before the store has recorded that."""

    namespace: str
    answer: object


def routing_key(query: Query[object]) -> str:
    """Return a key that is where a query is to be answered."""
    namespace: str = getattr(query, "namespace", "")
    return keys.prefix(namespace)


def reading_of(query: Query[object], clock: AgreedClock) -> Reading:
    """Return the commands of a query; ``clock`` is the time of this process."""
    return _READINGS[type(query)](query, clock)


def answer_of(reading: Reading, replies: Sequence[Reply]) -> object:
    """Return the answer, or in its place the error of a query that failed alone."""
    for reply in replies:
        if isinstance(reply, RedisError):
            return error_of(reply)
    try:
        return reading.answer(list(replies))
    except (ValueError, TypeError, KeyError) as error:
        return DefectError(f"the store holds what the script did not write: {error}")


def decode_stream(stream: StreamEntries) -> list[Entry]:
    """Return the entries of a ledger's stream entries, in their order.

    :raises ValueError: the script did not write them.
    """
    return [entry for _, fields in stream for entry in decode_script(fields)]


def _get_levels(query: GetLevels, clock: AgreedClock) -> Reading:
    if not (query.names or query.min_revision):
        return Reading([], lambda _: [])
    namespace = query.namespace
    levels = (keys.level(namespace, name) for name in query.names)
    get: Command = ("MGET", keys.revision(namespace), keys.clock(namespace), *levels)
    has_time = not all(isinstance(name, StockName) for name in query.names)

    def answer(replies: list[Any]) -> list[Level | None] | RevisionAheadError | OverNow:
        revision_text, clock_text, *texts = replies[-1]
        revision = int(revision_text or 0)
        if revision < query.min_revision:
            return RevisionAheadError(query.min_revision, revision, field="min_revision")
        levels = _levels(query.names, texts)
        if not has_time:
            return levels
        namespace_ms = keys.time_of_clock(clock_text)
        return _as_of(
            clock.now_ms(time_ms_of(replies[0]), namespace=namespace, namespace_ms=namespace_ms), namespace, levels
        )

    return Reading([("TIME",), get] if has_time else [get], answer)


def _as_of(now_ms: int, namespace: str, levels: Sequence[Level | None]) -> list[Level | None] | OverNow:
    """Return levels as they are at a time, marked if the store has yet to record that the time of one is up."""
    now: list[Level | None] = [None if level is None else level_at(level, now_ms) for level in levels]
    return now if now == levels else OverNow(namespace, now)


def _snapshot(query: Snapshot, _: AgreedClock) -> Reading:
    levels = (keys.level(query.namespace, name) for name in query.names)

    def answer(replies: list[Any]) -> SnapshotAnswer:
        revision, clock_text, *texts = replies[0]
        return SnapshotAnswer(int(revision or 0), keys.time_of_clock(clock_text), tuple(_levels(query.names, texts)))

    return Reading([("MGET", keys.revision(query.namespace), keys.clock(query.namespace), *levels)], answer)


def _list_names(query: ListNames, _: AgreedClock) -> Reading:
    low, high = keys.listed_range(query)
    command = ("ZRANGE", keys.index(query.namespace, query.kind), low, high, "BYLEX", "LIMIT", 0, query.limit)
    return Reading([command], lambda replies: [keys.name_of_listed(query.kind, text) for text in replies[0]])


def _list_reservations(query: ListReservations, _: AgreedClock) -> Reading:
    low, high = keys.reservation_range(query)
    index = keys.index(query.namespace, Kind.RESERVATION)
    command = ("ZRANGE", index, low, high, "BYLEX", "LIMIT", 0, query.limit)
    return Reading([command], lambda replies: [keys.listed_reservation_of(text) for text in replies[0]])


def _read_ledger(query: ReadLedger, _: AgreedClock) -> Reading:
    ledger = keys.ledger(query.namespace)
    count = ("COUNT", query.scripts_max)
    if query.after is not None:
        after = query.after
        command: Command = ("XRANGE", ledger, f"(0-{after}", "+", *count)
        return Reading([command], lambda replies: [e for e in decode_stream(replies[0]) if e.revision > after])
    if query.before is None:
        return Reading([("XREVRANGE", ledger, "+", "-", *count)], lambda replies: decode_stream(replies[0][::-1])[::-1])
    # A script's entries stand under its last revision: those before this one may be in a script that goes beyond it.
    before = query.before
    containing: Command = ("XRANGE", ledger, f"0-{before}", "+", "COUNT", 1)
    earlier: Command = ("XREVRANGE", ledger, f"(0-{before}", "-", *count)

    def answer(replies: list[Any]) -> list[Entry]:
        entries = [*decode_stream(replies[1][::-1]), *decode_stream(replies[0])]
        return [entry for entry in reversed(entries) if entry.revision < before]

    return Reading([containing, earlier], answer)


def _count_namespace(query: CountNamespace, _: AgreedClock) -> Reading:
    namespace = query.namespace
    commands: list[Command] = [
        ("GET", keys.revision(namespace)),
        ("XRANGE", keys.ledger(namespace), "-", "+", "COUNT", 1),
        ("ZCARD", keys.index(namespace, Kind.STOCK)),
        ("ZCARD", keys.index(namespace, Kind.COUNTER)),
        ("ZCARD", keys.due(namespace)),
    ]

    def answer(replies: list[Any]) -> NamespaceCounts:
        revision, stream, *counts = replies
        entries = decode_stream(stream)
        return NamespaceCounts(int(revision or 0), entries[0].revision if entries else int(revision or 0) + 1, *counts)

    return Reading(commands, answer)


def _lookup_request(query: LookupRequest, _: AgreedClock) -> Reading:
    field = keys.request_record(query.request_id, query.part)
    buckets = [keys.request_bucket(query.namespace, bucket) for bucket in range(keys.REQUEST_BUCKETS)]
    # A record that is moved into another bucket meanwhile is met there by the second look.
    return Reading([("HGET", bucket, field) for bucket in (*buckets, *buckets[:-1])], _record)


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


def _levels(names: Sequence[LevelName], texts: Sequence[bytes | None]) -> list[Level | None]:
    return [
        None if text is None else decode_level(name, text.decode()) for name, text in zip(names, texts, strict=True)
    ]


_READINGS: Final[dict[type, Callable[[Any, AgreedClock], Reading]]] = {
    GetLevels: _get_levels,
    Snapshot: _snapshot,
    ListNames: _list_names,
    ListReservations: _list_reservations,
    ReadLedger: _read_ledger,
    CountNamespace: _count_namespace,
    LookupRequest: _lookup_request,
}
