"""Copies the embedded store's data, while a server runs or while none does.

A copy changes nothing in the store. It holds the files open that one manifest names, so that it loses nothing if a
rewrite replaces them. Each file is copied up to the size that it had when all were open.
"""

import fcntl
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.embedded.data_contents import look_into
from tallykeeper_server.store.embedded.data_dir import DataDirError
from tallykeeper_server.store.embedded.data_format import (
    FORMAT_FILE,
    CopiedFile,
    DataFormat,
    DataState,
    FormatError,
    read_format,
    write_format,
)
from tallykeeper_server.store.embedded.folders import open_file, opened_folder, read_small_file, replace_small_file
from tallykeeper_server.store.embedded.manifest import FOLDER, MANIFEST, Manifest, ManifestError, parse_manifest

_CHUNK_BYTES: Final = 1 << 20
_ATTEMPTS: Final = 200
_PAUSE_SECONDS: Final = 0.02


class BackupError(TallyError):
    """No copy could be made. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was made."""

    folder: Path
    size: int
    """The size of the copy in bytes."""
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
        with opened_folder(data_dir) as source, _snapshot_of(data_dir, source) as snapshot:
            online = _is_locked(source)
            size = _write(snapshot, to, source)
    except (OSError, TallyError, ManifestError, FormatError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        reason = error.message if isinstance(error, TallyError) else reason
        message = f"{data_dir} was not copied to {to}: {reason}"
        raise BackupError(message) from error
    return Backup(to, size, online)


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


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Files that held all data at one moment, open."""

    record: DataFormat
    manifest: Manifest
    files: Mapping[str, tuple[int, int]]
    """The descriptor and the size of each."""


@contextmanager
def _snapshot_of(data_dir: Path, source: int) -> Iterator[_Snapshot]:
    """Open the files of the data. Look again if a rewrite replaces them at the same time.

    :raises BackupError: there are no files, or they are replaced all the time.
    :raises DataDirError: the directory is damaged.
    :raises OSError: the files cannot be read.
    """
    before: bytes | None = None
    for _ in range(_ATTEMPTS):
        text = _manifest_text(source)
        if text is None or text == before:
            look_into(data_dir, source)  # says what is wrong with it
        if text is None:
            message = f"it holds no data of an embedded store: there is no {FOLDER}/{MANIFEST}"
            raise BackupError(message)
        before = text
        with ExitStack() as stack:
            snapshot = _opened(data_dir, source, stack)
            if snapshot is not None:
                yield snapshot
                return
        time.sleep(_PAUSE_SECONDS)
    message = f"its store replaced its files {_ATTEMPTS} times while they were opened"
    raise BackupError(message)


def _opened(data_dir: Path, source: int, stack: ExitStack) -> _Snapshot | None:
    """Open the files of the data. Return None if the manifest changed, or does not fit the files."""
    before = read_format(source), _manifest_text(source)
    with suppress(DataDirError):
        contents = look_into(data_dir, source)
        if contents.manifest is None:
            return None
        files = stack.enter_context(opened_folder(FOLDER, within=source))
        opened = {}
        for name in contents.manifest.files:
            try:
                descriptor = open_file(files, name)
            except FileNotFoundError:
                return None
            stack.callback(os.close, descriptor)
            opened[name] = descriptor
        sizes = {name: (descriptor, os.fstat(descriptor).st_size) for name, descriptor in opened.items()}
        if (read_format(source), _manifest_text(source)) == before and before[1] is not None:
            record = contents.record or DataFormat(number=contents.number)
            return _Snapshot(record, parse_manifest(before[1]), sizes)
    return None


def _manifest_text(source: int) -> bytes | None:
    try:
        with opened_folder(FOLDER, within=source) as files:
            return read_small_file(files, MANIFEST)
    except FileNotFoundError:
        return None


def _write(snapshot: _Snapshot, to: Path, source: int) -> int:
    """Write the copy, and last the mark that it is complete. Return its size in bytes.

    :raises OSError: the copy cannot be written. Then nothing is left of it.
    """
    draft = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
    try:
        with opened_folder(draft) as target:
            _give_to_owner(target, source)
            incomplete = replace(snapshot.record, state=DataState.COPYING, files={})
            write_format(target, incomplete)
            # The directory gets its name with this mark in it, so that no state of the copy looks like an empty
            # directory.
            draft.rename(to)
            sums = _copy(snapshot, target, source)
            write_format(target, replace(incomplete, state=DataState.COPIED, files=sums))
            _give_file_to_owner(target, FORMAT_FILE, source)
            with opened_folder(to.parent) as parent:
                os.fsync(parent)
    except BaseException:
        with suppress(OSError):
            to.rename(draft)  # the name goes first, so that no state of the removal looks like an empty directory
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return sum(file.size for file in sums.values())


def _copy(snapshot: _Snapshot, target: int, source: int) -> dict[str, CopiedFile]:
    os.mkdir(FOLDER, 0o700, dir_fd=target)
    with opened_folder(FOLDER, within=target) as files:
        _give_to_owner(files, source)
        sums = {}
        for name, (descriptor, size) in snapshot.files.items():
            sums[name] = _copy_file(descriptor, size, files, name)
            _give_file_to_owner(files, name, source)
        replace_small_file(files, MANIFEST, snapshot.manifest.text.encode())
        _give_file_to_owner(files, MANIFEST, source)
    return sums


def _copy_file(descriptor: int, size: int, files: int, name: str) -> CopiedFile:
    """Copy the first bytes of an open file into a new one. Return the size and the checksum."""
    written = crc32 = 0
    with open(open_file(files, name, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as target:  # noqa: PTH123  # open
        while chunk := os.pread(descriptor, min(_CHUNK_BYTES, size - written), written):
            target.write(chunk)
            crc32, written = zlib.crc32(chunk, crc32), written + len(chunk)
        target.flush()
        os.fsync(target.fileno())
    return CopiedFile(size=written, crc32=crc32)


def _give_file_to_owner(folder: int, name: str, source: int) -> None:
    opened = open_file(folder, name)
    try:
        _give_to_owner(opened, source)
    finally:
        os.close(opened)


def _give_to_owner(opened: int, source: int) -> None:
    """Let a copy that root makes belong to the owner of the data, because another owner's server would refuse it."""
    status = os.fstat(source)
    if os.geteuid() == 0 and status.st_uid != 0:
        os.fchown(opened, status.st_uid, status.st_gid)


def _is_locked(source: int) -> bool:
    """Return whether a server holds the directory."""
    try:
        fcntl.flock(source, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(source, fcntl.LOCK_UN)
    return False
