"""Processes of the benchmark: their start, their CPU time, and their end."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 20.0
_LOG_CHARACTERS: Final = 20_000
"""The maximum number of a log's characters that are shown. A store that crashes writes a long report."""


class _FailedError(RuntimeError):
    """A process has ended. The message ends with its last output."""

    def __init__(self, log: Path, how: str) -> None:
        super().__init__(f"{log} {how}: {log.read_text(errors='replace')[-_LOG_CHARACTERS:]}")


class Process:
    """A process that ends with its context."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start a command whose output goes into a log."""
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, user=user, env=environment)  # noqa: S603  # ours

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def id(self) -> int:
        """Return the process id."""
        return self._process.pid

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds.

        :raises RuntimeError: the process ended before that, or it took too long.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise _FailedError(self._log, "does not start")
            time.sleep(0.05)

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process and its children have used.

        :raises RuntimeError: the process has ended, so that its measurement is invalid.
        """
        if (status := self._process.poll()) is not None:
            raise _FailedError(self._log, f"ended with status {status}")
        return sum(_cpu_seconds(process) for process in self._family())

    def resident_bytes(self) -> list[int]:
        """Return the memory of the process and of each of its children."""
        return [process.memory_info().rss for process in self._family()]

    def _family(self) -> list[Any]:
        process = _psutil().Process(self._process.pid)
        return [process, *process.children(recursive=True)]


def busy_seconds() -> float:
    """Return the seconds for which all cores together have been busy since the machine started."""
    times = _psutil().cpu_times()
    return float(times.user + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0))


def python(module: str, *words: str | int) -> list[str]:
    """Return the command that runs a module of the benchmark."""
    return [sys.executable, "-m", module, *map(str, words)]


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Return True if a process listens on a local port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _psutil() -> Any:  # noqa: ANN401  # it has no types
    """Return psutil. Only the benchmark installs it, and the tests of this package run without it."""
    import psutil  # noqa: PLC0415  # only this check needs psutil

    return psutil


def _cpu_seconds(process: Any) -> float:  # noqa: ANN401  # psutil has no types here
    used = process.cpu_times()
    return float(used.user + used.system)
