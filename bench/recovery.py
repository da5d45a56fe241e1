"""Measures the time that a server takes to start on data of several sizes: ``python -m bench.recovery 100000 1000000``.

Each size is measured twice: with the file as changes were appended to it, and after the store has rewritten it. The
times are those of a start on the data, minus those of a start on no data. One is the time until the server serves. The
other is the CPU time of the store's process, which is the same on a busy machine. The page cache has the files, as
after a crash of the process. A disk adds its own time after a power cut.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from json import loads
from pathlib import Path
from statistics import median
from typing import Final

import redis

from tallykeeper_client import AsyncClient, operations
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary

_SIZES: Final = (100_000, 1_000_000)
_BATCH: Final = 1_000
_STARTS: Final = 3
_TALLYKEEPER: Final = Path(sys.executable).with_name("tallykeeper")
_POLL_SECONDS: Final = 0.1


@contextmanager
def _server(data_dir: Path) -> Iterator[tuple[str, float]]:
    """Run a server. Yield its address, and the time until it served."""
    began = time.perf_counter()
    command: list[str | Path] = [
        _TALLYKEEPER,
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--http-listen",
        "",
        "--workers",
        "1",
        "--data-dir",
        data_dir,
    ]
    process = subprocess.Popen([*command, "--log-format", "json"], stderr=subprocess.PIPE, text=True)  # noqa: S603  # ours
    try:
        if process.stderr is None:
            raise RuntimeError(command)
        for line in process.stderr:
            event = loads(line) if line.startswith("{") else {}
            if event.get("event") == "serving":
                yield event["listen"], time.perf_counter() - began
                break
        else:
            message = f"the server on {data_dir} ended with {process.wait()}"
            raise RuntimeError(message)
    finally:
        process.terminate()
        process.communicate()


async def _fill(target: str, size: int) -> None:
    """Set a number of stock levels, each by its own change."""
    async with AsyncClient(target, namespace="recovery") as client:
        for first in range(0, size, _BATCH):
            names = range(first, min(first + _BATCH, size))
            await client.apply([operations.set_stock(f"item-{n:07}", n % 1_000) for n in names], atomic=False)


def _rewrite(url: str) -> None:
    with redis.Redis.from_url(url) as store:
        store.bgrewriteaof()
        while any(store.info("persistence")[f"aof_rewrite_{state}"] for state in ("in_progress", "scheduled")):
            time.sleep(_POLL_SECONDS)


def _seconds_to_start(data_dir: Path) -> tuple[float, float]:
    """Return the time until a server serves, and the CPU time of its store at this moment: medians of some starts."""
    times, cpu_times = [], []
    for _ in range(_STARTS):
        with _server(data_dir) as (_, seconds):
            times.append(seconds)
            with redis.Redis.from_url(EmbeddedStore(data_dir, find_binary(None)).url) as store:
                used = store.info("cpu")
            cpu_times.append(used["used_cpu_user"] + used["used_cpu_sys"])
    return median(times), median(cpu_times)


def _row(size: int, form: str, data_dir: Path, empty: tuple[float, float]) -> str:
    gigabytes = sum(file.stat().st_size for file in (data_dir / "appendonlydir").iterdir()) / 1e9
    seconds, cpu = (full - none for full, none in zip(_seconds_to_start(data_dir), empty, strict=True))
    return (
        f"{size:>10,}  {form:<9}  {gigabytes:6.3f} GB  {seconds:6.2f} s, {cpu:6.2f} s of CPU time"
        f"  {cpu / gigabytes:6.1f} s of CPU time for a GB"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure, and print a line for each size and form."""
    sizes = [int(word) for word in sys.argv[1:]] or _SIZES
    with tempfile.TemporaryDirectory(prefix="tallykeeper-recovery-") as directory:
        empty = _seconds_to_start(Path(directory) / "empty")
        _say(f"a start without data: {empty[0]:.2f} s")
        for size in sizes:
            data_dir = Path(directory) / str(size)
            with _server(data_dir) as (target, _):
                asyncio.run(_fill(target, size))
            _say(_row(size, "appended", data_dir, empty))
            with _server(data_dir):
                _rewrite(EmbeddedStore(data_dir, find_binary(None)).url)
            _say(_row(size, "rewritten", data_dir, empty))


if __name__ == "__main__":
    main()
