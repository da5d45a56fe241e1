"""The wheel of this working tree."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this working tree."""
    directory = tmp_path_factory.mktemp("wheel")
    command: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return built


def tracked_files() -> list[Path]:
    """Return the files that git tracks, or skip the test if this is no clone."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    if listed.returncode:
        pytest.skip("this is no clone of git")
    return [Path(name) for name in listed.stdout.split("\0") if name and (_ROOT / name).is_file()]
