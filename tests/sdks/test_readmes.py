"""The READMEs of the SDKs: each shell block runs in `make sdks`, or says why it does not."""

from pathlib import Path
from typing import Final

import pytest

from tests.sdks.examples import ROOT
from tests.sdks.readmes import IN_YOUR_PROJECT, NEVER, maven_environment, shell_blocks
from tests.sdks.registry import SUITES

_SDKS: Final = ("go", "java", "rust", "typescript")
_GENERATED: Final = "make sdks generates such code with the same options"
_WORK: Final = "make sdks runs these"
_NEVER_RUN: Final = {
    ("go", "go get github.com/tallykeeper/tallykeeper/client/go@v0.1.0", "the version is not released"),
    ("go", "go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12", _GENERATED),
    ("go", "go mod edit -require=github.com/tallykeeper/tallykeeper/client/go@v0.1.0", _GENERATED),
    ("go", "go test -race ./...       # here; starts the server of the checkout (make setup)", _WORK),
    ("java", "mvn -f client/java test", _WORK),
    (
        "rust",
        "cargo test --workspace           # starts servers: ../../.venv/bin/tallykeeper, or TALLYKEEPER_PROGRAM",
        _WORK,
    ),
    ("typescript", "npm ci", _WORK),
}
"""The blocks that no check runs: the SDK, the first line of the block, and the reason that stands in the README."""


def _page(sdk: str) -> Path:
    return ROOT / "client" / sdk / "README.md"


def test_each_sdk_checks_the_commands_of_its_readme() -> None:
    checking = {suite.name for suite in SUITES if any(check.name == "commands of README" for check in suite.checks)}

    assert checking == set(_SDKS)


def test_the_blocks_that_no_check_runs_are_known_with_their_reasons() -> None:
    found = {
        (sdk, block.text.splitlines()[0], block.directive.removeprefix(NEVER))
        for sdk in _SDKS
        for block in shell_blocks(_page(sdk))
        if block.directive.startswith(NEVER)
    }

    assert found == _NEVER_RUN


@pytest.mark.parametrize("sdk", _SDKS)
def test_a_readme_begins_with_a_command_for_the_first_call(sdk: str) -> None:
    first, *others = shell_blocks(_page(sdk))

    assert first.directive == ""
    assert f"examples/{sdk}" in first.text
    assert {block.directive for block in others if not block.directive.startswith(NEVER)} <= {"", IN_YOUR_PROJECT}


def test_maven_installs_into_a_folder_of_the_check_and_finds_what_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folder = tmp_path / "home", tmp_path / "check"
    for group in ("org/apache", "io/grpc", "io/tallykeeper"):
        (home / ".m2" / "repository" / group).mkdir(parents=True)
    folder.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)

    environment = maven_environment(folder)

    repository = folder / "repository"
    assert environment == {"MAVEN_OPTS": f"-Dmaven.repo.local={repository}"}
    assert (repository / "org" / "apache").is_dir()
    assert (repository / "io" / "grpc").is_dir()
    assert not (repository / "io").is_symlink()
    assert not (repository / "io" / "tallykeeper").exists()
