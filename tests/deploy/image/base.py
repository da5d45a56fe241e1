"""The base of the image: the one that the Dockerfile names, or a stand-in where no registry gives it.

The stand-in is Debian's Python of the same version, in a system that debootstrap makes. It has what the Dockerfile
expects: `python` on PATH with venv, and the tools that make users.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.deploy.image.podman import DOCKERFILE, PodmanError, has_image, podman

STAND_IN: Final = "localhost/stand-in/python"
_PULL_SECONDS: Final = 120
_BOOTSTRAP_SECONDS: Final = 600
_PACKAGES: Final = "python3,python3-venv,ca-certificates"
_OUT_OF_REACH: Final = re.compile(
    r"dial tcp|no such host|timeout|took more than|connection refused|denied|forbidden", re.IGNORECASE
)
"""The words of Podman where no registry can be reached."""


class NoBaseError(Exception):
    """Neither the base nor a stand-in can be had. The message says why."""


def base_image() -> str:
    """Return the name of the base of the build, which is in the storage then.

    :raises NoBaseError: there is none.
    :raises PodmanError: Podman itself does not work.
    """
    named = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert named
    suite = named[1].rpartition("-")[2]
    official, stand_in = f"docker.io/library/{named[1]}", f"{STAND_IN}:{suite}"
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
    _make_stand_in(stand_in, suite)
    return stand_in


def _make_stand_in(image: str, suite: str) -> None:
    """Make the stand-in from Debian's packages. Only root can.

    :raises NoBaseError: it cannot be made.
    """
    program = shutil.which("debootstrap")
    if program is None or os.geteuid():
        message = f"no registry gives the base, and a stand-in needs root and debootstrap ({program or 'not on PATH'})"
        raise NoBaseError(message)
    with TemporaryDirectory() as folder:
        root = Path(folder, "root")
        command = [program, "--variant=minbase", f"--include={_PACKAGES}", suite, str(root)]
        made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_BOOTSTRAP_SECONDS)
        if made.returncode:
            message = f"debootstrap made no {suite}: {(made.stdout + made.stderr).strip().splitlines()[-1]}"
            raise NoBaseError(message)
        (root / "usr" / "local" / "bin" / "python").symlink_to("/usr/bin/python3")
        for packages in (root / "var" / "cache" / "apt" / "archives").glob("*.deb"):
            packages.unlink()
        archive = Path(folder, "root.tar")
        subprocess.run(["tar", "--create", "--file", archive, "--directory", root, "."], check=True)  # noqa: S607
        podman("import", "--quiet", "--change", "CMD python", str(archive), image, seconds=_BOOTSTRAP_SECONDS)
