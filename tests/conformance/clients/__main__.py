"""Runs the load programs of all languages whose tools are on PATH. Names of languages as arguments select some."""

import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.conformance.build_tools import NoPackagesError
from tests.conformance.clients.languages import LANGUAGES
from tests.conformance.clients.rolling_restart import RESTARTS, roll, securities


def main(chosen: Collection[str] = ()) -> int:
    """Run the programs in plaintext, with TLS and with mutual TLS, and return the number of programs that failed."""
    commands, failed = _built(chosen)
    with TemporaryDirectory() as folder:
        for security in securities(Path(folder, "certificates")):
            print(f"clients: {RESTARTS} rolling restarts of the workers under load, {security.name}", flush=True)
            directory = Path(folder, security.name)
            directory.mkdir()
            failed += _reported(roll(commands, security, directory))
    return failed


def _built(chosen: Collection[str]) -> tuple[Mapping[str, Sequence[str]], int]:
    """Build the programs, and return the command of each, and the number of programs that could not be built."""
    commands, failed = {}, 0
    for language in LANGUAGES:
        if chosen and language.name not in chosen:
            continue
        missing = language.missing()
        if missing:
            print(f"clients: {language.client} is left out: {' and '.join(missing)} not on PATH", flush=True)
            continue
        print(f"clients: building the program of {language.client} …", flush=True)
        try:
            commands[language.name] = language.build()
        except NoPackagesError as error:
            print(f"clients: {language.client} is left out: its packages are not available: {error}", flush=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"clients: the program of {language.client} cannot be built: {error}", flush=True)
            failed += 1
    return commands, failed


def _reported(found: Mapping[str, Sequence[str]]) -> int:
    """Print the problems, and return the number of programs with problems."""
    for name, problems in found.items():
        for problem in problems:
            print(f"  {name} failed: {problem}", flush=True)
    return sum(map(bool, found.values()))


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
