"""Starts of ``tallykeeper serve`` that must fail, with the real program."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.server import ANY_PORTS, PATIENCE_SECONDS, TALLYKEEPER


def run_serve(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``tallykeeper serve`` until it ends without a signal."""
    return subprocess.run(
        [TALLYKEEPER, "serve", *arguments],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        timeout=PATIENCE_SECONDS,
    )


def wrong_setting(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the one line about a setting that is invalid in itself."""
    return _one_line(run_serve(*arguments, environment=environment), status=2)


def refused_start(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the one line that is said when the server cannot start as its settings ask."""
    return _one_line(run_serve(*ANY_PORTS, *arguments, environment=environment), status=1)


def sabotage(directory: Path, code: str) -> Mapping[str, str]:
    """Return an environment in which each worker runs some code before it begins."""
    (directory / "sitecustomize.py").write_text(
        f"import os, sys\nif 'tallykeeper_server.workers.worker' in sys.orig_argv:\n    {code}\n"
    )
    return {**os.environ, "PYTHONPATH": str(directory)}


def _one_line(finished: subprocess.CompletedProcess[str], *, status: int) -> str:
    assert finished.returncode == status, finished.stderr
    assert not finished.stdout
    (line,) = finished.stderr.splitlines()
    return line
