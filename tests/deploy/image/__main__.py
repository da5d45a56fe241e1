"""Builds the image of the server, compiled and pure, and that of the console, and checks them: ``make image-check``."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.deploy.image.base import NoBaseError, base_images
from tests.deploy.image.podman import CONSOLE_IMAGE, IMAGE, PURE_IMAGE, build
from tests.deploy.tools import ROOT

_CHECKS: Final = "tests/deploy/image/checks.py"


def main(arguments: list[str]) -> int:
    """Build, run the checks, and return their exit code; 0 if the image cannot be built here, which is explained."""
    if shutil.which("podman") is None:
        print("The image is not checked: podman is not on PATH")  # noqa: T201
        return 0
    try:
        bases = base_images()
    except NoBaseError as error:
        print(f"The image is not checked: {error}")  # noqa: T201
        return 0
    print(f"Building on {bases.final}, and the wheel on {bases.build} …", flush=True)  # noqa: T201
    named = {"PYTHON_IMAGE": bases.final, "BUILD_IMAGE": bases.build}
    with TemporaryDirectory() as folder:
        build(IMAGE, arguments=named, folder=Path(folder))
        build(CONSOLE_IMAGE, arguments={**named, "LOCK": "console"}, folder=Path(folder))
        # A build without compilation needs no compiler: the base of the image is enough.
        pure = {**named, "BUILD_IMAGE": bases.final, "COMPILED": "false"}
        build(PURE_IMAGE, arguments=pure, folder=Path(folder))
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-s", _CHECKS, *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
