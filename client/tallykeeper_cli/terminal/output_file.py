"""The files that commands write. A plain file is replaced when the new file is complete.

Devices, pipes and descriptors of this process, such as /dev/stdout, are written directly. A link is followed, and the
file to which it points is replaced. A replaced file keeps its mode, and its owner where that is permitted.
"""

import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO

import click

from tallykeeper_cli.terminal.failures import Unwritten
from tallykeeper_cli.terminal.streams import OutputLostError

_DESCRIPTORS: Final = re.compile(r"/dev/fd/([0-9]+)|/proc/(?:self|thread-self|{pid})/fd/([0-9]+)")
_STANDARD: Final = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_LINKS_MAX: Final = 40
_MODE_OF_NEW_FILES: Final = 0o666


@contextmanager
def written(path: Path) -> Iterator[TextIO]:
    """Open a file for writing in UTF-8. A plain file appears when the block ends without an exception.

    Raises click.UsageError if the path cannot be written at all, `Unwritten` if writing fails, as on a full disk, and
    `OutputLostError` if the reader of a pipe has left.
    """
    descriptor = _descriptor_of(path)
    target = Path(os.path.realpath(path))
    is_plain = descriptor is None and (not target.exists() or target.is_file())
    try:
        if is_plain:
            yield from _replaced(path, target)
        else:
            yield from _direct(path, descriptor)
    except BrokenPipeError as error:  # the reader of the pipe has left
        raise OutputLostError from error
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise Unwritten(message) from error


def _direct(path: Path, descriptor: int | None) -> Iterator[TextIO]:
    """Write to a device, to a pipe, or to a descriptor of this process."""
    try:
        opened = os.open(path, os.O_WRONLY) if descriptor is None else os.dup(descriptor)
    except OSError as error:
        message = f"{path} cannot be written to: {error.strerror}"
        raise click.UsageError(message) from error
    file = os.fdopen(opened, "w", encoding="utf-8", newline="")
    try:
        yield file
        file.flush()
    finally:
        with suppress(OSError):  # flush has raised the error
            file.close()


def _replaced(path: Path, target: Path) -> Iterator[TextIO]:
    """Write a new file beside an old one, and then replace the old one."""
    before = _status_of(path, target)
    try:
        opened, name = tempfile.mkstemp(prefix=f".{target.name[:60]}.", suffix=".part", dir=target.parent)
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror} (in the folder {target.parent})"
        raise click.UsageError(message) from error
    part = Path(name)
    try:
        with os.fdopen(opened, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            _keep(file.fileno(), before)
            os.fsync(file.fileno())
        part.replace(target)
        _sync_folder(target.parent)
    finally:
        part.unlink(missing_ok=True)


def _status_of(path: Path, target: Path) -> os.stat_result | None:
    """Return the status of the file to replace, whose mode and owner are kept; None if there is no file."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise click.UsageError(message) from error
    if not os.access(target, os.W_OK):
        message = f"{path} cannot be written: its mode {stat.S_IMODE(found.st_mode):o} does not permit it"
        raise click.UsageError(message)
    return found


def _keep(descriptor: int, before: os.stat_result | None) -> None:
    """Give a new file the owner and the mode of the old file, or those of any new file."""
    if before is None:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(descriptor, _MODE_OF_NEW_FILES & ~mask)
        return
    with suppress(PermissionError):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _sync_folder(folder: Path) -> None:
    """Make the replacement survive a power cut, if the file system can do that."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _descriptor_of(path: Path) -> int | None:
    """Return the descriptor of this process that a path names, directly or by links; None for another file."""
    form = re.compile(_DESCRIPTORS.pattern.replace("{pid}", str(os.getpid())))
    at = os.path.abspath(path)  # noqa: PTH100  # links must stay as they are
    for _ in range(_LINKS_MAX):
        if at in _STANDARD:
            return _STANDARD[at]
        if found := form.fullmatch(at):
            return int(found[1] or found[2])
        if not os.path.islink(at):  # noqa: PTH114  # a text
            return None
        at = os.path.abspath(os.path.join(os.path.dirname(at), os.readlink(at)))  # noqa: PTH100, PTH115, PTH118, PTH120
    return None
