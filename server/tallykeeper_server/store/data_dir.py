"""The data directory's lock: one Tallykeeper alone writes what is in it.

The lock is held by an open file that the Valkey process inherits. So it outlives a server that was killed for
as long as that server's Valkey runs, and two of them can never write the same append-only file.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from tallykeeper_server.domain.errors import TallyError

_RECORD_BYTES_MAX: Final = 4_096


class DataDirError(TallyError):
    """The data directory cannot be used. The message says why, in one line."""


class DataDirHeldError(DataDirError):
    """Another process holds the data directory."""

    def __init__(self, data_dir: Path, record: str) -> None:
        """``record`` is what the holder wrote: its process id, and the socket of its store."""
        process_id, _, socket = record.partition("\n")
        super().__init__(
            f"data directory {data_dir} is in use by another Tallykeeper (process {process_id or 'unknown'}); "
            "stop that one or choose another --data-dir"
        )
        self.process_id = int(process_id) if process_id.isdecimal() else None
        self.socket = Path(socket) if socket else None

    @property
    def holder_runs(self) -> bool:
        """False if the server that took the lock is gone, so that it is its store that still holds it."""
        if self.process_id is None:
            return True
        try:
            os.kill(self.process_id, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


def lock_data_dir(data_dir: Path, socket: Path) -> int:
    """Make the directory if need be and lock it; return the open file that holds the lock.

    :raises DataDirHeldError: another process holds it.
    :raises DataDirError: it cannot be written.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        message = f"data directory {data_dir} cannot be written: {error.strerror}; choose another --data-dir"
        raise DataDirError(message) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        record = os.pread(lock, _RECORD_BYTES_MAX, 0).decode()
        os.close(lock)
        raise DataDirHeldError(data_dir, record) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n{socket}".encode(), 0)
    return lock
