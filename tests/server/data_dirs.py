"""Data directories for the tests: a server makes them, and the tests damage them."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tests.support.client import Caller
from tests.support.server import PATIENCE_SECONDS, TALLYKEEPER, ServerProcess

COUNTER = "visits"
UNSHARE = (shutil.which("unshare") or "unshare", "--user", "--map-root-user")


def make_data(data_dir: Path, value: int = 7) -> Path:
    """Run a server in a new data directory, add ``value`` to the counter, and return the directory."""
    with ServerProcess("--data-dir", str(data_dir)) as server:
        increment(server, value)
    return data_dir


def increment(server: ServerProcess, delta: int = 1) -> int:
    """Increment the counter, and return its new value."""
    call = Caller(server.target)
    value = int(call(IncrementRequest(counter=COUNTER, delta=delta)).counter.value)
    call.close()
    return value


def value_of(server: ServerProcess) -> int:
    """Return the counter's value."""
    call = Caller(server.target)
    value = int(call(GetCounterRequest(counter=COUNTER)).counter.value)
    call.close()
    return value


def appended(data_dir: Path) -> Path:
    """Return the path of the append-only file that a store writes."""
    (file,) = (data_dir / "appendonlydir").glob("*.incr.aof")
    return file


def manifest_of(data_dir: Path) -> Path:
    """Return the path of the manifest."""
    return data_dir / "appendonlydir" / "appendonly.aof.manifest"


def format_of(data_dir: Path) -> dict[str, Any]:
    """Return the content of the format file."""
    values: dict[str, Any] = json.loads((data_dir / "format.json").read_text())
    return values


def store_socket(data_dir: Path) -> Path:
    """Return the path of the socket of a data directory's store."""
    return Path(EmbeddedStore(data_dir, find_binary(None)).url.removeprefix("unix://"))


def content_of(directory: Path) -> Mapping[str, tuple[int, bytes]]:
    """Return the mode and the content of all files in a directory except the lock file."""
    return {
        str(path.relative_to(directory)): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in (directory, *directory.rglob("*"))
        if path.name != "lock"
    }


def namespaces_can_be_made(kind: str) -> bool:
    """Return True if this process may make namespaces of process ids (``pid``) or of mounts (``mount``)."""
    if shutil.which(UNSHARE[0]) is None:
        return False
    command = [*UNSHARE, "--fork", f"--{kind}", "true"]
    return subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_SECONDS).returncode == 0


def run_on_full_disk(place: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of ``tallykeeper`` that writes to a new directory, with a file system of 8 KiB mounted there.

    The output is the exit code of the command, and then the name of each file that the command has left.
    """
    place.mkdir()
    script = 'mount -t tmpfs -o size=8k tmpfs "$0" && { "$@"; echo "$?"; ls -A "$0"; }'
    return subprocess.run(
        [*UNSHARE, "--mount", "sh", "-c", script, place, TALLYKEEPER, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
