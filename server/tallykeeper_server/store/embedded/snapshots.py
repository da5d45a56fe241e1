"""Opens the files that hold all data of an embedded store at one moment, while a server runs or while none does.

The files stay open, so that a rewrite that replaces them loses nothing. Each counts up to the size that it had when all
were open. Nothing is changed.
"""

import fcntl
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.embedded.data_contents import look_into
from tallykeeper_server.store.embedded.data_dir import DataDirError
from tallykeeper_server.store.embedded.data_format import CopiedFile, DataFormat, read_format
from tallykeeper_server.store.embedded.folders import open_file, opened_folder, read_small_file, replace_small_file
from tallykeeper_server.store.embedded.manifest import FOLDER, MANIFEST, Manifest, parse_manifest

CHUNK_BYTES: Final = 1 << 20
_ATTEMPTS: Final = 200
_PAUSE_SECONDS: Final = 0.02


class SnapshotError(TallyError):
    """There is no data to copy. The message says why, in one line, without the name of the directory."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Files that held all data at one moment, open."""

    record: DataFormat
    manifest: Manifest
    files: Mapping[str, tuple[int, int]]
    """The descriptor and the size of each."""


@contextmanager
def snapshot_of(data_dir: Path, source: int) -> Iterator[Snapshot]:
    """Open the files of the data. Look again if a rewrite replaces them at the same time.

    :raises SnapshotError: there are no files, or they are replaced all the time.
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
            raise SnapshotError(message)
        before = text
        with ExitStack() as stack:
            snapshot = _opened(data_dir, source, stack)
            if snapshot is not None:
                yield snapshot
                return
        time.sleep(_PAUSE_SECONDS)
    message = f"its store replaced its files {_ATTEMPTS} times while they were opened"
    raise SnapshotError(message)


def _opened(data_dir: Path, source: int, stack: ExitStack) -> Snapshot | None:
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
            return Snapshot(record, parse_manifest(before[1]), sizes)
    return None


def _manifest_text(source: int) -> bytes | None:
    try:
        with opened_folder(FOLDER, within=source) as files:
            return read_small_file(files, MANIFEST)
    except FileNotFoundError:
        return None


def copy_files(snapshot: Snapshot, target: int, source: int) -> dict[str, CopiedFile]:
    """Write the folder of append-only files into a folder. Return the size and the checksum of each file.

    :raises OSError: the files cannot be written.
    """
    os.mkdir(FOLDER, 0o700, dir_fd=target)
    with opened_folder(FOLDER, within=target) as files:
        give_to_owner(files, source)
        sums = {}
        for name, (descriptor, size) in snapshot.files.items():
            sums[name] = _copy_file(descriptor, size, files, name)
            give_file_to_owner(files, name, source)
        replace_small_file(files, MANIFEST, snapshot.manifest.text.encode())
        give_file_to_owner(files, MANIFEST, source)
    return sums


def _copy_file(descriptor: int, size: int, files: int, name: str) -> CopiedFile:
    """Copy the first bytes of an open file into a new one. Return the size and the checksum."""
    written = crc32 = 0
    with open(open_file(files, name, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as target:  # noqa: PTH123  # open
        while chunk := os.pread(descriptor, min(CHUNK_BYTES, size - written), written):
            target.write(chunk)
            crc32, written = zlib.crc32(chunk, crc32), written + len(chunk)
        target.flush()
        os.fsync(target.fileno())
    return CopiedFile(size=written, crc32=crc32)


def give_file_to_owner(folder: int, name: str, source: int) -> None:
    """Give a file in a folder to an owner, as ``give_to_owner`` does."""
    opened = open_file(folder, name)
    try:
        give_to_owner(opened, source)
    finally:
        os.close(opened)


def give_to_owner(opened: int, source: int) -> None:
    """Let a copy that root makes belong to the owner of the data, because another owner's server would refuse it."""
    status = os.fstat(source)
    if os.geteuid() == 0 and status.st_uid != 0:
        os.fchown(opened, status.st_uid, status.st_gid)


def is_locked(source: int) -> bool:
    """Return whether a server holds the directory."""
    try:
        fcntl.flock(source, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(source, fcntl.LOCK_UN)
    return False
