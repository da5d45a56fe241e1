"""The directory of the embedded store's socket. Only this user can enter it, and it is outside the data directory.

It is with the temporary files, because the path of a socket may have 107 bytes at most, and because some file systems
that can keep data cannot keep sockets. If a cleaner of temporary files removes it, the server makes it again.
"""

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tallykeeper_server.store.embedded.data_dir import DataDirError, lock
from tallykeeper_server.store.embedded.folders import open_folder

_PATH_BYTES_MAX: Final = 107
"""The longest path of a socket in bytes on Linux. On macOS it is 103."""
_SHORT: Final = Path("/tmp")  # noqa: S108  # the directory in it is checked, and entered by this user alone


def socket_of(data_dir: Path) -> Path:
    """Return the path of the socket of a data directory's store. Nothing is made."""
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    name = f"tallykeeper-{os.getuid()}-{digest}"
    socket = Path(tempfile.gettempdir()) / name / "store.sock"
    return socket if len(os.fsencode(socket)) <= _PATH_BYTES_MAX else _SHORT / name / "store.sock"


def url_of(socket: Path) -> str:
    """Return the URL of a store at a socket."""
    return f"unix://{quote(os.fsencode(socket))}"


class SocketDirHeldError(DataDirError):
    """A directory of the socket that the store of another data directory uses."""

    def __init__(self, path: Path) -> None:
        """Take the path of the directory."""
        super().__init__(
            f"{path} is in use by the store of another data directory that had, or has in another container, the same"
            " path; stop it, or set TMPDIR to another directory"
        )


class SocketDir:
    """A directory for one server, with a lock that the store's process inherits."""

    def __init__(self, path: Path) -> None:
        """Take the path of the socket. Nothing is made yet."""
        self._path = path
        self._opened: int | None = None

    @property
    def locks(self) -> tuple[int, ...]:
        """The descriptor that the store's process inherits."""
        return () if self._opened is None else (self._opened,)

    @property
    def is_there(self) -> bool:
        """Whether the directory is the one that was made, and was not removed or replaced since."""
        if self._opened is None:
            return False
        try:
            return os.path.samestat(self._path.lstat(), os.fstat(self._opened))
        except OSError:
            return False

    def make(self) -> None:
        """Make and lock the directory unless it exists.

        :raises SocketDirHeldError: another server's store uses it.
        :raises DataDirError: it cannot be made, or other users can enter it.
        """
        if self.is_there:
            return
        try:
            with contextlib.suppress(FileExistsError):
                self._path.mkdir(mode=0o700, parents=True)
            status = self._path.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
                message = f"{self._path} is not a directory that only this user can enter; remove it"
                raise DataDirError(message)
            opened = open_folder(self._path)
        except OSError as error:
            message = f"{self._path} cannot be made: {error.strerror}; set TMPDIR to a directory that can be written"
            raise DataDirError(message) from error
        if not os.path.samestat(status, os.fstat(opened)) or not lock(opened, self._path):
            os.close(opened)
            raise SocketDirHeldError(self._path)
        self._close()
        self._opened = opened

    def remove(self) -> None:
        """Remove the directory if it is this server's, and release its lock. The store's process must have ended."""
        if self.is_there:
            shutil.rmtree(self._path, ignore_errors=True)
        self._close()

    def _close(self) -> None:
        if self._opened is not None:
            os.close(self._opened)
            self._opened = None
