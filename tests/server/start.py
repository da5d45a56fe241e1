"""Starts of ``tallykeeper serve`` that must fail."""

import io
import os
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tallykeeper_cli.main import main
from tallykeeper_server.cli import serve
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


def wrong_setting(*arguments: str) -> str:
    """Return the one line about a setting that is invalid in itself.

    The command runs in this process, because the program would take a quarter of a second to load each time.
    """
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors), pytest.MonkeyPatch.context() as patch:
        patch.setattr(serve, "captured_output", _never)
        status = main(["serve", *arguments])
    return _one_line(subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue()), status=2)


def _never() -> None:
    message = "the settings are valid, and the server starts"
    raise AssertionError(message)


def wrong_setting_of_program(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the same line from the program."""
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
