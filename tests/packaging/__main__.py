"""Installs what ``make dist`` or ``make dist-compiled`` wrote as users do, and plays the demo: ``make test-dist``."""

import os
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from tests.packaging.users_steps import options_of_choice, played_demo
from tests.support.server import ServerProcess
from tools.compiled_server import MODULES
from tools.dist import ROOT, compiled_wheels

LOCK: Final = ROOT / "requirements" / "runtime.txt"
_NO_COMPILER: Final = {"CC": "/nonexistent/cc", "CXX": "/nonexistent/c++"}
_COMPILED: Final = """
import importlib.machinery, importlib.util, sys
suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
for module in sys.argv[1:]:
    name = 'tallykeeper_server.' + module.removesuffix('.py').replace('/', '.')
    if importlib.util.find_spec(name).origin.endswith(suffixes):
        print(module)
"""
"""Prints those of the named modules of the installed server that Python imports as compiled ones."""


class WrongInstallationError(Exception):
    """The installed release does not do what it should. The message says what."""


def main(folder: Path) -> int:
    """Install from the folder and play the demo. Return 1 if pip installs another wheel than it should, or it fails."""
    expected = set(MODULES) if any(map(fits, compiled_wheels(folder))) else set()
    try:
        with TemporaryDirectory() as temporary:
            programs = install(folder, Path(temporary, "environment"))
            check_modules(programs, expected)
            play_demo(programs, Path(temporary))
    except (WrongInstallationError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(f"The release in {folder} plays the demo with {len(expected)} compiled modules.")  # noqa: T201
    return 0


def fits(wheel: Path) -> bool:
    """Return True if pip can install a wheel with this Python."""
    return bool(parse_wheel_filename(wheel.name)[3] & set(sys_tags()))


def install(folder: Path, environment: Path) -> Path:
    """Install the locked requirements and then what pip chooses in the folder. Return the folder of the programs."""
    venv.create(environment, with_pip=True)
    programs = environment / "bin"
    pip: list[str | Path] = [programs / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    variables = {**os.environ, **_NO_COMPILER}
    locked: list[str | Path] = ["--require-hashes", "--only-binary", ":all:", "--requirement", LOCK]
    subprocess.run([*pip, *locked], check=True, env=variables)
    subprocess.run([*pip, *options_of_choice(folder), "tallykeeper"], check=True, env=variables)
    return programs


def check_modules(programs: Path, expected: set[str]) -> None:
    """Check which modules of the installed server are compiled.

    :raises WrongInstallationError: they are others than expected.
    """
    command: list[str | Path] = [programs / "python", "-P", "-c", _COMPILED, *MODULES]
    compiled = set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    if compiled != expected:
        message = f"{len(compiled)} modules are compiled, not {len(expected)}; different: {sorted(compiled ^ expected)}"
        raise WrongInstallationError(message)


def play_demo(programs: Path, folder: Path) -> None:
    """Start the installed server, play the demo with it, and stop it.

    :raises WrongInstallationError: the demo fails, or the server ends with another status than 0.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TALLYKEEPER_"))}
    tallykeeper = programs / "tallykeeper"
    with ServerProcess(workers=None, program=tallykeeper, environment=variables, cwd=folder) as server:
        demo = played_demo(tallykeeper, server, folder, variables)
        status = server.stop()
    if demo.returncode or "10 of 50 buyers served" not in demo.stdout or status or server.events("defect"):
        message = f"the demo ended with {demo.returncode}, and the server with {status}: {demo.stdout}{demo.stderr}"
        raise WrongInstallationError(message)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
