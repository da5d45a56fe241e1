"""Installs the locked requirements and this project into .venv, unless they are installed already.

Arguments name further locks in requirements/ to install, such as ``bench``.

`make` runs this program if a file is newer. The program itself compares contents. It needs only the standard library.
"""

import fcntl
import filecmp
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

VENV: Final = Path(".venv")
LOCKS: Final = Path("requirements")
LOCK: Final = LOCKS / "dev.txt"
PROJECT: Final = Path("pyproject.toml")


def main() -> None:
    """Install the missing packages. Of several simultaneous runs, the first installs and the others wait."""
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_installed(LOCK):
            print(f"Installing the locked requirements into {VENV} …", flush=True)
            # Made again, so that it holds exactly the packages of the lock.
            _run(sys.executable, "-m", "venv", "--clear", str(VENV))
            _pip_install("--require-hashes", "--requirement", str(LOCK))
            _note_installed(LOCK)
        if not _is_installed(PROJECT):
            # Editable, so that a changed source needs no new install. A changed pyproject.toml needs one.
            _pip_install("--no-deps", "--no-build-isolation", "--editable", ".")
            _note_installed(PROJECT)
        for name in sys.argv[1:]:
            further = LOCKS / f"{name}.txt"
            if not _is_installed(further):
                print(f"Installing the additional requirements of {name} …", flush=True)
                _pip_install("--require-hashes", "--requirement", str(further))
                _note_installed(further)


def _pip_install(*arguments: str) -> None:
    _run(f"{VENV}/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install", *arguments)


def _run(*command: str) -> None:
    status = subprocess.run(command, check=False).returncode  # noqa: S603  # the commands are those above
    if status:
        sys.exit(status)


def _is_installed(file: Path) -> bool:
    noted = _noted(file)
    return noted.exists() and filecmp.cmp(file, noted, shallow=False)


def _note_installed(file: Path) -> None:
    shutil.copyfile(file, _noted(file))


def _noted(file: Path) -> Path:
    """The copy of the files of the last installation."""
    return VENV / f"installed-{file.name}"


if __name__ == "__main__":
    main()
