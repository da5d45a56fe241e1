"""Gets the programs that check deploy/ and runs its tests with them: ``make deploy-check``."""

import subprocess
import sys

from tests.deploy.tools import ROOT, prepare


def main(arguments: list[str]) -> int:
    """Run the tests and return their exit code. A program that cannot be had is named, and its tests are skipped."""
    for name, reason in prepare().items():
        print(f"{name} cannot be had, so its tests are skipped: {reason}", flush=True)  # noqa: T201
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-m", "not long", "tests/deploy", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
