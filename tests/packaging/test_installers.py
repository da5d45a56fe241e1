"""The wheel as its users install it: with pipx, and with uvx, which runs it without an installation.

Both get the newest versions of the requirements that pyproject.toml permits, because users get them. The other tests
run with the locked versions.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.build_tools import NoPackagesError, build
from tests.support.server import PATIENCE_SECONDS, ServerProcess

pytestmark = pytest.mark.long

UVX: Final = Path(sys.executable).with_name("uvx")
_OWN: Final = ("HOME", "VIRTUAL_ENV", "XDG_", "PIPX_", "PYTHON", "TALLYKEEPER_")
"""The beginnings of the variables that say where a user keeps programs, or what they do."""


@pytest.fixture
def newcomer(tmp_path: Path) -> Mapping[str, str]:
    """The environment of a user with an empty home, who has nothing of this checkout on PATH."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    return {**kept, "HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "COLUMNS": "120"}


def get(command: list[str], environment: Mapping[str, str]) -> None:
    """Run a command that downloads packages, or skip the test if they cannot be had."""
    without = [f"--unset={name}" for name in os.environ if name not in environment]
    try:
        build(["env", *without, *command], environment=environment)
    except NoPackagesError as error:
        pytest.skip(f"the requirements of the wheel cannot be had: {error}")


def serve_and_play(program: Path, environment: Mapping[str, str], folder: Path) -> None:
    """Start a server with a program in an empty folder, ask for its health, play the demo, and stop it."""
    folder.mkdir()
    with ServerProcess(workers=None, program=program, environment=environment, cwd=folder) as server:
        for command, output in (("health", "serving\n"), ("demo", "10 of 50 buyers served")):
            ran = subprocess.run(
                [program, command, "--target", server.target],
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE_SECONDS,
                env=environment,
                cwd=folder,
            )
            assert ran.returncode == 0, ran.stderr
            assert output in ran.stdout
        assert server.stop() == 0
    assert (folder / "tallykeeper-data").is_dir()


def test_pipx_installs_a_program_that_serves_and_plays_the_demo(
    wheel: Path, newcomer: Mapping[str, str], tmp_path: Path
) -> None:
    python = sys.executable
    get([str(UVX), "--python", python, "pipx", "install", "--python", python, str(wheel)], newcomer)

    installed = Path(newcomer["HOME"], ".local", "bin", "tallykeeper")
    assert tmp_path in installed.resolve().parents
    serve_and_play(installed, newcomer, tmp_path / "work")


def test_uvx_runs_a_server_without_an_installation(wheel: Path, newcomer: Mapping[str, str], tmp_path: Path) -> None:
    run = [str(UVX), "--quiet", "--python", sys.executable, "--from", str(wheel), "tallykeeper"]
    get([*run, "--version"], newcomer)

    program = tmp_path / "uvx-tallykeeper"
    program.write_text(f'#!/bin/sh\nexec {" ".join(run)} "$@"\n')
    program.chmod(0o755)
    serve_and_play(program, newcomer, tmp_path / "work")
    assert not Path(newcomer["HOME"], ".local", "bin").exists()
