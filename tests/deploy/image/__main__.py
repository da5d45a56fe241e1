"""Builds the image of the server and that of the console, and checks how they run: ``make image-check``."""

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.deploy.image.base import NoBaseError, base_image
from tests.deploy.image.podman import CONSOLE_IMAGE, IMAGE, build
from tests.deploy.tools import ROOT

_CHECKS: Final = "tests/deploy/image/checks.py"


def main(arguments: list[str]) -> int:
    """Build, run the checks, and return their exit code; 0 if the image cannot be built here, which is explained."""
    if shutil.which("podman") is None:
        print("The image is not checked: podman is not on PATH")  # noqa: T201
        return 0
    try:
        base = base_image()
    except NoBaseError as error:
        print(f"The image is not checked: {error}")  # noqa: T201
        return 0
    print(f"Building on {base} …", flush=True)  # noqa: T201
    with TemporaryDirectory() as folder:
        for image, lock in ((IMAGE, "image"), (CONSOLE_IMAGE, "console")):
            build(image, base=base, lock=lock, folder=Path(folder))
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-s", _CHECKS, *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
