"""Checks the files of a data directory with the tools that are built into the store's program.

``valkey-server`` is also ``valkey-check-aof`` and ``valkey-check-rdb`` when it is run under these names. The tool for
whole manifests does not know the snapshots of Valkey 9 (9.1.2 calls each one damaged, and ``--fix`` would cut it to
nothing), so each file is checked by itself.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tallykeeper_server.store.embedded.data_contents import look_into
from tallykeeper_server.store.embedded.data_dir import DataDir, DataDirError, DataDirHeldError, open_data_dir, unusable
from tallykeeper_server.store.embedded.manifest import FOLDER, Manifest
from tallykeeper_server.store.embedded.valkey import EmbeddedStoreError

AOF_TOOL: Final = "valkey-check-aof"
RDB_TOOL: Final = "valkey-check-rdb"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedFile:
    """The report of a tool on one file."""

    path: Path
    tool: str
    size: int
    """The size of the file in bytes."""
    good_bytes: int
    """The bytes from the beginning that are whole commands; 0 of a damaged snapshot."""
    words: str
    """The last lines that the tool printed."""

    @property
    def is_whole(self) -> bool:
        """Whether the file is neither damaged nor cut short."""
        return self.good_bytes == self.size


def check_files(data_dir: Path, binary: Path) -> list[CheckedFile]:
    """Check each file that the manifest names. Nothing is changed.

    :raises DataDirError: a server runs on the directory, or a part of it is missing.
    :raises EmbeddedStoreError: the tool cannot be run.
    """
    with _held(data_dir) as (_, manifest):
        return [_checked(data_dir / FOLDER / name, binary) for name in manifest.files]


def fix_files(data_dir: Path, binary: Path) -> tuple[CheckedFile, Path] | None:
    """Cut the last file after its last whole command, if it is damaged. Return its report and its copy.

    :raises DataDirError: a file is damaged that cannot be cut, because others follow it, or a copy cannot be written.
    :raises EmbeddedStoreError: the tool cannot be run.
    """
    with _held(data_dir) as (held, manifest):
        checked = [_checked(data_dir / FOLDER / name, binary) for name in manifest.files]
        damaged = [file for file in checked if not file.is_whole]
        if not damaged:
            return None
        (first, *others) = damaged
        follow = [file for file in checked[checked.index(first) + 1 :] if file.size]
        if others or follow or first.tool == RDB_TOOL:
            message = f"{first.path} is damaged, and to cut it would lose the files after it; restore a backup"
            raise DataDirError(message)
        copy = held.path / f"{first.path.name}.before-cut-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
        try:
            shutil.copyfile(first.path, copy, follow_symlinks=False)
            _sync(copy)
            os.truncate(first.path, first.good_bytes)
            _sync(first.path)
        except OSError as error:
            raise unusable(data_dir, error) from error
        return first, copy


@contextmanager
def _held(path: Path) -> Iterator[tuple[DataDir, Manifest]]:
    """Hold a data directory that has all its parts."""
    if not path.is_dir():
        message = f"data directory {path} does not exist; name it with --data-dir"
        raise DataDirError(message)
    data_dir = open_data_dir(path)
    try:
        if not data_dir.lock_writers():
            raise DataDirHeldError(path, data_dir.holder)
        manifest = look_into(path, data_dir.folder).manifest
        if manifest is None:
            message = f"data directory {path} holds no data yet"
            raise DataDirError(message)
        yield data_dir, manifest
    finally:
        data_dir.close()


def _checked(path: Path, binary: Path) -> CheckedFile:
    tool = RDB_TOOL if path.suffix == ".rdb" else AOF_TOOL
    size = path.stat().st_size
    try:
        done = subprocess.run(  # noqa: S603  # the program that serves the data too
            [tool, path], executable=binary, capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        message = f"{binary} cannot be run as {tool}: {error.strerror}"
        raise EmbeddedStoreError(message) from error
    lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    good = re.search(r"ok_up_to=([0-9]+)", "\n".join(lines))
    good_bytes = size if done.returncode == 0 else int(good[1]) if good else 0
    words = " / ".join(line.strip() for line in lines[-3:])
    return CheckedFile(path=path, tool=tool, size=size, good_bytes=good_bytes, words=words)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
