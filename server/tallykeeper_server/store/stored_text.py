"""The texts of the store: decodes levels, and the entries of the ledger.

The files of each kind of level describe its text in Lua, and the head of driver/prefetch.lua describes that of an
entry. Decoding never fails for entries that the script did not write: a mark with the fault stands in place of such an
entry, so that the entries before and after it can be read.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
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
from tallykeeper_server.domain.levels import (
    Counter,
    DamagedLevel,
    Level,
    LevelName,
    ReadLevel,
    Reservation,
    ReservationLine,
    ReservationName,
    ReservationState,
    StockLevel,
    StockName,
)
from tallykeeper_server.store import keys

StreamEntries: TypeAlias = Sequence[tuple[bytes, list[bytes]]]
"""Stream entries as XRANGE returns them: the ID of each, and its fields and their values."""

_ABSENT: Final = "-"
_STOCK_FIELDS: Final = 5
_COUNTER_FIELDS: Final = 4
_RESERVATION_FIELDS: Final = 5
_LINE_FIELDS: Final = 3
"""The fields of a line of a reservation, and of a line of an entry."""
_DIGITS_MAX: Final = 17
_STREAM_ID: Final = re.compile(rb"0-([1-9][0-9]{0,15})")
_ENTRY_FIELDS: Final = 5
_CHANGE_MAX: Final = 2 * limits.INTEGER_MAX
_CROSSINGS: Final = {crossing.value: crossing for crossing in Crossing}
_TIME_MS_MAX: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: protobuf's timestamps end there."""


def integer_of(text: str, most: int = limits.INTEGER_MAX) -> int:
    """Return the integer that a text is, in decimal digits and from ``-most`` to ``most``.

    :raises ValueError: the text is no such integer. Python's own ``int`` would take "1_0" and " 1" too.
    """
    digits = text.removeprefix("-")
    if not (digits.isdigit() and digits.isascii() and len(digits) <= _DIGITS_MAX and int(digits) <= most):
        message = f"a number in it is not an integer from -{most} to {most}"
        raise ValueError(message)
    return int(text)


def time_ms_of(text: str) -> int:
    """Return the time that a text is, in milliseconds since 1970.

    :raises ValueError: the text is not a time before the year 10000.
    """
    value = integer_of(text)
    if not 0 <= value <= _TIME_MS_MAX:
        message = "a time in it is not in milliseconds from 1970 to the year 9999"
        raise ValueError(message)
    return value


def read_level(name: LevelName, text: bytes) -> ReadLevel:
    """Return the level that a stored text holds, or a damaged level with the fault, which shows nothing of the text."""
    try:
        return decode_level(name, text.decode())
    except UnicodeDecodeError:
        return DamagedLevel(name, "it is not UTF-8")
    except ValueError as error:
        return DamagedLevel(name, str(error))


def decode_level(name: LevelName, text: str) -> Level:
    """Return the level that a text describes.

    :raises ValueError: the script did not write the text.
    """
    if isinstance(name, StockName):
        if " " not in text:
            return tuple.__new__(
                StockLevel, (name, integer_of(text), 0, 0, 0, 0)
            )  # its own constructor takes twice as long
        fields = text.split(" ")
        _check_count(fields, _STOCK_FIELDS)
        return StockLevel(name, *map(integer_of, fields))
    if isinstance(name, ReservationName):
        return _decode_reservation(name, text)
    if " " not in text:
        return Counter(name, integer_of(text))
    fields = text.split(" ")
    _check_count(fields, _COUNTER_FIELDS)
    value, least, most, expire_at = fields
    return Counter(name, integer_of(value), _optional(least), _optional(most), _optional_time(expire_at))


def _check_count(fields: list[str], whole: int) -> None:
    if len(fields) != whole:
        message = f"a level has 1 or {whole} fields, and not {len(fields)}"
        raise ValueError(message)


def _decode_reservation(name: ReservationName, text: str) -> Reservation:
    """Decode the text of a reservation, with its lines or, as in the ledger, without."""
    head, *lines = text.split("\t")
    fields = head.split(" ", _RESERVATION_FIELDS - 1)
    if len(fields) != _RESERVATION_FIELDS or len(lines) % _LINE_FIELDS:
        message = f"a reservation has {_RESERVATION_FIELDS} fields and {_LINE_FIELDS} for each line"
        raise ValueError(message)
    state, created_at, expire_at, resolved_at, holder = fields
    if state not in ReservationState.__members__:
        message = "its state is not one that a reservation can have"
        raise ValueError(message)
    return Reservation(
        name,
        ReservationState(state),
        time_ms_of(created_at),
        time_ms_of(expire_at),
        _optional_time(resolved_at),
        holder,
        tuple(_lines_of(lines)),
    )


def _lines_of(fields: list[str]) -> Iterator[ReservationLine]:
    for suffix, copies, committed in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        name = keys.name_of_suffix(suffix)
        if not isinstance(name, StockName):
            message = "a line of it does not name a stock level"
            raise ValueError(message)  # noqa: TRY004  # the text is wrong, and no argument's type
        yield ReservationLine(name, integer_of(copies), integer_of(committed))


def _optional(field: str) -> int | None:
    return None if field == _ABSENT else integer_of(field)


def _optional_time(field: str) -> int | None:
    return None if field == _ABSENT else time_ms_of(field)


def decode_stream(stream: StreamEntries, *, after: int | None = None) -> list[Entry]:
    """Return the entries in consecutive stream entries of a ledger, in their order.

    Marks stand in place of damaged entries and of missing revisions: those between two stream entries, and those after
    the revision ``after``, at which the stream entry before them ended.
    """
    entries: list[Entry] = []
    for stream_id, fields in stream:
        last = revision_of(stream_id)
        if last is None:
            continue  # it has no revision; the audit reports it
        found = _decode_script(last, fields)
        if after is not None and found[0].first_revision > after + 1:
            entries.append(missing_entries(after + 1, found[0].first_revision - 1))
        entries += [entry for entry in found if after is None or entry.revision > after or not entry.damage]
        after = last
    return entries


def revision_of(stream_id: bytes) -> int | None:
    """Return the last revision of a stream entry; None if the script cannot have written its ID."""
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
    """Return the revision that a field names, if that revision is possible there."""
    try:
        revision = integer_of(text.decode("ascii"))
    except ValueError:
        return None
    return revision if 1 <= revision <= most else None


@cache
def _operations() -> frozenset[str]:
    """Return the operations that an entry can have."""
    return operation_names()


def _decode_entry(revision: int, time_ms: int, raw: bytes, damage: str, stream_id: str) -> Entry:
    """Return an entry with all of it that can be read; ``damage`` is a fault outside its text."""
    faults = [damage] if damage else []
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return damaged_entry(revision, "; ".join([*faults, "it is not UTF-8"]), stream_id=stream_id, time_ms=time_ms)
    head = text.split("\t", _ENTRY_FIELDS)
    if len(head) <= _ENTRY_FIELDS:
        faults.append(f"it has {len(head)} fields, and an entry has more than {_ENTRY_FIELDS}")
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
    """Return the lines of an entry, and the reservation that the entry is about.

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
        message = "a line of it has a crossing that is not known"
        raise ValueError(message)
    return map(_CROSSINGS.__getitem__, letters)
