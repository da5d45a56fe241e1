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
