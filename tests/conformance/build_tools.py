"""Builds programs whose packages come from registries, and distinguishes a missing registry from a broken program.

It also keeps two processes from using the build output of one language at the same time.
"""

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_BUILT: Final = Path(__file__).parents[2] / ".venv" / "conformance"
_LOCKS: Final = _BUILT / "locks"
_BUILD_SECONDS: Final = 900
_LAST_CHARACTERS: Final = 2_000
_NO_PACKAGES: Final = re.compile(
    r"dial tcp|i/o timeout|no such host|Could not resolve host|Could not transfer artifact|Could not find artifact"
    r"|failed to download|failed to get `|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|E40[34]"
    r"|No matching distribution found|Temporary failure in name resolution|NewConnectionError"
    r"|40[34] Forbidden|403 Forbidden|404 Not Found|410 Gone|proxyconnect|unable to access|TLS handshake timeout"
)

CARGO: Final[Mapping[str, str]] = {
    "CARGO_TARGET_DIR": str(_BUILT / "runners" / "rust" / "target"),
    "CARGO_PROFILE_DEV_DEBUG": "0",
}
"""The variables with which the programs in Rust are built: one folder and one profile, without debug information, so
that the packages that several programs need are compiled once."""


class NoPackagesError(Exception):
    """A registry does not provide the packages that a program needs. The message is the tool's."""


@contextmanager
def only_user_of(language: str, *, locks: Path = _LOCKS) -> Iterator[None]:
    """Wait until no other user of a language's build output is left in this checkout, and then keep others waiting.

    npm and Maven replace the output of a folder, so a second build, or a program that runs from it, would fail.
    """
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / language).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(command: Sequence[str], *, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Run a tool that fetches packages and builds a program.

    :raises NoPackagesError: the packages are not available.
    :raises subprocess.CalledProcessError: the tool failed for another reason, which it has printed.
    :raises subprocess.TimeoutExpired: the tool took more than 15 minutes.
    """
    variables = {**os.environ, **(environment or {})}
    ran = subprocess.run(
        command, cwd=folder, env=variables, check=False, timeout=_BUILD_SECONDS, capture_output=True, text=True
    )
    if ran.returncode == 0:
        return
    output = (ran.stdout + ran.stderr)[-_LAST_CHARACTERS:]
    if _NO_PACKAGES.search(output):
        raise NoPackagesError(output.strip().splitlines()[-1])
    sys.stderr.write(output)
    raise subprocess.CalledProcessError(ran.returncode, command)
