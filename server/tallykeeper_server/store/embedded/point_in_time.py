"""Cuts the append-only file of a copy before the first change that is later than a given time.

The times are those of the ledger: each script call that changes something appends an entry to a ledger, with the time
of its changes in milliseconds, and the append-only file has this command. So no setting of the store is needed. A cut
is always between two script calls, never within one. Changes before the snapshot that the file begins with cannot be
cut off.
"""

import mmap
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tallykeeper_server.store import keys
from tallykeeper_server.store.embedded.data_contents import look_into
from tallykeeper_server.store.embedded.data_format import FIRST_FORMAT, DataFormat, DataState, write_format
from tallykeeper_server.store.embedded.folders import open_file, opened_folder, replace_small_file
from tallykeeper_server.store.embedded.manifest import FOLDER, MANIFEST, Manifest

_COMMAND: Final = re.compile(rb"(?:#[^\n]*\n)*\*([0-9]{1,10})\r\n")
"""The beginning of a command, after annotations such as the times that a store can write."""
_ARGUMENT: Final = re.compile(rb"\$([0-9]{1,10})\r\n")
_TIME_FIELD: Final = b"time"
_TIME_INDEXES: Final = (3, 5, 6)
"""The index of the first field in XADD: after key and ID, and after the trimming without or with ``=``."""


@dataclass(slots=True)
class Cut:
    """The result of a cut."""

    last_ms: int | None = None
    """The time of the latest change in the append-only file that is kept; None if no change in it is kept."""
    next_ms: int | None = None
    """The time of the first change that is left out; None if nothing is left out."""
    left_out: int = 0
    """The number of changes that are left out."""
    earlier_left_out: int = 0
    """The number of these changes that are not later than the time: they follow a later change of another namespace."""


@dataclass(frozen=True, slots=True)
class _Appended:
    """An entry that a script call has appended to a ledger."""

    time_ms: int
    changes: int
    """The number of changes in the entry."""


def cut_after(draft: Path, until_ms: int) -> Cut:
    """Cut a complete copy before the first script call with a change that is later than ``until_ms``.

    If nothing is later, the copy stays as it is. Otherwise its format is written as the first one, because an upgrade
    of the data may be among what is cut off; the upgrades may be repeated.

    :raises DataDirError: the copy is damaged.
    :raises OSError: the copy cannot be read or written.
    """
    cut = Cut()
    with opened_folder(draft) as folder:
        contents = look_into(draft, folder)
        if contents.manifest is None:
            return cut
        place = None
        with opened_folder(FOLDER, within=folder) as files:
            for name in contents.manifest.appended:
                offset = _scan(files, name, until_ms, cut)
                if offset is not None:
                    place = name, offset
            if place is not None:
                _apply(files, contents.manifest, *place)
        if place is not None:
            record = contents.record or DataFormat()
            write_format(folder, replace(record, number=FIRST_FORMAT, state=DataState.READY, files={}))
    return cut


def _scan(files: int, name: str, until_ms: int, cut: Cut) -> int | None:
    """Count the changes of one file. Return the offset of the first later one, unless an earlier file has one."""
    descriptor = open_file(files, name)
    try:
        if not os.fstat(descriptor).st_size:
            return None
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as data:
            return _scan_data(data, until_ms, cut)
    finally:
        os.close(descriptor)


def _scan_data(data: mmap.mmap | bytes, until_ms: int, cut: Cut) -> int | None:
    found = None
    for begin, appended in _script_calls(data):
        if cut.next_ms is None and any(each.time_ms > until_ms for each in appended):
            found, cut.next_ms = begin, min(each.time_ms for each in appended if each.time_ms > until_ms)
        for each in appended:
            if cut.next_ms is None:
                cut.last_ms = max(cut.last_ms or 0, each.time_ms)
            else:
                cut.left_out += each.changes
                cut.earlier_left_out += each.changes if each.time_ms <= until_ms else 0
    return found


def _apply(files: int, manifest: Manifest, name: str, offset: int) -> None:
    """Cut a file, and remove the files after it."""
    later = manifest.appended[manifest.appended.index(name) + 1 :]
    replace_small_file(files, MANIFEST, manifest.text_without(later).encode())
    for each in later:
        os.unlink(each, dir_fd=files)
    descriptor = open_file(files, name, flags=os.O_RDWR)
    try:
        os.ftruncate(descriptor, offset)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _script_calls(data: mmap.mmap | bytes) -> Iterator[tuple[int, Sequence[_Appended]]]:
    """Yield the offset of each command, or of each transaction as a whole, and the entries that it appends to ledgers.

    Redis writes the effects of a script as a transaction, unless there is only one. Reading ends at a damage, and at a
    transaction without an end.
    """
    begin = at = 0
    in_transaction = False
    appended: list[_Appended] = []
    while (found := _command_at(data, at)) is not None:
        spans, at = found
        name = data[slice(*spans[0])].upper() if spans else b""
        if name == b"MULTI":
            in_transaction = True
        elif name == b"EXEC":
            in_transaction = False
        elif name == b"XADD":
            entry = _appended_by([data[slice(*span)] for span in spans])
            if entry is not None:
                appended.append(entry)
        if not in_transaction:
            yield begin, appended
            begin, appended = at, []


def _command_at(data: mmap.mmap | bytes, at: int) -> tuple[Sequence[tuple[int, int]], int] | None:
    """Return the positions of a command's arguments, and its end; None if no whole command is there."""
    head = _COMMAND.match(data, at)
    if head is None:
        return None
    at = head.end()
    spans = []
    for _ in range(int(head[1])):
        length = _ARGUMENT.match(data, at)
        if length is None:
            return None
        end = length.end() + int(length[1])
        spans.append((length.end(), end))
        at = end + 2
    return (spans, at) if at <= len(data) else None


def _appended_by(arguments: Sequence[bytes]) -> _Appended | None:
    """Return the entry that an XADD appends to a ledger; None if it is another stream, or not the script's."""
    if len(arguments) < 2 or not keys.is_ledger(arguments[1]):  # noqa: PLR2004  # the name and the key
        return None
    for index in _TIME_INDEXES:
        fields = arguments[index:]
        if fields[:1] == [_TIME_FIELD] and fields[1:2] and fields[1].isdigit():
            return _Appended(int(fields[1]), len(fields) // 2 - 1)
    return None
