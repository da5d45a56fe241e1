"""The steps of a user that several tests take: pip's choice among wheels in a folder, and the demo."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.server import PATIENCE_SECONDS, ServerProcess


def options_of_choice(folder: Path) -> list[str | Path]:
    """Return the options by which pip chooses a wheel in a folder, without an index and without requirements."""
    return ["--no-index", "--no-deps", "--only-binary", ":all:", "--find-links", folder]


def played_demo(
    program: Path, server: ServerProcess, folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Play the demo of a program with a server, in a folder and a wide terminal. Return how it has ended."""
    return subprocess.run(
        [program, "demo", "--target", server.target],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE_SECONDS,
        env={**environment, "COLUMNS": "120"},
    )
