"""Queries as commands, and answers out of the replies: one table with a row for each kind of query."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from hiredis import ReplyError

from tallykeeper_server.domain import limits
from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.errors import DefectError, RevisionAheadError
from tallykeeper_server.domain.levels import (
    DamagedLevel,
    LevelName,
    ReadLevel,
    Reservation,
    ReservationName,
    StockName,
    level_at,
)
from tallykeeper_server.domain.mutations import FINGERPRINT_BYTES
from tallykeeper_server.domain.queries import (
    CountNamespace,
    FindLevels,
    FindReservations,
    FindStrayEntry,
    FoundLevels,
    FoundRecord,
    FoundReservations,
    GetLevels,
    Kind,
    ListNames,
    ListReservations,
    LookupRequest,
    NamespaceCounts,
    PageTokenKey,
    Query,
    ReadLedger,
    ReadLevels,
    RecordedOutcome,
    RequestRecord,
    Snapshot,
    SnapshotAnswer,
)
from tallykeeper_server.store import keys
from tallykeeper_server.store.agreed_clock import AgreedClock, time_ms_of
from tallykeeper_server.store.nodes.commands import Command, Reply, error_of
from tallykeeper_server.store.read_scripts import script_command
from tallykeeper_server.store.script_codec import LEVELS_JOINED_BY, NOTE, OUTCOMES_JOINED_BY
from tallykeeper_server.store.stored_text import StreamEntries, decode_stream, read_level, revision_of

_FIRST_ID: Final = "0-1"
_LAST_ID: Final = f"0-{2**64 - 1}"
"""The script gives all IDs between these two."""
_BEYOND_ID: Final = "1-0"

_NAMES_LOOKED_AT_MAX: Final = 10_000
"""The most names of an index that one page looks at, to find those of one location."""
_RESERVATIONS_LOOKED_AT_MAX: Final = 5_000
"""The most reservations that one page looks at, to find those that pass its filter."""
_RESERVATION_BYTES_MAX: Final = 4 * 2**20
"""The approximate bytes of reservations that one page looks at. One with 100 lines has up to 20,000."""


@dataclass(frozen=True, slots=True)
class PlannedRead:
    """A query's commands, and the function that makes its answer out of the replies."""

    commands: Sequence[Command]
    answer: Callable[[list[Any]], object]


@dataclass(frozen=True, slots=True)
class OverNow:
    """An answer that shows a level whose time is up, before the store has recorded its end."""

    namespace: str
    answer: object


def routing_key(query: Query[object]) -> str:
    """Return a key by which the node is found that answers a query."""
    if isinstance(query, PageTokenKey):
        return keys.page_token_key()
    namespace: str = getattr(query, "namespace", "")
    return keys.prefix(namespace)


def planned_read_of(query: Query[object], clock: AgreedClock) -> PlannedRead:
    """Return the commands of a query; ``clock`` is the time of this process."""
    return _PLANS[type(query)](query, clock)


def answer_of(planned: PlannedRead, replies: Sequence[Reply]) -> object:
    """Return the answer to a query, or the error if this query failed alone."""
    for reply in replies:
        if isinstance(reply, ReplyError):
            return error_of(reply)
    try:
        return planned.answer(list(replies))
    except (ValueError, TypeError, KeyError) as error:
        return DefectError(f"the store holds data that the script did not write: {error}")


def _get_levels(query: GetLevels, clock: AgreedClock) -> PlannedRead:
    namespace = query.namespace
    levels = (keys.level(namespace, name) for name in query.names)
    get: Command = ("MGET", keys.revision(namespace), keys.clock(namespace), *levels)
    has_time = not all(isinstance(name, StockName) for name in query.names)

    def answer(replies: list[Any]) -> ReadLevels | RevisionAheadError | OverNow:
        revision_text, clock_text, *texts = replies[-1]
        revision = int(revision_text or 0)
        if revision < query.min_revision:
            return RevisionAheadError(query.min_revision, revision, field="min_revision")
        stored = _levels(query.names, texts)
        if not has_time:
            return ReadLevels(revision, stored)
        namespace_ms = keys.time_of_clock(clock_text)
        now_ms = clock.now_ms(time_ms_of(replies[0]), namespace=namespace, namespace_ms=namespace_ms)
        levels = _as_of(now_ms, stored)
        read = ReadLevels(revision, levels)
        return read if levels == stored else OverNow(namespace, read)

    return PlannedRead([("TIME",), get] if has_time else [get], answer)


def _as_of(now_ms: int, levels: Sequence[ReadLevel | None]) -> list[ReadLevel | None]:
    """Return levels as they are at a time."""
    return [None if level is None else level_at(level, now_ms) for level in levels]


