"""The workflows of GitHub are valid, as far as that can be said without running them."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.tools import ROOT

WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
Tool = Callable[[str], Path]


def lint(actionlint: Path, workflow: Path) -> subprocess.CompletedProcess[str]:
    """Lint a workflow. The linters of shell and Python are left out, because workflows only call make."""
    command: list[str | Path] = [actionlint, "-shellcheck=", "-pyflakes=", workflow]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_actionlint_finds_nothing(tool: Tool, workflow: Path) -> None:
    linted = lint(tool("actionlint"), workflow)

    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("needs: build", "needs: built"),
        ("steps.push.outputs.digest", "steps.pushed.outputs.digest"),
        ("matrix.suffix", "matrix.ending"),
        ("packages: write", "packages: push"),
    ],
)
def test_a_fault_in_a_workflow_is_found(tool: Tool, tmp_path: Path, right: str, wrong: str) -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert right in text
    broken = tmp_path / "release.yml"
    broken.write_text(text.replace(right, wrong, 1))

    assert lint(tool("actionlint"), broken).returncode == 1


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_every_action_is_pinned_by_its_commit_and_names_its_version(workflow: Path) -> None:
    used = re.findall(r"uses: (.*)", workflow.read_text())

    assert used
    for each in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each
