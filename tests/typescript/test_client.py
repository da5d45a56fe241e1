"""`npm test` of the TypeScript client: unit tests, tests against servers, and the examples for Node.js."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.conformance.building import NoPackagesError, build

_PACKAGE: Final = Path(__file__).parents[2] / "client" / "typescript"
_NODE_MAJOR_MIN: Final = 20
_SECONDS_MAX: Final = 300
_PASSED: Final = re.compile(r"^\S+ pass (\d+)$", re.MULTILINE)
_LEFT_OUT: Final = re.compile(r"^\S (.* \([\d.]+ms\) # .*)$", re.MULTILINE)
"""A test that is left out has its reason behind a #."""


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on PATH")
    return found


@pytest.mark.long
def test_npm_test_passes(record_property: Callable[[str, object], None]) -> None:
    npm = _tool("npm")
    version = subprocess.run([_tool("node"), "--version"], check=True, capture_output=True, text=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < _NODE_MAJOR_MIN:
        pytest.skip(f"the client needs Node.js {_NODE_MAJOR_MIN}, and node is {version}")
    try:
        build([npm, "ci", "--prefer-offline", "--no-audit", "--no-fund"], folder=_PACKAGE)
    except NoPackagesError as error:
        pytest.skip(f"the packages of the client cannot be had: {error}")

    command = [npm, "test", "--silent"]
    ran = subprocess.run(command, cwd=_PACKAGE, check=False, capture_output=True, text=True, timeout=_SECONDS_MAX)

    assert ran.returncode == 0, ran.stdout[-10_000:] + ran.stderr
    passed = _PASSED.search(ran.stdout)
    assert passed is not None
    assert int(passed[1]) > 100, "npm test ran fewer tests than there are"
    for left_out in _LEFT_OUT.findall(ran.stdout):
        record_property("left out by npm test", left_out)