def _find_levels(query: FindLevels, clock: AgreedClock) -> PlannedRead:
    kinds = list(dict.fromkeys(each.kind for each in query.ranges))
    script_keys = (
        keys.revision(query.namespace),
        keys.clock(query.namespace),
        *(keys.index(query.namespace, kind) for kind in kinds),
        *(keys.level(query.namespace, name) for name in query.names),
    )
    ranges: list[object] = []
    for each in query.ranges:
        low, high = keys.listed_range(each)
        key_index = 3 + kinds.index(each.kind)
        ranges += (key_index, keys.level_prefix(query.namespace, each.kind), low, high, each.location or "")
    looked_at_max = max(_NAMES_LOOKED_AT_MAX, query.levels_max + 1)
    arguments = (query.levels_max, looked_at_max, len(query.names), ranges, *clock.read_times(query.namespace))
    command = script_command("levels", script_keys, arguments)
    return PlannedRead([command], lambda replies: _found_levels(query, replies[0]))


def _found_levels(query: FindLevels, reply: list[Any]) -> FoundLevels | RevisionAheadError | OverNow:
    revision_text, time_ms, after, listed, texts = reply
    revision = int(revision_text or 0)
    if revision < query.min_revision:
        return RevisionAheadError(query.min_revision, revision, field="min_revision")
    kinds = [each.kind for each in query.ranges]
    names = [keys.name_of_listed(kind, text) for kind, own in zip(kinds, listed, strict=False) for text in own]
    stored = _levels((*names, *query.names), texts)
    levels = _as_of(time_ms, stored)
    # the range that was read last is the one that has a rest
    last = None if after is None else keys.name_of_listed(kinds[len(listed) - 1], after)
    found = FoundLevels(revision, tuple(level for level in levels if level is not None), last)
    return found if levels == stored else OverNow(query.namespace, found)


def _find_reservations(query: FindReservations, clock: AgreedClock) -> PlannedRead:
    low, high = keys.found_reservation_range(query)
    namespace = query.namespace
    script_keys = (keys.revision(namespace), keys.clock(namespace), keys.index(namespace, Kind.RESERVATION))
    arguments = (
        keys.level_prefix(namespace, Kind.RESERVATION),
        low,
        high,
        query.limit,
        limits.ANSWER_LINES_MAX,
        _RESERVATIONS_LOOKED_AT_MAX,
        _RESERVATION_BYTES_MAX,
        query.state.value if query.state else "",
        query.holder,
        query.item,
        *clock.read_times(namespace),
    )
    command = script_command("reservations", script_keys, arguments)
    return PlannedRead([command], lambda replies: _found_reservations(namespace, replies[0]))


def _found_reservations(namespace: str, reply: list[Any]) -> FoundReservations | OverNow:
    revision_text, time_ms, after, listed, texts = reply
    names = [ReservationName(keys.listed_reservation_of(text).reservation_id) for text in listed]
    stored = _levels(names, texts)
    levels = _as_of(time_ms, stored)
    last = None if after is None else keys.listed_reservation_of(after)
    reservations = cast("tuple[Reservation | DamagedLevel, ...]", tuple(levels))
    found = FoundReservations(int(revision_text or 0), reservations, last)
    return found if levels == stored else OverNow(namespace, found)


def _snapshot(query: Snapshot, _: AgreedClock) -> PlannedRead:
    levels = (keys.level(query.namespace, name) for name in query.names)

    def answer(replies: list[Any]) -> SnapshotAnswer:
        revision, clock_text, *texts = replies[0]
        return SnapshotAnswer(int(revision or 0), keys.time_of_clock(clock_text), tuple(_levels(query.names, texts)))

    return PlannedRead([("MGET", keys.revision(query.namespace), keys.clock(query.namespace), *levels)], answer)


def _list_names(query: ListNames, _: AgreedClock) -> PlannedRead:
    low, high = keys.listed_range(query)
    command = ("ZRANGE", keys.index(query.namespace, query.kind), low, high, "BYLEX", "LIMIT", 0, query.limit)
    return PlannedRead([command], lambda replies: [keys.name_of_listed(query.kind, text) for text in replies[0]])


def _list_reservations(query: ListReservations, _: AgreedClock) -> PlannedRead:
    low, high = keys.reservation_range(query)
    index = keys.index(query.namespace, Kind.RESERVATION)
    command = ("ZRANGE", index, low, high, "BYLEX", "LIMIT", 0, query.limit)
    return PlannedRead([command], lambda replies: [keys.listed_reservation_of(text) for text in replies[0]])


def _read_ledger(query: ReadLedger, _: AgreedClock) -> PlannedRead:
    ledger = keys.ledger(query.namespace)
    count = ("COUNT", query.scripts_max)
    if query.after is not None:
        after = query.after
        commands: list[Command] = [("XRANGE", ledger, f"(0-{after}", _LAST_ID, *count)]
        if after:  # the entry before shows whether entries are missing here or were trimmed
            commands.append(("XREVRANGE", ledger, f"0-{after}", _FIRST_ID, "COUNT", 1))
        return PlannedRead(
            commands, lambda replies: _entries_after(after, _up_to(query.entries_max, replies[0]), *replies[1:])
        )
    if query.before is None:
        newest: Command = ("XREVRANGE", ledger, _LAST_ID, _FIRST_ID, *count)
        return PlannedRead([newest], lambda replies: decode_stream(_up_to(query.entries_max, replies[0])[::-1])[::-1])
    # The ledger has a script's entries under its last revision. So the entries before this revision may belong to a
    # script that goes beyond it.
    before = query.before
    containing: Command = ("XRANGE", ledger, f"0-{before}", _LAST_ID, "COUNT", 1)
    earlier: Command = ("XREVRANGE", ledger, f"(0-{before}", _FIRST_ID, *count)

    def answer(replies: list[Any]) -> list[Entry]:
        entries = decode_stream([*_up_to(query.entries_max, replies[1])[::-1], *replies[0]])
        return [entry for entry in reversed(entries) if entry.revision < before]

    return PlannedRead([containing, earlier], answer)


