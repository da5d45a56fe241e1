"""The files for contributors can be read, name what exists, and leave all work to make."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.docs.markdown import ROOT

WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CONFIG_OF_FORMS: Final = ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"
FORMS: Final = sorted(form for form in CONFIG_OF_FORMS.parent.glob("*.yml") if form != CONFIG_OF_FORMS)
PRE_COMMIT: Final = ROOT / ".pre-commit-config.yaml"
DEVCONTAINER: Final = ROOT / ".devcontainer" / "devcontainer.json"
_TARGET: Final = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
_PINNED: Final = re.compile(r"@(?:v\d+\.\d+\.\d+|[0-9a-f]{40})$")


def _read(file: Path) -> Any:  # noqa: ANN401  # whatever the file holds
    return yaml.safe_load(file.read_text())


def _text(page: str) -> str:
    return " ".join((ROOT / page).read_text().split())


def _steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in _read(workflow)["jobs"].values():
        yield from job["steps"]


def test_every_yaml_and_json_file_for_contributors_can_be_read() -> None:
    files = [PRE_COMMIT, *(ROOT / ".github").rglob("*.yml")]
    assert all(isinstance(_read(file), dict) for file in files)
    assert isinstance(json.loads(DEVCONTAINER.read_text()), dict)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_a_workflow_only_calls_make(workflow: Path) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    commands = [step["run"] for step in _steps(workflow) if "run" in step]
    assert commands
    assert [command for command in commands if not re.fullmatch(r"make [a-z-]+", command)] == []
    assert {command.removeprefix("make ") for command in commands} <= targets


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_a_workflow_pins_its_actions_and_may_only_read(workflow: Path) -> None:
    used = [step["uses"] for step in _steps(workflow) if "uses" in step]
    assert [action for action in used if not _PINNED.search(action)] == []
    assert _read(workflow)["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] for job in _read(workflow)["jobs"].values())


def test_the_workflow_for_changes_runs_what_ci_must_run() -> None:
    commands = {step.get("run") for step in _steps(ROOT / ".github" / "workflows" / "ci.yml")}
    assert {"make test", "make test-long", "make conformance", "make deploy-check", "make docs"} <= commands
    assert {"make test-compiled", "make dist-compiled", "make test-dist", "make image-check"} <= commands


def test_the_quick_tests_run_with_each_python_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    versions = re.findall(r"Programming Language :: Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    matrix = _read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]

    assert matrix == versions
    assert project["requires-python"] == f">={versions[0]}"
    assert f"needs Python {versions[0]} or newer (tests run with {versions[0]} to {versions[-1]})" in _text("README.md")
    assert f"`make test` with Python {versions[0]} to {versions[-1]}" in _text("CONTRIBUTING.md")


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_an_issue_form_has_what_github_asks_for(form: Path) -> None:
    content = _read(form)
    assert content["name"]
    assert content["description"]
    fields = content["body"]
    assert {field["type"] for field in fields} <= {"checkboxes", "dropdown", "input", "markdown", "textarea"}
    assert all(field["attributes"]["label"] for field in fields)
    identifiers = [field["id"] for field in fields]
    assert len(set(identifiers)) == len(identifiers)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_the_hooks_are_tools_of_the_environment() -> None:
    hooks = [hook for repository in _read(PRE_COMMIT)["repos"] for hook in repository["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert len({hook["id"] for hook in hooks}) == len(hooks)
    programs = {hook["entry"].split()[0] for hook in hooks}
    assert all(program.startswith(".venv/bin/") for program in programs)
    assert [program for program in programs if not (ROOT / program).exists()] == []


def test_the_hooks_do_what_make_lint_does() -> None:
    hooks = {hook["id"] for repository in _read(PRE_COMMIT)["repos"] for hook in repository["hooks"]}
    assert {"ruff", "ruff-format", "buf-lint", "buf-format", "import-linter", "lint-lua", "mypy"} <= hooks


def test_the_container_is_set_up_by_make() -> None:
    content = json.loads(DEVCONTAINER.read_text())
    assert content["postCreateCommand"] == "make setup"
    assert content["image"]
