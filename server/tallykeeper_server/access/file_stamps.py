"""Stamps of files, which show that a file was changed or replaced."""

from pathlib import Path
from typing import TypeAlias

FileStamp: TypeAlias = tuple[int, int, int]


def stamp_of(path: Path) -> FileStamp:
    """Return the stamp of a file. Take it before you read the file; then no change is missed."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_ino, status.st_mtime_ns, status.st_size
