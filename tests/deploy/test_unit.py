"""The systemd unit is valid, keeps its security score, and permits everything that the server needs."""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.tools import ROOT
from tests.support.server import TALLYKEEPER, ServerProcess

UNIT: Final = ROOT / "deploy" / "systemd" / "tallykeeper.service"
EXPOSURE: Final = 1.2
"""The score of ``systemd-analyze security`` of systemd 252, from 0 to 10: less is better. docs/deploy.md names it."""
OTHER_VERSIONS: Final = 0.3
"""Other versions of systemd rate other things too."""
NO_WRITE_AND_EXECUTE: Final = """
import ctypes, os, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):
    sys.exit(1)
os.execv(sys.argv[1], sys.argv[1:])
"""


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, or skip the test."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on PATH")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_the_unit_is_valid(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/tallykeeper/bin/tallykeeper", str(TALLYKEEPER)))

    verified = analyze("verify", "--man=no", "--recursive-errors=no", unit)

    assert verified.returncode == 0, verified.stderr
    assert verified.stderr == ""


def test_the_unit_keeps_its_score() -> None:
    rated = analyze("security", "--offline=true", UNIT)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", rated.stdout)

    assert found, rated.stdout + rated.stderr
    assert float(found[1]) <= EXPOSURE + OTHER_VERSIONS
    assert f"**{EXPOSURE}**" in (ROOT / "docs" / "deploy.md").read_text()


def test_the_server_serves_without_memory_that_is_written_and_executed(tmp_path: Path) -> None:
    probe = [sys.executable, "-c", NO_WRITE_AND_EXECUTE, sys.executable, "-c", ""]
    if not hasattr(ctypes.CDLL(None), "prctl") or subprocess.run(probe, check=False).returncode:
        pytest.skip("the kernel has no PR_SET_MDWE")
    program = tmp_path / "tallykeeper"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.argv[:1] = ['', {str(TALLYKEEPER)!r}]{NO_WRITE_AND_EXECUTE}"
    )
    program.chmod(0o755)

    with ServerProcess(workers=2, cwd=tmp_path, program=program) as server:
        assert server.stop() == 0
