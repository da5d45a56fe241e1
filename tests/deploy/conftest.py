"""The programs of other projects, as fixtures. A test is skipped where its program is not there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.tools import SCHEMAS, path_of


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Return the path of a program, or skip the test."""

    def find(name: str) -> Path:
        path = SCHEMAS if name == "schemas" else path_of(name)
        if not path.exists():
            pytest.skip(f"{name} is not in .venv/deploy: make deploy-check gets it")
        return path

    return find
