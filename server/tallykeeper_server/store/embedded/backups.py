"""Copies the embedded store's data into a new directory or into a stream, while a server runs or while none does."""

import errno
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.embedded.archives import ArchiveWriter
from tallykeeper_server.store.embedded.data_format import (
    FORMAT_FILE,
    DataFormat,
    DataState,
    FormatError,
    format_text,
    read_format,
    write_format,
)
from tallykeeper_server.store.embedded.folders import opened_folder
from tallykeeper_server.store.embedded.manifest import FOLDER, MANIFEST, ManifestError
from tallykeeper_server.store.embedded.snapshots import (
    Snapshot,
    copy_files,
    give_file_to_owner,
    give_to_owner,
    is_locked,
    snapshot_of,
)

STREAM: Final = "standard output"
"""The name of the stream in messages."""


class BackupError(TallyError):
    """No copy could be made. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was made."""

    to: str
    """The name of the directory, or of the stream."""
    size: int
    """The size of the copied files in bytes."""
    online: bool
    """Whether a server was running."""


def back_up(data_dir: Path, to: Path) -> Backup:
    """Copy the data of an embedded store into a new directory, from which a server can then be started.

    The copy holds every change that was acknowledged before it began, and may hold changes that were made during it.
    Until it is complete, its ``format.json`` says so, and no server starts on it. If the copy fails, it is removed.

    :raises BackupError: there is nothing to copy, the data is damaged, or the directory exists or cannot be written.
    """
    _check_target(to)
    try:
        with opened_folder(data_dir) as source, snapshot_of(data_dir, source) as snapshot:
            online = is_locked(source)
            size = _write(snapshot, to, source)
    except (OSError, TallyError, ManifestError, FormatError) as error:
        message = f"{data_dir} was not copied to {to}: {_reason_of(error)}"
        raise BackupError(message) from error
    return Backup(str(to), size, online)


def back_up_to_stream(data_dir: Path, descriptor: int) -> Backup:
    """Write the data of an embedded store as a tar stream to an open file. It holds the same changes as ``back_up``'s.

    The stream begins with a ``format.json`` that says that the copy is incomplete, and ends with one that lists the
    size and the checksum of each file. So a stream that was cut short is refused, also after tar has unpacked it.

    :raises BackupError: there is nothing to copy, the data is damaged, or the stream cannot be written.
    """
    written = 0

    def write(data: bytes) -> None:
        nonlocal written
        rest = memoryview(data)
        while rest:
            count = os.write(descriptor, rest)
            written, rest = written + count, rest[count:]

    try:
        is_file = stat.S_ISREG(
            os.fstat(descriptor).st_mode
        )  # fails before another file gets the number of a closed file
        with opened_folder(data_dir) as source, snapshot_of(data_dir, source) as snapshot:
            online = is_locked(source)
            size = _write_stream(snapshot, ArchiveWriter(write, os.fstat(source)))
            if is_file:
                os.fsync(descriptor)
    except (OSError, TallyError, ManifestError, FormatError) as error:
        left = isinstance(error, OSError) and error.errno == errno.EPIPE
        reason = "its reader left before the end" if left else _reason_of(error)
        incomplete = f"; the {written} bytes that were written are no backup" if written else ""
        message = f"{data_dir} was not copied to {STREAM}: {reason}{incomplete}"
        raise BackupError(message) from error
    return Backup(STREAM, size, online)


def _reason_of(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return error.message if isinstance(error, TallyError) else str(error)


def _check_target(to: Path) -> None:
    """Return if the path of the copy is free.

    :raises BackupError: it is not.
    """
    if not os.path.lexists(to):
        return
    with suppress(OSError, FormatError), opened_folder(to) as folder:
        record = read_format(folder)
        if record is not None and record.state is DataState.COPYING:
            message = f"{to} is the incomplete copy of a backup that was interrupted, or still runs; remove it first"
            raise BackupError(message)
    message = f"{to} cannot be made: File exists; name a directory that does not exist yet"
    raise BackupError(message)


def _write(snapshot: Snapshot, to: Path, source: int) -> int:
    """Write the copy, and last the mark that it is complete. Return its size in bytes.

    :raises OSError: the copy cannot be written. Then nothing is left of it.
    """
    draft = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
    try:
        with opened_folder(draft) as target:
            give_to_owner(target, source)
            incomplete = _incomplete(snapshot)
            write_format(target, incomplete)
            # The directory gets its name with this mark in it, so that no state of the copy looks like an empty
            # directory.
            draft.rename(to)
            sums = copy_files(snapshot, target, source)
            write_format(target, replace(incomplete, state=DataState.COPIED, files=sums))
            give_file_to_owner(target, FORMAT_FILE, source)
            with opened_folder(to.parent) as parent:
                os.fsync(parent)
    except BaseException:
        with suppress(OSError):
            to.rename(draft)  # the name is removed first, so that no state of the removal looks like an empty directory
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return sum(file.size for file in sums.values())


def _write_stream(snapshot: Snapshot, archive: ArchiveWriter) -> int:
    """Write the stream, and last the mark that it is complete. Return the size of the files in bytes."""
    incomplete = _incomplete(snapshot)
    archive.add_small(FORMAT_FILE, format_text(incomplete))
    archive.add_folder(FOLDER)
    archive.add_small(f"{FOLDER}/{MANIFEST}", snapshot.manifest.text.encode())
    sums = {
        name: archive.add_file(f"{FOLDER}/{name}", descriptor, size)
        for name, (descriptor, size) in snapshot.files.items()
    }
    archive.add_small(FORMAT_FILE, format_text(replace(incomplete, state=DataState.COPIED, files=sums)))
    archive.end()
    return sum(file.size for file in sums.values())


def _incomplete(snapshot: Snapshot) -> DataFormat:
    return replace(snapshot.record, state=DataState.COPYING, files={})
