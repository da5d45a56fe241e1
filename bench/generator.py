"""The load generator: compiled from load.c when it is first needed, and run as a process of its own."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SOURCE: Final = Path(__file__).with_name("load.c")
CONNECTIONS_MAX: Final = 8
_NUMBER: Final = b"0000"
REQUEST_ID: Final = "x" * 32
"""What stands in a request where the generator puts an id of its own."""
ITEM: Final = f"item-{_NUMBER.decode()}"
"""What the generator makes item-0000 .. item-0999 of."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """How many calls came out in one way, and how long they took, in microseconds."""

    calls: int
    p50: int
    p99: int
    p999: int
    max: int


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the generator saw. ``cpu_seconds`` is what it used itself."""

    seconds: float
    cpu_seconds: float
    succeeded: Latencies
    refused: Latencies

    @property
    def calls_per_second(self) -> float:
        """Calls that succeeded."""
        return self.succeeded.calls / self.seconds


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is made again and again: the method's path, and the message."""

    path: str
    message: bytes


class Generator:
    """Runs loads; its files lie in a directory of the caller's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._program = directory / "load"
        _compile(self._program)

    def run(
        self,
        port: int,
        request: Request,
        *,
        in_flight: int,
        warm_up: float,
        seconds: float,
        rate: float = 0.0,
        connections: int = CONNECTIONS_MAX,
    ) -> Load:
        """Keep so many calls under way at a local port, for so many seconds after the warm-up.

        With a ``rate``, begin so many calls a second instead, as long as no more than ``in_flight`` are under way.

        :raises RuntimeError: the generator ended with an error.
        """
        body = self._directory / "request.bin"
        body.write_bytes(request.message)
        places = [request.message.find(sign) for sign in (REQUEST_ID.encode(), _NUMBER)]
        connections = min(in_flight, connections)
        words = ("127.0.0.1", port, request.path, body, connections, in_flight, warm_up, seconds, *places, rate)
        run = subprocess.run([self._program, *map(str, words)], capture_output=True, text=True, check=False)  # noqa: S603  # ours
        if run.returncode:
            raise RuntimeError(run.stderr.strip())
        told: dict[str, Any] = json.loads(run.stdout)
        succeeded, refused = (Latencies(**told[name]) for name in ("succeeded", "refused"))
        return Load(told["seconds"], told["cpu_seconds"], succeeded, refused)


def _compile(program: Path) -> None:
    """Compile the generator with the machine's compiler, or else with the one of the ziglang wheel."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    command = [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc"]
    subprocess.run([*command, "-O2", "-o", program, SOURCE], check=True)  # noqa: S603  # a compiler
