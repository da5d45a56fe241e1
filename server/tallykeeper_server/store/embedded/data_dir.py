"""The locks of a data directory: only one Tallykeeper writes in it.

All are locks that the kernel holds on open descriptors (flock). No process id is trusted: ids differ between namespaces
of the kernel and are used again, and those of processes that were not reaped stay. The server's lock is on the
directory itself, which cannot be removed without its data, and lasts as long as the server. The writers' locks are on
the folder of the append-only files and on the file ``lock``. The store's process inherits them, so they last as long as
anything can write. A server that has its own lock, and finds the writers' locks held, has found the store of a server
that was killed.
"""

import errno
import fcntl
import os
import pwd
from contextlib import suppress
from pathlib import Path
from typing import Final

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.embedded.folders import open_file, open_folder
from tallykeeper_server.store.embedded.manifest import FOLDER

LOCK_FILE: Final = "lock"
"""The file that names the holder of the directory, for people. Servers of versions before 0.1 lock only this file."""
_RECORD_BYTES_MAX: Final = 4_096


class DataDirError(TallyError):
    """A data directory that cannot be used. The message says why, in one line."""


class DataDirHeldError(DataDirError):
    """A data directory that another server holds."""

    def __init__(self, data_dir: Path, holder: str) -> None:
        """Take ``holder``, the process id that the other server wrote. It may be of another namespace of the kernel."""
        super().__init__(
            f"data directory {data_dir} is in use by another Tallykeeper (process {holder or 'unknown'}); "
            "stop that one or choose another --data-dir"
        )


class DataDir:
    """A data directory that only this server holds, until it is closed."""

    def __init__(self, path: Path, folder: int) -> None:
        """Take ``folder``, a descriptor of the directory that holds the server's lock."""
        self.path = path
        self.folder = folder
        self._writers: dict[str, int] = {}

    @property
    def writers_locks(self) -> tuple[int, ...]:
        """The descriptors that the store's process inherits."""
        return tuple(self._writers.values())

    def lock_writers(self) -> bool:
        """Lock the files that a store locks, if they exist. Return False if a store that still runs holds them.

        :raises DataDirHeldError: a server of an older version holds the directory.
        :raises DataDirError: a file cannot be opened.
        """
        for name in (FOLDER, LOCK_FILE):
            if name in self._writers:
                continue
            try:
                opened = open_folder(name, within=self.folder) if name == FOLDER else open_file(self.folder, name)
            except (FileNotFoundError, NotADirectoryError):
                continue  # a link in place of the folder is refused when the directory is read
            except OSError as error:
                raise unusable(self.path / name, error) from error
            if not lock(opened, self.path / name):
                os.close(opened)
                if name == LOCK_FILE and FOLDER in self._writers:
                    raise DataDirHeldError(self.path, self.holder)
                return False
            self._writers[name] = opened
        return True

    def make_and_lock_writers(self, socket: Path) -> None:
        """Make the files that a store locks, lock all of them, and name the holder in the lock file.

        :raises DataDirError: the directory cannot be written.
        """
        try:
            with suppress(FileExistsError):
                os.mkdir(FOLDER, 0o700, dir_fd=self.folder)
            opened = open_file(self.folder, LOCK_FILE, flags=os.O_RDWR | os.O_CREAT)
            with open(opened, "r+b") as file:  # noqa: PTH123  # it is open already
                file.truncate()
                file.write(os.fsencode(f"{os.getpid()}\n{socket}"))
            os.fsync(self.folder)
        except OSError as error:
            raise unusable(self.path, error) from error
        if not self.lock_writers():
            raise DataDirHeldError(self.path, self.holder)

    @property
    def holder(self) -> str:
        """The process id in the lock file; empty if it has none."""
        return _record(self.folder)[0]

    @property
    def noted_socket(self) -> Path | None:
        """The socket of the last store, as the lock file names it."""
        socket = _record(self.folder)[1]
        return Path(socket) if socket else None

    def close(self) -> None:
        """Release all locks. The store's process must have ended."""
        for opened in (*self._writers.values(), self.folder):
            os.close(opened)
        self._writers.clear()


def open_data_dir(path: Path) -> DataDir:
    """Make the directory if it does not exist, and lock it for this server.

    :raises DataDirHeldError: another server holds it.
    :raises DataDirError: it cannot be made, read or locked, or belongs to another user.
    """
    try:
        if not path.exists():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(PermissionError):  # a directory that may be entered, and not read
                _sync_parent(path)
        folder = open_folder(path)
    except OSError as error:
        raise unusable(path, error) from error
    try:
        _check_owner(path, folder)
        if not lock(folder, path):
            raise DataDirHeldError(path, _record(folder)[0])  # noqa: TRY301  # the folder is closed in one place
    except BaseException:
        os.close(folder)
        raise
    return DataDir(path, folder)


def lock(opened: int, path: Path) -> bool:
    """Lock an open file or folder. Return False if another process holds it.

    :raises DataDirError: its file system cannot lock it.
    """
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        message = f"{path} cannot be locked: {error.strerror}; name a directory on a local file system with --data-dir"
        raise DataDirError(message) from error
    return True


def unusable(path: Path, error: OSError) -> DataDirError:
    """Return the error with the reason why a directory, or a part of it, cannot be used."""
    reason = "it is not a directory" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
    advice = "make room" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "choose another --data-dir"
    return DataDirError(f"data directory {path} cannot be written: {reason}; {advice}")


def _sync_parent(path: Path) -> None:
    parent = open_folder(path.parent)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _check_owner(path: Path, folder: int) -> None:
    """Return if the directory belongs to the user of this process.

    :raises DataDirError: it belongs to another user.
    """
    owner = os.fstat(folder).st_uid
    if owner != os.geteuid():
        message = (
            f"data directory {path} belongs to user {_name_of(owner)}, and this server runs as"
            f" {_name_of(os.geteuid())};"
            " run it as the owner, or choose another --data-dir, such as a new directory within that one"
        )
        raise DataDirError(message)


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _record(folder: int) -> tuple[str, str]:
    """Return the process id and the socket in the lock file, each empty if the file has none."""
    try:
        opened = open_file(folder, LOCK_FILE)
    except OSError:
        return "", ""
    try:
        process_id, _, socket = os.fsdecode(os.pread(opened, _RECORD_BYTES_MAX, 0)).partition("\n")
    finally:
        os.close(opened)
    return (process_id if process_id.isdecimal() else ""), (socket if "\0" not in socket else "")
