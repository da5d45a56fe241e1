"""Servers of this version and of an older one, which comes from the history of the repository."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from tests.support.server import PATIENCE_SECONDS, wait_until

ROOT: Final = Path(__file__).parents[2]
FORMER_REVISION: Final = "3aace0b995e71fbfec89cb810edb0927e8ff033f"
"""The revision that `make upgrade-check` compares with: the last one before the modules moved to their folders."""
_SOURCES: Final = ("protos", "lua", "server", "client")
"""The source roots of a version."""
_SERVE: Final = (
    "try:\n    from tallykeeper_server.cli.serve import serve\n"
    "except ImportError:\n    from tallykeeper_server.cli import serve\n"
    "serve(prog_name='tallykeeper')"
)
_FORMAT: Final = re.compile(r"^DATA_FORMAT: Final = ([0-9]+)$", re.MULTILINE)


class NoRevisionError(Exception):
    """The older version cannot be had. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of Tallykeeper that can serve."""

    name: str
    sources: Path
    """The folder with the source roots."""
    environment: Mapping[str, str] = field(repr=False)

    @property
    def data_format(self) -> int:
        """The format that the version writes."""
        (path,) = (self.sources / "server").rglob("data_format.py")
        found = _FORMAT.search(path.read_text(encoding="utf-8"))
        if found is None:
            message = f"{path} names no format"
            raise ValueError(message)
        return int(found[1])


def this_version() -> Version:
    """Return the version of this checkout."""
    return _version_in(ROOT, "new")


def former_version(revision: str, folder: Path, *, repository: Path = ROOT) -> Version:
    """Copy a revision's sources into a folder, and return it as a version.

    :raises NoRevisionError: there is no git, or the history does not have the revision.
    """
    git = shutil.which("git")
    if git is None:
        message = "there is no git on PATH"
        raise NoRevisionError(message)
    command = [git, "-C", str(repository), "archive", "--format=tar", revision, *_SOURCES]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        reason = archive.stderr.decode(errors="replace").strip().splitlines() or ["git archive failed"]
        message = f"the history here does not have revision {revision} ({reason[-1]})"
        raise NoRevisionError(message)
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return _version_in(folder, "old")


def _version_in(folder: Path, name: str) -> Version:
    # The paths stand before those of the installed package, so each process has the modules of one version.
    path = os.pathsep.join(str(folder / root) for root in _SOURCES)
    environment = {**os.environ, "PYTHONPATH": path, "TALLYKEEPER_HTTP_LISTEN": "127.0.0.1:0"}
    return Version(name, folder, environment)


class RunningServer:
    """A server of a version, in its own process, from its start to its end."""

    def __init__(self, version: Version, *arguments: str) -> None:
        """Start it. Enter the context to wait until it serves."""
        self.version = version
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _SERVE, "--log-format", "json", "--workers", "1", *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env=version.environment,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        wait_until(lambda: bool(self._serving()) or self._process.poll() is not None, what="the server serves")
        if not self._serving():
            message = f"the {self.version.name} version does not serve: {self.lines}"
            raise AssertionError(message)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self.ended()

    @property
    def target(self) -> str:
        """The address at which it listens."""
        return str(self._serving()[0]["listen"])

    def ended(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        status = self._process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return status

    def refusal(self) -> tuple[int, str]:
        """Return the exit status and the output of a server that must not serve. Stop it if it does: status 0."""
        wait_until(lambda: bool(self._serving()) or self._process.poll() is not None, what="the server refuses")
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.ended(), "\n".join(self.lines)

    def _serving(self) -> Sequence[Mapping[str, Any]]:
        events = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [event for event in events if event.get("event") == "serving"]

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line.rstrip())
        self._process.stderr.close()
