"""The load generator. It is compiled from load.c when it is first needed, and runs in a separate process."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SOURCE: Final = Path(__file__).with_name("load.c")
CONNECTIONS_MAX: Final = 16
"""The connections of a load with many calls in flight. The kernel gives each connection to a worker by a hash of the
addresses. With fewer connections, one of two workers would be idle too often."""
FIELDS: Final = ("grpc-timeout:20S", "user-agent:tallykeeper-bench/1.0", "x-tenant:bookshop")
"""The header fields of a call in addition to the required ones: a deadline and metadata, as gRPC's clients send."""
_NUMBER: Final = b"0000"
REQUEST_ID: Final = "x" * 32
"""The text in a request that the generator replaces by an id that no other call has."""
ITEM: Final = f"item-{_NUMBER.decode()}"
"""The text in a request that the generator replaces by item-0000 to item-0999."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """The number of calls with one outcome, and their latencies in microseconds."""

    calls: int
    p50: int
    p99: int
    p999: int
    max: int


@dataclass(frozen=True, slots=True)
class Load:
    """The figures of one run of the generator."""

    seconds: float
    cpu_seconds: float
    """The CPU time of the generator itself, in seconds."""
    begun: int
    """The number of calls that were begun after the warm-up."""
    all_succeeded: int
    """The number of calls that succeeded, with those of the warm-up."""
    delayed: int
    """The number of refusals whose trailers have a delay for a retry."""
    succeeded: Latencies
    refused: Latencies

    @property
    def calls_per_second(self) -> float:
        """The number of calls a second that succeeded."""
        return self.succeeded.calls / self.seconds


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is made repeatedly: the method's path, the message, and further header fields."""

    path: str
    message: bytes
    fields: tuple[str, ...] = FIELDS


class Generator:
    """Runs loads. Its program and files are in a directory that the caller gives."""

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
        tls: bool = False,
    ) -> Load:
        """Keep ``in_flight`` calls in flight at a local port, for a time after the warm-up.

        With a ``rate``, begin this number of calls a second instead, while no more than ``in_flight`` are in flight.

        :raises RuntimeError: the generator ended with an error.
        """
        body = self._directory / "request.bin"
        body.write_bytes(request.message)
        id_at, number_at = (request.message.find(sign) for sign in (REQUEST_ID.encode(), _NUMBER))
        options = {
            "-c": min(in_flight, connections), "-f": in_flight, "-w": warm_up, "-s": seconds, "-r": rate, "-i": id_at,
            "-d": number_at,
        }  # fmt: skip
        words = [str(word) for option in options.items() for word in option]
        words += [word for field in request.fields for word in ("-H", field)]
        words += [*(["-T"] if tls else []), "127.0.0.1", str(port), request.path, str(body)]
        run = subprocess.run([self._program, *words], capture_output=True, text=True, check=False)  # noqa: S603  # ours
        if run.returncode:
            raise RuntimeError(run.stderr.strip())
        reply: dict[str, Any] = json.loads(run.stdout)
        succeeded, refused = (Latencies(**reply.pop(name)) for name in ("succeeded", "refused"))
        return Load(**reply, succeeded=succeeded, refused=refused)


def _compile(program: Path) -> None:
    """Compile the generator with the machine's compiler, or else with the compiler of the ziglang wheel."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    command = [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc"]
    subprocess.run([*command, "-O2", "-o", program, SOURCE, "-ldl"], check=True)  # noqa: S603  # a compiler
