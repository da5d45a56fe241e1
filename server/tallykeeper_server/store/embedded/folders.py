"""Opens files by their folder's open descriptor: no symbolic link is followed, and only regular files are opened."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SMALL_FILE_BYTES_MAX: Final = 1 << 20
"""The size up to which a file is read as a whole."""


def open_folder(path: str | Path, *, within: int | None = None) -> int:
    """Return a descriptor of a folder; with ``within``, of one in that folder that is no symbolic link.

    :raises OSError: there is no such folder, or it cannot be read.
    """
    follow = 0 if within is None else os.O_NOFOLLOW
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | follow, dir_fd=within)


def open_file(folder: int, name: str, *, flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a regular file in a folder.

    :raises OSError: there is no such file, or it is a symbolic link, a pipe or another thing.
    """
    # A pipe would otherwise block the open until somebody writes to it.
    opened = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "Not a regular file", name)
    return opened


@contextmanager
def opened_folder(path: str | Path, *, within: int | None = None) -> Iterator[int]:
    """Give a descriptor of a folder while the context lasts.

    :raises OSError: the folder cannot be opened, as ``open_folder`` says.
    """
    folder = open_folder(path, within=within)
    try:
        yield folder
    finally:
        os.close(folder)


def names_in(folder: int) -> list[str]:
    """Return all names in a folder.

    :raises OSError: the folder cannot be read.
    """
    return os.listdir(folder)  # pathlib knows no descriptors


def read_small_file(folder: int, name: str) -> bytes | None:
    """Return the contents of a file of at most 1 MiB; None if there is no such file.

    :raises OSError: the file cannot be read, or is larger.
    """
    try:
        opened = open_file(folder, name)
    except FileNotFoundError:
        return None
    with open(opened, "rb") as file:  # noqa: PTH123  # it is open already
        data = file.read(SMALL_FILE_BYTES_MAX + 1)
    if len(data) > SMALL_FILE_BYTES_MAX:
        raise OSError(errno.EFBIG, "File too large", name)
    return data


def replace_small_file(folder: int, name: str, data: bytes) -> None:
    """Replace a file at once, readable by its owner alone, so that a power cut leaves the old one or the new one.

    :raises OSError: the file cannot be written; the old one is still there then.
    """
    draft = f"{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=folder)
    try:
        opened = open_file(folder, draft, flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        with open(opened, "wb") as file:  # noqa: PTH123  # it is open already
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(OSError):
            os.unlink(draft, dir_fd=folder)
        raise
    os.fsync(folder)


def kind_of(folder: int, name: str) -> str:
    """Return ``file``, ``folder``, ``link`` or ``other``; the empty text if nothing has the name.

    :raises OSError: the name cannot be looked up.
    """
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return ""
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(mode), "other")
