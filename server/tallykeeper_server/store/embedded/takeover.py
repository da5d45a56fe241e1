"""Ends the store of a server that was killed: by its socket, or without one by the locks that it holds."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import structlog

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.embedded.data_dir import DataDir, DataDirError, DataDirHeldError, open_data_dir
from tallykeeper_server.store.embedded.manifest import FOLDER
from tallykeeper_server.store.embedded.socket_dir import url_of
from tallykeeper_server.store.nodes.connection import Connection

_POLL_SECONDS: Final = 0.02
_GRACE_SECONDS: Final = 1.0
"""The longest wait of a start for the lock: the kernel may need time to end a server that was just killed."""
_ANSWER_SECONDS: Final = 2.0
_ENDING_SECONDS: Final = 10.0
"""The longest time that each way of ending a store may take."""

log = structlog.get_logger()


async def claim(path: Path, socket: Path) -> DataDir:
    """Lock a data directory, if necessary after ending the store of a server that was killed.

    :raises DataDirHeldError: another server holds it.
    :raises DataDirError: it cannot be used, or that store cannot be ended.
    """
    data_dir = await _opened(path)
    try:
        if not data_dir.lock_writers():
            log.warning("ending the store of a server that was killed", data_dir=str(path))
            await _end_store(data_dir, {socket, data_dir.noted_socket or socket})
    except BaseException:
        data_dir.close()
        raise
    return data_dir


async def _opened(path: Path) -> DataDir:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _GRACE_SECONDS
    while True:
        try:
            return open_data_dir(path)
        except DataDirHeldError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(_POLL_SECONDS)


async def _end_store(data_dir: DataDir, sockets: Collection[Path]) -> None:
    """Return when nothing holds the writers' locks any more.

    :raises DataDirError: something still holds them.
    """
    for socket in sockets:
        if socket.exists():
            await shut_down(socket)
            if await _let_go(data_dir):
                return
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _signal_holders(data_dir, number) and await _let_go(data_dir):
            return
    message = (
        f"data directory {data_dir.path} is still held by the store of a server that was killed, and that store answers"
        f" at no socket and is no process that this server can see; end the valkey-server that has"
        f" {data_dir.path / FOLDER} open, in its own container if it has one"
    )
    raise DataDirError(message)


async def _let_go(data_dir: DataDir) -> bool:
    """Wait until the writers' locks are free, and take them. Return False if they are not free in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _ENDING_SECONDS
    while not data_dir.lock_writers():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True


async def shut_down(socket: Path) -> None:
    """Ask the store at a socket to end, if there is one."""
    connection = Connection(url_of(socket), timeout_seconds=_ANSWER_SECONDS)
    with contextlib.suppress(TallyError):
        await connection.call("SHUTDOWN")
    await connection.close()


def _signal_holders(data_dir: DataDir, number: signal.Signals) -> bool:
    """Send a signal to each process that holds the writers' locks. Return whether there was one.

    A descriptor holds each process before it is looked at, so that its number cannot pass to another process.
    """
    if not hasattr(os, "pidfd_open"):
        return False
    found = False
    folder = os.stat(FOLDER, dir_fd=data_dir.folder, follow_symlinks=False)
    for process_id in _process_ids():
        try:
            process = os.pidfd_open(process_id)
        except OSError:
            continue
        try:
            if _holds(process_id, (folder.st_dev, folder.st_ino)):
                signal.pidfd_send_signal(process, number)
                found = True
        except OSError:
            continue  # it has ended, or is another user's
        finally:
            os.close(process)
    return found


def _process_ids() -> Iterator[int]:
    with contextlib.suppress(OSError):
        yield from (int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != os.getpid())  # noqa: PTH208  # numbers


def _holds(process_id: int, folder: tuple[int, int]) -> bool:
    """Return whether a process has a folder open by a descriptor that holds a lock.

    :raises OSError: the process has ended, or is another user's.
    """
    for descriptor in os.listdir(f"/proc/{process_id}/fd"):  # noqa: PTH208  # numbers
        with contextlib.suppress(FileNotFoundError):
            status = Path(f"/proc/{process_id}/fd/{descriptor}").stat()
            if (status.st_dev, status.st_ino) == folder:
                return "lock:" in Path(f"/proc/{process_id}/fdinfo/{descriptor}").read_text(encoding="ascii")
    return False
