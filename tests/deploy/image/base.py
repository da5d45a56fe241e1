"""The bases of the image: those that the Dockerfile names, or stand-ins where no registry gives them.

A stand-in is Debian's Python of the same version, in a system that debootstrap makes. It has what the Dockerfile
expects: `python` on PATH with venv, and the tools that make users. The one that builds the wheel has a C compiler too.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from tests.deploy.image.podman import DOCKERFILE, PodmanError, has_image, podman

STAND_IN: Final = "localhost/stand-in/python"
BUILD_STAND_IN: Final = "localhost/stand-in/build/python"
_PULL_SECONDS: Final = 120
_BOOTSTRAP_SECONDS: Final = 600
_PACKAGES: Final = "python3,python3-venv,ca-certificates"
_BUILD_PACKAGES: Final = f"{_PACKAGES},gcc,libc6-dev,python3-dev"
_OUT_OF_REACH: Final = re.compile(
    r"dial tcp|no such host|timeout|took more than|connection refused|denied|forbidden", re.IGNORECASE
)
"""The words of Podman where no registry can be reached."""


class NoBaseError(Exception):
    """Neither a base nor its stand-in is available. The message says why."""


class Bases(NamedTuple):
    """The names of the bases, which are in the storage."""

    final: str
    build: str
    """The base of the stage that builds the wheel. It has a C compiler."""


def base_images() -> Bases:
    """Return the bases of the build, as far as possible those of the Dockerfile.

    :raises NoBaseError: one of them is not available.
    :raises PodmanError: Podman itself does not work.
    """
    return Bases(
        final=_base_image("PYTHON_IMAGE", STAND_IN, _PACKAGES),
        build=_base_image("BUILD_IMAGE", BUILD_STAND_IN, _BUILD_PACKAGES),
    )


def _base_image(argument: str, stand_in_name: str, packages: str) -> str:
    """Return the default of an argument of the Dockerfile, or else a stand-in with some packages of Debian."""
    named = re.search(rf"^ARG {argument}=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert named
    suite = named[1].rpartition("-")[2]
    official, stand_in = f"docker.io/library/{named[1]}", f"{stand_in_name}:{suite}"
    for image in (official, stand_in):
        if has_image(image):
            return image
    try:
        podman("pull", "--quiet", official, seconds=_PULL_SECONDS)
    except PodmanError as error:
        if not _OUT_OF_REACH.search(str(error)):
            raise
    else:
        return official
    _make_stand_in(stand_in, suite, packages)
    return stand_in


def _make_stand_in(image: str, suite: str, packages: str) -> None:
    """Make a stand-in from packages of Debian. Only root can.

    :raises NoBaseError: it cannot be made.
    """
    program = shutil.which("debootstrap")
    if program is None or os.geteuid():
        message = f"no registry gives the base, and a stand-in needs root and debootstrap ({program or 'not on PATH'})"
        raise NoBaseError(message)
    with TemporaryDirectory() as folder:
        root = Path(folder, "root")
        command = [program, "--variant=minbase", f"--include={packages}", suite, str(root)]
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_BOOTSTRAP_SECONDS)
        if made.returncode:
            message = f"debootstrap made no {suite}: {(made.stdout + made.stderr).strip().splitlines()[-1]}"
            raise NoBaseError(message)
        (root / "usr" / "local" / "bin" / "python").symlink_to("/usr/bin/python3")
        for deb in (root / "var" / "cache" / "apt" / "archives").glob("*.deb"):
            deb.unlink()
        archive = Path(folder, "root.tar")
        subprocess.run(["tar", "--create", "--file", archive, "--directory", root, "."], check=True)  # noqa: S607
        podman("import", "--quiet", "--change", "CMD python", str(archive), image, seconds=_BOOTSTRAP_SECONDS)
