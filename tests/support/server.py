"""Servers and stores for the tests. Most run in this process. Those that a test kills run in their own processes."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import SystemRandom
from typing import Any, Final, Self

import redis

from tallykeeper_server.app.server import running
from tallykeeper_server.settings import Settings

TALLYKEEPER: Final = Path(sys.executable).with_name("tallykeeper")
PATIENCE_SECONDS: Final = 30.0
ANY_PORTS: Final = ("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
_PORTS: Final = range(20_000, 32_000)


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as the condition holds. Fail if it does not hold within some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"not within {seconds} s: {what}"
            raise AssertionError(message)
        time.sleep(0.01)


def runs(process_id: int) -> bool:
    """Return True if a process with this id exists."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def answers(url: str) -> bool:
    """Return True if a store answers at a URL."""
    with redis.Redis.from_url(url) as connection, suppress(redis.RedisError):
        return bool(connection.ping())
    return False


def free_ports(count: int) -> list[int]:
    """Return free ports on loopback, on which nobody listens.

    The ports are outside the range from which the kernel takes ports for connections. A port that the kernel itself
    chooses could be taken before it is used.
    """
    found: list[int] = []
    for port in SystemRandom().sample(_PORTS, len(_PORTS)):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            break
    return found


class ThreadedServer:
    """A server in a thread of this process, so that coverage sees it."""

    def __init__(self, settings: Settings) -> None:
        """HTTP is served at any free port, unless the settings name another than the default."""
        if settings.http_listen == Settings().http_listen:
            settings = replace(settings, http_listen="127.0.0.1:0")
        self._settings = settings
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, daemon=True)
        self.target = ""
        self.http = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(PATIENCE_SECONDS)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_SECONDS)

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # raised again in the test
            self._failure = error
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with running(self._settings) as server:
            self.target = server.address
            self.http = server.http_address
            self._started.set()
            await self._stop.wait()


class ServerProcess:
    """``tallykeeper serve`` in its own process, with its log as a list of events.

    ``workers`` is the number of workers. The default is 1, which starts fastest. None leaves the setting out.
    """

    def __init__(
        self,
        *arguments: str,
        workers: int | None = 1,
        cwd: Path | None = None,
        program: Path = TALLYKEEPER,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        size = () if workers is None else ("--workers", str(workers))
        self.process = subprocess.Popen(
            [program, "serve", *ANY_PORTS, "--log-format", "json", *size, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=environment,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        wait_until(lambda: bool(self.events("serving")) or self.process.poll() is not None, what="the server serves")
        assert self.process.poll() is None, self.lines
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def target(self) -> str:
        """The address on which the server listens."""
        return str(self.events("serving")[0]["listen"])

    @property
    def http_url(self) -> str:
        """The URL of its HTTP server."""
        return str(self.events("serving")[0]["http"])

    @property
    def memory_mib(self) -> float:
        """The memory that the server's first process uses, in MiB."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def connect(self) -> socket.socket:
        """Open a connection to the server, without gRPC."""
        host, _, port = self.target.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)

    @property
    def worker_ids(self) -> dict[int, int]:
        """The process id of each worker from its last start event, which needs ``--log-level debug``."""
        return {event["worker"]: event["process_id"] for event in self.events("worker serves")}

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log's events with one name."""
        parsed = (json.loads(line) for line in list(self.lines) if line.startswith("{"))
        return [event for event in parsed if event["event"] == name]

    def stop(self) -> int:
        """Ask the server to end, and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return status

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
        self.process.stderr.close()


@contextmanager
def store_process(binary: Path, directory: Path, *options: str) -> Iterator[str]:
    """Run a store that is not embedded and yield its URL. Its default is to sync the append-only file at each write."""
    socket = directory / "store.sock"
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    command: tuple[str | Path, ...]
    command = (binary, "--port", "0", "--unixsocket", socket, "--dir", directory, "--save", "", *(options or durable))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        url = f"unix://{socket}"
        wait_until(lambda: answers(url), what="the store answers")
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
