"""Copies of the embedded store's data, made while a server runs or while none does.

The order of steps is that of https://valkey.io/topics/persistence/#backing-up-aof-persistence.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.connection import Connection
from tallykeeper_server.store.data_dir import DataDirError, DataDirHeldError, lock_data_dir
from tallykeeper_server.store.embedded import REWRITE_PERCENTAGE

_FOLDER: Final = "appendonlydir"
_MANIFEST: Final = "appendonly.aof.manifest"
_ANSWER_SECONDS: Final = 60.0
_REWRITE_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.05


class BackupError(TallyError):
    """No copy could be made. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was made."""

    place: Path
    size: int
    """In bytes."""
    online: bool
    """A server was running."""


async def back_up(data_dir: Path, to: Path) -> Backup:
    """Copy the data of an embedded store into a new directory, from which a server can then be started.

    The copy holds every change that was acknowledged before, and maybe some that were made meanwhile.

    :raises BackupError: there is nothing to be copied, the directory exists, or it cannot be written.
    """
    source = data_dir / _FOLDER
    _make(to, source)
    try:
        async with _held_still(data_dir) as online:
            size = await asyncio.to_thread(_copy, source, to / _FOLDER)
    except (OSError, TallyError) as error:
        shutil.rmtree(to, ignore_errors=True)
        told = error.message if isinstance(error, TallyError) else error.strerror
        message = f"{data_dir} was not copied: {told}"
        raise BackupError(message) from error
    return Backup(to, size, online)


def _make(to: Path, source: Path) -> None:
    """Make the directory, if there is something to be copied.

    :raises BackupError: there is not, or it cannot be made.
    """
    if not (source / _MANIFEST).is_file():
        message = f"{source.parent} holds no data of an embedded store: there is no {_FOLDER}/{_MANIFEST}"
        raise BackupError(message)
    try:
        to.mkdir(mode=0o700)
    except OSError as error:
        message = f"{to} cannot be made: {error.strerror}; name a directory that does not exist yet"
        raise BackupError(message) from error


@asynccontextmanager
async def _held_still(data_dir: Path) -> AsyncIterator[bool]:
    """See to it that the files are only appended to; yield whether a store has them open."""
    try:
        lock = lock_data_dir(data_dir, Path())
    except DataDirHeldError as held:
        if held.socket is None:
            raise
        async with _without_rewrites(Connection(f"unix://{held.socket}", timeout_seconds=_ANSWER_SECONDS)):
            yield True
    else:
        try:
            yield False
        finally:
            os.close(lock)


@asynccontextmanager
async def _without_rewrites(connection: Connection) -> AsyncIterator[None]:
    try:
        await connection.call("CONFIG", "SET", "auto-aof-rewrite-percentage", 0)
        try:
            await _until_rewritten(connection)
            yield
        finally:
            await connection.call("CONFIG", "SET", "auto-aof-rewrite-percentage", REWRITE_PERCENTAGE)
    finally:
        await connection.close()


async def _until_rewritten(connection: Connection) -> None:
    deadline = asyncio.get_running_loop().time() + _REWRITE_SECONDS
    while True:
        info = cast("bytes", await connection.call("INFO", "persistence"))
        if b"aof_rewrite_in_progress:1" not in info and b"aof_rewrite_scheduled:1" not in info:
            return
        if asyncio.get_running_loop().time() > deadline:
            message = f"the store is still rewriting its file after {_REWRITE_SECONDS:.0f} s"
            raise DataDirError(message)
        await asyncio.sleep(_POLL_SECONDS)


def _copy(source: Path, target: Path) -> int:
    """Copy the files that the manifest names, and last the manifest; return how many bytes that were."""
    target.mkdir(mode=0o700)
    manifest = (source / _MANIFEST).read_text()
    names = [line.split()[1] for line in manifest.splitlines() if line.startswith("file ")]
    for name in (*names, _MANIFEST):
        shutil.copyfile(source / name, target / name)
        _sync(target / name)
    for directory in (target, target.parent, target.parent.parent):
        _sync(directory)
    return sum(path.stat().st_size for path in target.iterdir())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
