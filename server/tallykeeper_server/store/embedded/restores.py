"""Makes a data directory from a backup or from another data directory.

The data is first complete and checked in a folder within the new data directory. A ``format.json`` beside the folder
keeps every server from starting until then. If anything fails, all of it is removed.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.embedded.archives import ArchiveError, unpack
from tallykeeper_server.store.embedded.data_contents import look_into, refusal_of
from tallykeeper_server.store.embedded.data_dir import (
    LOCK_FILE,
    DataDir,
    DataDirError,
    DataDirHeldError,
    open_data_dir,
    unusable,
)
from tallykeeper_server.store.embedded.data_format import (
    FORMAT_FILE,
    DataFormat,
    DataState,
    FormatError,
    read_format,
    write_format,
)
from tallykeeper_server.store.embedded.folders import names_in, opened_folder
from tallykeeper_server.store.embedded.manifest import FOLDER
from tallykeeper_server.store.embedded.snapshots import copy_files, snapshot_of

DRAFT: Final = "restore"
"""The folder in the new data directory that holds the data until it is checked."""
_NO_DATA: Final = {"lost+found", LOCK_FILE}
"""The names that a directory without data may hold."""
_LISTED_MAX: Final = 5


@contextmanager
def new_data_dir(path: Path) -> Iterator[Path]:
    """Make and lock a data directory, and give a folder in it. After the context, its data is the directory's data.

    If the context ends with an exception, everything that was made is removed.

    :raises DataDirHeldError: a server holds the directory.
    :raises DataDirError: the directory holds something, or cannot be made or written.
    """
    missing = [each for each in (path, *path.parents) if not os.path.lexists(each)]
    try:
        data_dir = open_data_dir(path)
        try:
            _check_empty(data_dir)
            with _draft_in(data_dir) as draft:
                yield draft
        finally:
            data_dir.close()
    except BaseException:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


def fill_from_folder(draft: Path, source: Path) -> None:
    """Copy a backup, or the data directory of a server that does not run, into an empty folder.

    :raises SourceHeldError: a server, or its store, holds the source.
    :raises DataDirError: the source is incomplete, damaged, or newer than this program.
    :raises SnapshotError: the source holds no data.
    :raises OSError: the source cannot be read, or the copy cannot be written.
    """
    with (
        opened_folder(source) as folder,
        _held(source, folder),
        snapshot_of(source, folder) as snapshot,
        opened_folder(draft) as target,
    ):
        sums = copy_files(snapshot, target, target)
        record = snapshot.record
        write_format(target, replace(record, state=DataState.COPIED, files=record.files or sums))


def fill_from_stream(draft: Path, stream: BinaryIO) -> None:
    """Unpack a backup into an empty folder.

    :raises ArchiveError: the stream is no complete backup, or its files are not as the backup wrote them.
    :raises OSError: the stream cannot be read, or the files cannot be written.
    """
    with opened_folder(draft) as target:
        unpack(stream, target)
        try:
            look_into(draft, target)
        except DataDirError as error:
            raise ArchiveError(error.message.removeprefix(refusal_of(draft))) from error


def _check_empty(data_dir: DataDir) -> None:
    """Return if a directory holds nothing.

    :raises DataDirHeldError: a store still runs on it.
    :raises DataDirError: it holds something.
    """
    if not data_dir.lock_writers():
        raise DataDirHeldError(data_dir.path, data_dir.holder)
    found = sorted(set(names_in(data_dir.folder)) - _NO_DATA)
    if not found:
        return
    with suppress(OSError, FormatError):
        record = read_format(data_dir.folder)
        if record is not None and record.state is DataState.COPYING:
            message = (
                f"{data_dir.path} is the incomplete copy of a backup or restore that was interrupted; remove it first"
            )
            raise DataDirError(message)
    others = f" and {len(found) - _LISTED_MAX} more" if len(found) > _LISTED_MAX else ""
    message = (
        f"data directory {data_dir.path} already holds {', '.join(found[:_LISTED_MAX])}{others}, and nothing in it was"
        " changed; name an empty directory, or one that does not exist yet, with --data-dir"
    )
    raise DataDirError(message)


@contextmanager
def _draft_in(data_dir: DataDir) -> Iterator[Path]:
    draft = data_dir.path / DRAFT
    try:
        try:
            write_format(data_dir.folder, DataFormat(state=DataState.COPYING))
            os.mkdir(DRAFT, 0o700, dir_fd=data_dir.folder)
        except OSError as error:
            raise unusable(data_dir.path, error) from error
        yield draft
        _put_in_place(data_dir, draft)
    except BaseException:
        for folder in (DRAFT, FOLDER):
            shutil.rmtree(data_dir.path / folder, ignore_errors=True)
        with suppress(OSError):
            os.unlink(FORMAT_FILE, dir_fd=data_dir.folder)
        raise


def _put_in_place(data_dir: DataDir, draft: Path) -> None:
    """Move the files of the folder into the data directory, and last write that the data is complete.

    :raises OSError: the directory cannot be written.
    """
    with opened_folder(draft) as folder:
        record = read_format(folder) or DataFormat()
        for name in set(names_in(folder)) - {FORMAT_FILE, LOCK_FILE}:
            os.rename(name, name, src_dir_fd=folder, dst_dir_fd=data_dir.folder)
    shutil.rmtree(draft)
    write_format(data_dir.folder, record)


class SourceHeldError(TallyError):
    """A source on which a server runs."""

    def __init__(self, source: Path) -> None:
        """Take the path of the source."""
        super().__init__(
            f"{source} is in use by a server; copy it with tallykeeper backup and restore the copy, or stop the server"
        )


@contextmanager
def _held(source: Path, folder: int) -> Iterator[None]:
    """Keep servers and their stores from the source while it is copied.

    :raises SourceHeldError: one of them holds it.
    """
    with ExitStack() as stack:
        opened = [folder]
        with suppress(OSError):  # snapshot_of says what is wrong with it
            opened.append(stack.enter_context(opened_folder(FOLDER, within=folder)))
        for each in opened:
            try:
                fcntl.flock(each, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SourceHeldError(source) from error
            except OSError:
                continue  # no server can run on a file system without locks
        yield
