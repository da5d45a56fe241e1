"""How entries are written in the ledger. The head of driver/prefetch.lua says the same.

Nothing here fails on what the script did not write: a mark that says what is wrong stands in its place, so that it
keeps nobody from what comes before and after it.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, TypeAlias, cast

from tallykeeper_lua import operation_names
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.entries import (
    Crossing,
    Entry,
    EntryLine,
    damaged_entry,
    missing_entries,
)
from tallykeeper_server.domain.levels import Counter, Reservation, ReservationName, StockLevel
from tallykeeper_server.store import keys
from tallykeeper_server.store.stored_text import decode_level, integer_of, time_ms_of

StreamEntries: TypeAlias = Sequence[tuple[bytes, list[bytes]]]

_STREAM_ID: Final = re.compile(rb"0-([1-9][0-9]{0,15})")
_HEAD_FIELDS: Final = 5
_LINE_FIELDS: Final = 3
_CHANGE_MAX: Final = 2 * limits.INTEGER_MAX
_CROSSINGS: Final = {crossing.value: crossing for crossing in Crossing}


def decode_stream(stream: StreamEntries, *, after: int | None = None) -> list[Entry]:
    """Return the entries of some of the ledger's stream entries that follow each other, in their order.

    Marks stand for what is damaged, and for revisions that are missing between two stream entries or, if a stream
    entry before them ends at revision ``after``, behind that one.
    """
    entries: list[Entry] = []
    for stream_id, fields in stream:
        last = revision_of(stream_id)
        if last is None:
            continue  # it has no revision; the audit tells of it
        found = _decode_script(last, fields)
        if after is not None and found[0].first_revision > after + 1:
            entries.append(missing_entries(after + 1, found[0].first_revision - 1))
        entries += [entry for entry in found if after is None or entry.revision > after or not entry.damage]
        after = last
    return entries


def revision_of(stream_id: bytes) -> int | None:
    """Return the last revision of a stream entry; None if its ID is none that the script gives."""
    found = _STREAM_ID.fullmatch(stream_id)
    return int(found[1]) if found else None


def _decode_script(last: int, fields: list[bytes]) -> list[Entry]:
    """Return the entries of one script, whose last revision is known: at least one."""
    stream_id, time_ms, damage = f"0-{last}", 0, ""
    texts = fields
    if fields[0] == b"time":
        texts = fields[2:]
    try:
        time_ms = time_ms_of(_time_of(fields))
    except ValueError as error:
        damage = f"the time of the entry cannot be read: {error}"
    entries: list[Entry] = []
    expected = last
    for revision_text, text in zip(texts[-2::-2], texts[::-2], strict=True):
        if expected < 1:
            break
        revision = _stated_revision(revision_text, expected)
        if revision is None:
            entries.append(
                damaged_entry(expected, "its field does not say its revision", stream_id=stream_id, time_ms=time_ms)
            )
        else:
            if revision < expected:
                entries.append(missing_entries(revision + 1, expected))
            entries.append(_decode_entry(revision, time_ms, text, damage, stream_id))
        expected = entries[-1].revision - 1
    if not entries:
        entries.append(damaged_entry(last, "it has no revision", stream_id=stream_id, time_ms=time_ms))
    return entries[::-1]


def _time_of(fields: list[bytes]) -> str:
    if fields[0] != b"time":
        message = "there is none"
        raise ValueError(message)
    return fields[1].decode("ascii")


def _stated_revision(text: bytes, most: int) -> int | None:
    """Return the revision that a field names, if it is one that can stand there."""
    try:
        revision = integer_of(text.decode("ascii"))
    except ValueError:
        return None
    return revision if 1 <= revision <= most else None


@cache
def _operations() -> frozenset[str]:
    """Return the operations that an entry can be of."""
    return operation_names()


def _decode_entry(revision: int, time_ms: int, raw: bytes, damage: str, stream_id: str) -> Entry:
    """Return an entry with all of it that can be read; ``damage`` is what is wrong besides its text."""
    faults = [damage] if damage else []
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return damaged_entry(revision, "; ".join([*faults, "it is not UTF-8"]), stream_id=stream_id, time_ms=time_ms)
    head = text.split("\t", _HEAD_FIELDS)
    if len(head) <= _HEAD_FIELDS:
        faults.append(f"it has {len(head)} fields, and an entry has more than {_HEAD_FIELDS}")
        return damaged_entry(revision, "; ".join(faults), stream_id=stream_id, time_ms=time_ms)
    operation, request_id, reason, reference, identity, rest = head
    if operation not in _operations():
        faults.append("its operation is not known")
        operation = ""
    lines: list[EntryLine] = []
    reservation: Reservation | None = None
    try:
        lines, reservation = _decode_lines(rest.split("\t"))
    except ValueError as error:
        faults.append(str(error))
    return Entry(
        revision=revision,
        commit_time_ms=time_ms,
        operation=operation,
        request_id=request_id,
        reason=reason,
        reference=reference,
        identity=identity,
        lines=tuple(lines),
        reservation=reservation,
        damage="; ".join(faults),
        stream_id=stream_id if faults else "",
    )


def _decode_lines(fields: list[str]) -> tuple[list[EntryLine], Reservation | None]:
    """Return the lines of an entry, and the reservation that it is about.

    :raises ValueError: the script did not write them.
    """
    if len(fields) % _LINE_FIELDS:
        message = f"its lines have {len(fields)} fields, and each has {_LINE_FIELDS}"
        raise ValueError(message)
    lines: list[EntryLine] = []
    reservation: Reservation | None = None
    for suffix, changes, after in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        name = keys.name_of_suffix(suffix)
        level = decode_level(name, after) if after else None
        if isinstance(name, ReservationName):
            reservation = cast("Reservation", level)
            continue
        change, _, more = changes.partition(",")
        reserved_change, _, crossings = more.partition(",")
        lines.append(
            EntryLine(
                name,
                integer_of(change, _CHANGE_MAX),
                integer_of(reserved_change or "0", _CHANGE_MAX),
                tuple(_crossings_of(crossings)),
                cast("Counter | StockLevel | None", level),
            )
        )
    return lines, reservation


def _crossings_of(letters: str) -> Iterable[Crossing]:
    if not _CROSSINGS.keys() >= set(letters):
        message = "a line of it crossed what is not known"
        raise ValueError(message)
    return map(_CROSSINGS.__getitem__, letters)
