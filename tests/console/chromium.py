"""The Chromium of this machine, and the reason why the console cannot be tested if something is missing."""

import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from typing import Final

_PACKAGES: Final = ("nicegui", "playwright")
_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_VERSION_SECONDS_MAX: Final = 60


@cache
def chromium_path() -> str | None:
    """Return the path of a Chromium that starts; None if there is none.

    A name on PATH may be a script that only says how to install a browser.
    """
    return next(filter(_starts, filter(None, map(shutil.which, _PROGRAMS))), None)


def missing() -> str:
    """Name the parts that the tests in a browser lack; empty if nothing is missing."""
    absent = [package for package in _PACKAGES if find_spec(package) is None]
    if absent:
        return f"{' and '.join(absent)} not installed: make test-console installs it"
    return "" if chromium_path() else f"no {', '.join(_PROGRAMS)} on PATH that starts"


def _starts(program: str) -> bool:
    try:
        ran = subprocess.run(
            [program, "--version"], capture_output=True, check=False, text=True, timeout=_VERSION_SECONDS_MAX
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0 and "Chrom" in ran.stdout
