"""The README of an SDK: its shell blocks run as written, in a copy of a fresh clone, against a real server.

A block runs at the root of the clone. These comments before a block change that:

* ``<!-- run: in your project -->``: it runs in an empty folder with the program of the check, which uses the SDK.
* ``<!-- run: never, REASON -->``: it does not run. `test_readmes` lists these blocks.

``/path/to/tallykeeper`` in a block is the clone.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.conformance.build_tools import build
from tests.docs.markdown import Block, blocks
from tests.sdks.examples import LINES, ROOT, see_each_change_counted_once, server
from tests.sdks.suites import Check, CheckFailedError, Command

IN_YOUR_PROJECT: Final = "in your project"
NEVER: Final = "never, "
_CLONE: Final = "/path/to/tallykeeper"
_ADDRESS: Final = "TALLYKEEPER_ADDRESS"


@dataclass(frozen=True, slots=True)
class OwnProject:
    """A program that adds the SDK as its README says, and increments a counter in the namespace ``example-own``."""

    files: Mapping[str, str]
    run: Sequence[str]
    """The command that starts it. It prints 1 as its last line."""


@dataclass(frozen=True, slots=True)
class Readme:
    """The README of an SDK, and what its commands find."""

    page: Path
    project: OwnProject | None = None
    environment: Callable[[Path], Mapping[str, str]] = field(default=lambda _: {})
    """Returns variables for all commands, so that they use caches of this machine and change nothing outside of a
    temporary folder, which it takes."""


def shell_blocks(page: Path) -> list[Block]:
    """Return the shell blocks of a README, with those that do not run."""
    return [block for block in blocks(page) if block.language == "sh"]


def readme(of: Readme) -> Check:
    """Return the check that runs the shell blocks of a README."""
    return Check("commands of README", lambda: _play(of))


def _play(of: Readme) -> str:
    with server() as serving, TemporaryDirectory(prefix="tallykeeper-clone-") as name:
        folder = Path(name)
        clone, project = folder / "clone", folder / "project"
        _copy_checkout(clone)
        environment = {**os.environ, **of.environment(folder), _ADDRESS: serving.target}
        project.mkdir()
        for file, text in (of.project.files if of.project else {}).items():
            (project / file).write_text(text)
        ran, printed = 0, ""
        for block in shell_blocks(of.page):
            if not block.directive.startswith(NEVER):
                printed += _run(block, project if block.directive == IN_YOUR_PROJECT else clone, clone, environment)
                ran += 1
        if "\n".join(LINES) not in printed:
            message = f"the commands of {of.page} do not print the lines of the example:\n{printed}"
            raise CheckFailedError(message)
        see_each_change_counted_once(serving.target, runs=1)
        if of.project is not None:
            _run_project(of.project, project, environment)
    return f"{ran} blocks"


def _run_project(of: OwnProject, folder: Path, environment: Mapping[str, str]) -> None:
    printed = Command(of.run, folder, environment).output()
    if printed.splitlines()[-1:] != ["1"]:
        message = f"a program with the SDK printed something else than 1:\n{printed}"
        raise CheckFailedError(message)


def _run(block: Block, folder: Path, clone: Path, environment: Mapping[str, str]) -> str:
    """Run a block, which may fetch packages, and return what it printed."""
    script, output = clone.parent / "block.sh", clone.parent / "output"
    script.write_text(f"set -e\n{block.text.replace(_CLONE, str(clone))}\n")
    command = f"set -o pipefail; bash {script} 2>&1 </dev/null | tee {output}"
    build(["bash", "-c", command], folder=folder, environment=environment)
    return output.read_text()


def _copy_checkout(target: Path) -> None:
    """Copy the files that git knows, and those that it would know, as a fresh clone has them."""
    listed = subprocess.run(
        [shutil.which("git") or "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)


def maven_environment(folder: Path) -> Mapping[str, str]:
    """Return the variables with which Maven installs into a folder, and finds what it has fetched before."""
    cached, own = Path.home() / ".m2" / "repository", folder / "repository"
    (own / "io").mkdir(parents=True)
    for group in [*_folders(cached), *_folders(cached / "io")]:
        target = own / group.relative_to(cached)
        if group.name != "tallykeeper" and not target.exists():
            target.symlink_to(group)
    return {"MAVEN_OPTS": f"-Dmaven.repo.local={own}"}


def _folders(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.is_dir()] if folder.is_dir() else []
