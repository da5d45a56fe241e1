"""Builds programs whose packages come from registries, and knows a missing registry from a wrong program."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_BUILD_SECONDS: Final = 900
_LAST_CHARACTERS: Final = 2_000
_NO_PACKAGES: Final = re.compile(
    r"dial tcp|i/o timeout|no such host|Could not resolve host|Could not transfer artifact|Could not find artifact"
    r"|failed to download|failed to get `|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|E40[34]"
    r"|No matching distribution found|Temporary failure in name resolution|NewConnectionError"
    r"|40[34] Forbidden|403 Forbidden|404 Not Found|410 Gone|proxyconnect|unable to access|TLS handshake timeout"
)


class NoPackagesError(Exception):
    """A registry does not give the packages that a program needs. The message is the tool's."""


def build(command: Sequence[str], *, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Run a tool that fetches packages and builds a program.

    :raises NoPackagesError: the packages cannot be had.
    :raises subprocess.CalledProcessError: the tool failed for another reason, which it has printed.
    :raises subprocess.TimeoutExpired: it took more than 15 minutes.
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
