"""The stores: a Redis from PATH with either way of syncing, and the embedded Valkey."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from bench.processes import Process
from tallykeeper_server.store.embedded.valkey import STORE_ENVIRONMENT, find_binary


@dataclass(frozen=True, slots=True)
class StoreKind:
    """A store for measurements. ``fsync`` is Redis's appendfsync."""

    name: str
    binary: Path
    fsync: str

    @property
    def title(self) -> str:
        """The name of the store in the report."""
        return f"{self.name}, fsync {self.fsync}"


@dataclass(frozen=True, slots=True)
class Store:
    """A running store."""

    url: str
    socket: Path
    process: Process


ALWAYS: Final = "always"
EVERYSEC: Final = "everysec"


def compared_stores() -> dict[str, StoreKind]:
    """Return the stores on which everything is compared, by appendfsync.

    They run redis-server from PATH, or else the Valkey of the embedded store. With Valkey, goals that name Redis are
    measured on it, and the titles say so.
    """
    on_path = shutil.which("redis-server")
    name, binary = ("Redis from PATH", Path(on_path)) if on_path else ("embedded Valkey", find_binary(None))
    return {fsync: StoreKind(name, binary, fsync) for fsync in (ALWAYS, EVERYSEC)}


def embedded_store() -> StoreKind:
    """Return the store that a server starts by itself, with its promise that each write is synced."""
    return StoreKind("embedded Valkey", find_binary(None), ALWAYS)


@contextlib.contextmanager
def running_store(kind: StoreKind, directory: Path) -> Iterator[Store]:
    """Run a store with its data below the given directory. Its socket is elsewhere, because that path must be short."""
    data = Path(tempfile.mkdtemp(dir=directory))
    with tempfile.TemporaryDirectory(prefix="tk-bench-") as socket_directory:
        path = Path(socket_directory, "store.sock")
        settings = {
            "port": "0",
            "unixsocket": str(path),
            "dir": str(data),
            "appendonly": "yes",
            "appendfsync": kind.fsync,
            "no-appendfsync-on-rewrite": "no",
            # Rewriting a file would use one core for seconds during a measurement.
            "auto-aof-rewrite-percentage": "0",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        command = [str(kind.binary), *(word for name, value in settings.items() for word in (f"--{name}", value))]
        with Process(command, log=data / "log", environment=STORE_ENVIRONMENT) as process:
            url = f"unix://{path}"
            process.wait_for(lambda: _answers(url))
            yield Store(url, path, process)
    shutil.rmtree(data, ignore_errors=True)


def _answers(url: str) -> bool:
    with redis.Redis.from_url(url) as connection, contextlib.suppress(redis.RedisError):
        return bool(connection.ping())
    return False