def _up_to(entries_max: int | None, stream: StreamEntries) -> StreamEntries:
    """Return the first stream entries, through the one in which a number of entries is reached. None: return all."""
    if entries_max is None:
        return stream
    entries = 0
    for index, (_, fields) in enumerate(stream):
        entries += max(1, len(fields) // 2 - 1)  # the first field is the time
        if entries >= entries_max:
            return stream[: index + 1]
    return stream


def _entries_after(after: int, stream: StreamEntries, previous: StreamEntries = ()) -> list[Entry]:
    last = revision_of(previous[0][0]) if previous else None
    return [entry for entry in decode_stream(stream, after=last) if entry.revision > after]


def _find_stray_entry(query: FindStrayEntry, _: AgreedClock) -> PlannedRead:
    command = ("XRANGE", keys.ledger(query.namespace), _BEYOND_ID, "+", "COUNT", 1)
    return PlannedRead([command], lambda replies: ascii(replies[0][0][0])[2:-1] if replies[0] else None)


def _count_namespace(query: CountNamespace, clock: AgreedClock) -> PlannedRead:
    namespace = query.namespace
    script_keys = (
        keys.revision(namespace),
        keys.clock(namespace),
        keys.ledger(namespace),
        keys.index(namespace, Kind.STOCK),
        keys.index(namespace, Kind.COUNTER),
        keys.name_expiry(namespace, Kind.COUNTER),
        keys.due(namespace),
    )
    command = script_command("namespace", script_keys, clock.read_times(namespace))

    def answer(replies: list[Any]) -> NamespaceCounts | OverNow:
        revision_text, stream, over, *numbers = replies[0]
        revision = int(revision_text or 0)
        entries = decode_stream(stream)
        counts = NamespaceCounts(revision, entries[0].first_revision if entries else revision + 1, *numbers)
        return OverNow(namespace, counts) if over else counts

    return PlannedRead([command], answer)


def _page_token_key(query: PageTokenKey, _: AgreedClock) -> PlannedRead:
    key = keys.page_token_key()
    commands: list[Command] = [("GET", key)]
    if query.proposal is not None:
        commands.insert(0, ("SET", key, query.proposal, "NX"))

    def answer(replies: list[Any]) -> bytes | None:
        kept = cast("bytes | None", replies[-1])
        if kept is not None and len(kept) != limits.PAGE_TOKEN_KEY_BYTES:
            message = f"{key} has {len(kept)} bytes and not {limits.PAGE_TOKEN_KEY_BYTES}; delete it"
            raise ValueError(message)
        return kept

    return PlannedRead(commands, answer)


def _lookup_request(query: LookupRequest, _: AgreedClock) -> PlannedRead:
    namespace = query.namespace
    buckets = (keys.request_bucket(namespace, bucket) for bucket in range(keys.REQUEST_BUCKETS))
    field = keys.request_record(query.request_id, query.part)
    command = script_command("request", (keys.revision(namespace), *buckets), (field,))
    return PlannedRead([command], lambda replies: _found_record(*replies[0]))


def _found_record(revision_text: bytes | None, record: bytes | None) -> FoundRecord:
    return FoundRecord(int(revision_text or 0), None if record is None else _record(record))


def _record(record: bytes) -> RequestRecord:
    outcomes = record[FINGERPRINT_BYTES:].decode().split(OUTCOMES_JOINED_BY)
    total = int(outcomes.pop().removeprefix(NOTE)) if outcomes[-1].startswith(NOTE) else 0
    return RequestRecord(tuple(map(_recorded_outcome, outcomes)), total)


def _recorded_outcome(outcome: str) -> RecordedOutcome:
    status, revision, time_ms, *_ = outcome.partition(LEVELS_JOINED_BY)[0].split(" ")
    return RecordedOutcome(status, int(revision), int(time_ms))


def _levels(names: Sequence[LevelName], texts: Sequence[bytes | None]) -> list[ReadLevel | None]:
    return [None if text is None else read_level(name, text) for name, text in zip(names, texts, strict=True)]


_PLANS: Final[dict[type, Callable[[Any, AgreedClock], PlannedRead]]] = {
    GetLevels: _get_levels,
    FindLevels: _find_levels,
    FindReservations: _find_reservations,
    Snapshot: _snapshot,
    ListNames: _list_names,
    ListReservations: _list_reservations,
    ReadLedger: _read_ledger,
    FindStrayEntry: _find_stray_entry,
    PageTokenKey: _page_token_key,
    CountNamespace: _count_namespace,
    LookupRequest: _lookup_request,
}
