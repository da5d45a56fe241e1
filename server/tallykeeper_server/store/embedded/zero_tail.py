"""Cuts off the zero bytes that a power cut leaves at the end of an append-only file on several file systems."""

import mmap
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from tallykeeper_server.store.embedded.data_dir import DataDir, DataDirError
from tallykeeper_server.store.embedded.folders import open_file
from tallykeeper_server.store.embedded.manifest import FOLDER

ZERO_BYTES_MAX: Final = 64 << 20
"""The most zero bytes that a power cut may have left: more than a store ever writes between two syncs."""
_LENGTH_BYTES_MAX: Final = 32
_CHUNK_BYTES: Final = 1 << 16

log = structlog.get_logger()


def cut_zeros(data_dir: DataDir, files: int, appended: Sequence[str]) -> None:
    """Cut off the zero bytes at the end of the last file that is not empty. Keep a copy of them.

    A power cut leaves them where a file system had noted the new size and not yet the new bytes. Nothing that was
    synced is among them.

    :raises DataDirError: the zero bytes may be something else.
    """
    name = next((each for each in reversed(appended) if os.stat(each, dir_fd=files).st_size), appended[-1])
    opened = open_file(files, name, flags=os.O_RDWR)
    try:
        size = os.fstat(opened).st_size
        zeros_at = _start_of_zeros(opened, size)
        if zeros_at == size:
            return
        cut_at = _cut_at(opened, zeros_at)
        if cut_at is None or size - zeros_at > ZERO_BYTES_MAX:
            message = (
                f"{data_dir.path / FOLDER / name} ends with {size - zeros_at} zero bytes, and is damaged before them or"
                f" they are too many for a power cut; nothing was changed: look at it with"
                f" tallykeeper check-aof --data-dir {data_dir.path}, or restore a backup"
            )
            raise DataDirError(message)
        kept = _keep(data_dir.folder, opened, name, (cut_at, zeros_at, size))
        os.ftruncate(opened, cut_at)
        os.fsync(opened)
    finally:
        os.close(opened)
    facts = {"file": f"{FOLDER}/{name}", "bytes": size - cut_at, "offset": cut_at, "kept": kept}
    log.warning("zero bytes that a power cut left were cut off the append-only file", **facts)


def _start_of_zeros(opened: int, size: int) -> int:
    """Return the offset of the zero bytes at the end of a file: its size if there are none."""
    end = size
    while end > 0:
        begin = max(0, end - _CHUNK_BYTES)
        rest = os.pread(opened, end - begin, begin).rstrip(b"\0")
        if rest:
            return begin + len(rest)
        end = begin
    return 0


def _cut_at(opened: int, end: int) -> int | None:
    """Return the end of the last whole command before ``end``; None if what follows it is not a part of a command."""
    if end == 0:
        return 0
    with mmap.mmap(opened, end, prot=mmap.PROT_READ) as data:
        return end_of_commands(data, end)


def end_of_commands(data: mmap.mmap | bytes, end: int) -> int | None:
    """Return the end of the last whole command of an append-only file; None if it is damaged before ``end``.

    A command that ``end`` cuts short is no damage.
    """
    at = 0
    while at < end:
        following = _after_command(data, at, end)
        if following is None:
            return None
        if following > end:
            return at
        at = following
    return at


def _after_command(data: mmap.mmap | bytes, at: int, end: int) -> int | None:
    """Return the end of a command: more than ``end`` if it is cut short, None if it is damaged."""
    if data[at : at + 1] == b"#":  # an annotation, such as a time
        found = data.find(b"\r\n", at, end)
        return end + 1 if found < 0 else found + 2
    header = _number(data, at, end, b"*")
    if header is None or header[1] > end:
        return header and header[1]
    count, at = header
    for _ in range(count):
        header = _number(data, at, end, b"$")
        if header is None or header[1] > end:
            return header and header[1]
        at = header[1] + header[0] + 2
        if at > end:
            return end + 1
        if data[at - 2 : at] != b"\r\n":
            return None
    return at


def _number(data: mmap.mmap | bytes, at: int, end: int, mark: bytes) -> tuple[int, int] | None:
    """Return the number after a mark, and the end of its line: after ``end`` if it is cut short. None if damaged."""
    if at >= end:
        return 0, end + 1
    if data[at : at + 1] != mark:
        return None
    found = data.find(b"\r\n", at, min(end, at + _LENGTH_BYTES_MAX))
    digits = data[at + 1 : found if found >= 0 else min(end, at + _LENGTH_BYTES_MAX)]
    if found < 0:
        torn = end - at < _LENGTH_BYTES_MAX and (not digits or digits.removesuffix(b"\r").isdigit() or digits == b"\r")
        return (0, end + 1) if torn else None
    return (int(digits), found + 2) if digits.isdigit() else None


def _keep(folder: int, opened: int, name: str, offsets: tuple[int, int, int]) -> str:
    """Write the bytes that will be cut off into their own file, the zero bytes as a hole. Return its name.

    ``offsets`` are the beginning of the bytes, the beginning of the zero bytes, and the end.
    """
    cut_at, zeros_at, size = offsets
    kept = f"{name}.cut-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-at-{cut_at}"
    target = open_file(folder, kept, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        at = cut_at
        while at < zeros_at:
            at += os.write(target, os.pread(opened, min(_CHUNK_BYTES, zeros_at - at), at))
        os.ftruncate(target, size - cut_at)
        os.fsync(target)
    except OSError:
        with suppress(OSError):
            os.unlink(kept, dir_fd=folder)
        raise
    finally:
        os.close(target)
    os.fsync(folder)
    return kept
