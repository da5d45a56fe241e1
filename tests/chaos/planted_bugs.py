"""Planted bugs: each is planted alone, and the harness must catch it, because a check that cannot fail is useless.

A patch begins with the scenario that must catch it and with a description of the bug. A diff of the repository follows.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.report import Outcome
from tests.chaos.scenario_run import run

_PATCHES: Final = Path(__file__).with_name("planted")
_ROOT: Final = Path(__file__).parents[2]
_ROOTS: Final = ("server", "lua")
_TRIES: Final = 4
_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug that a patch plants."""

    name: str
    scenario: str
    description: str
    patch: Path


def bugs() -> Iterator[Bug]:
    """Yield all bugs."""
    for patch in sorted(_PATCHES.glob("*.patch")):
        scenario, description, *_ = patch.read_text().splitlines()
        yield Bug(patch.stem, scenario.removeprefix("scenario: "), description, patch)


def plant(bug: Bug, directory: Path) -> dict[str, str]:
    """Make a copy of the server with the bug. Return the environment variables that make a process run the copy."""
    for root in _ROOTS:
        shutil.copytree(_ROOT / root, directory / root, ignore=shutil.ignore_patterns("__pycache__"))
    surroundings = {**os.environ, "GIT_CEILING_DIRECTORIES": str(directory.parent)}
    subprocess.run(["git", "apply", bug.patch], cwd=directory, check=True, env=surroundings)  # noqa: S607  # git's path
    return {"PYTHONPATH": os.pathsep.join(str(directory / root) for root in _ROOTS)}


def hunt(bug: Bug, *, seed: int) -> Outcome:
    """Run the scenario with the bug, until there are violations or the tries are used up."""
    with tempfile.TemporaryDirectory(prefix="tk-planted-") as directory:
        environment = plant(bug, Path(directory))
        outcome = Outcome(bug.scenario)
        for index in range(_TRIES):
            outcome.add(run(bug.scenario, seed=seed + index, seconds=_SECONDS, environment=environment))
            if outcome.violations:
                break
    return outcome
