"""The files that name runners: their permitted contents, and their faults."""

import sys
from pathlib import Path

import pytest

from tests.conformance.cases import registry
from tests.conformance.cases.registry import RunnerFileError

_TEXT = """
tools = ["no-such-tool", "sh"]
build = [["make", "{out}/runner"]]

[environment]
HERE = "{folder}"

[[runner]]
name = "cobol"
run = ["{python}", "{root}/run"]

[skip]
"tls-*" = "it has no TLS"
"""


def _folder(root: Path, text: str) -> Path:
    folder = root / "tests" / "conformance" / "runners" / "cobol"
    folder.mkdir(parents=True)
    (folder / "runner.toml").write_text(text)
    return folder


def test_a_runner_file_is_read(tmp_path: Path) -> None:
    folder = _folder(tmp_path, _TEXT)

    (language,) = registry.languages([folder.parent])

    (runner,) = language.runners
    assert (language.name, runner.name, runner.folder) == ("cobol", "cobol", folder)
    assert runner.run == [sys.executable, f"{tmp_path}/run"]
    assert runner.environment == {"HERE": str(folder)}
    ((_, target),) = language.build_commands
    assert target.endswith(".venv/conformance/runners/cobol/runner")
    assert language.missing() == ["no-such-tool"]
    assert runner.reason_to_skip("tls-call") == "it has no TLS"
    assert runner.reason_to_skip("call") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tools = [", "TOMLDecodeError"),
        ('[[runner]]\nname = "x"\nrun = ["x"]', "'tools'"),
        ("tools = []", "'runner'"),
        ('tools = []\n[[runner]]\nrun = ["x"]', "'name'"),
        (_TEXT + '\n[extra]\nx = "y"', "unknown keys: extra"),
    ],
)
def test_what_is_wrong_in_a_runner_file_is_found(tmp_path: Path, text: str, problem: str) -> None:
    folder = _folder(tmp_path, text)

    with pytest.raises(RunnerFileError, match=problem):
        registry.read(folder / "runner.toml")


def test_the_runners_of_the_repository_are_right() -> None:
    names = [runner.name for language in registry.languages() for runner in language.runners]

    assert {"python", "python-async"} <= set(names)
    assert len(names) == len(set(names))
