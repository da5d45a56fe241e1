"""By what it is seen that a file is another than before, also when one was put in its place."""

from pathlib import Path
from typing import TypeAlias

FileStamp: TypeAlias = tuple[int, int, int]


def stamp_of(path: Path) -> FileStamp:
    """Return what is another as soon as the file is; to be taken before it is read, so that no change is missed."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return status.st_ino, status.st_mtime_ns, status.st_size
