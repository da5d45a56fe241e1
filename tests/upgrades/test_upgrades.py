"""The parts of `make upgrade-check`: each fault is found, and a missing history is no fault."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.upgrades import __main__ as upgrades
from tests.upgrades.judge import LedgerEntry, faults
from tests.upgrades.scenarios import refuse_the_future
from tests.upgrades.versions import (
    FORMER_REVISION,
    NoRevisionError,
    RunningServer,
    Version,
    former_version,
    this_version,
)

ACKNOWLEDGED: Mapping[str, int] = {"a": 1, "b": 2, "c": 3}


def entries(*request_ids: str) -> list[LedgerEntry]:
    """Return a ledger without a gap that has these request ids."""
    return [LedgerEntry(revision, request_id) for revision, request_id in enumerate(request_ids, 1)]


def test_a_ledger_with_each_acknowledged_change_once_has_no_fault() -> None:
    assert list(faults(ACKNOWLEDGED, entries("a", "b", "c"))) == []


@pytest.mark.parametrize(
    ("ledger", "fault"),
    [
        (entries("a", "b"), "request c, acknowledged at revision 3, is in the ledger 0 times"),
        (entries("a", "b", "c", "b"), "request b, acknowledged at revision 2, is in the ledger 2 times"),
        (entries("a", "c", "b"), "request b was acknowledged at revision 2, and has 3"),
        (entries("a", "b", "c", "d"), "request d is in the ledger, and was never acknowledged"),
        (
            [*entries("a", "b", "c")[:2], LedgerEntry(4, "c")],
            "the ledger's revisions have a gap or a repeat: 3 entries end with [4]",
        ),
    ],
    ids=["lost", "twice", "other-revision", "unknown", "gap"],
)
def test_each_fault_of_a_ledger_is_found(ledger: list[LedgerEntry], fault: str) -> None:
    assert fault in list(faults(ACKNOWLEDGED, ledger))


def test_without_git_the_check_says_so_and_passes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert upgrades.main([]) == 0

    assert capsys.readouterr().out == "upgrades were not checked: there is no git on PATH\n"


def test_without_the_revision_the_check_says_so_and_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert upgrades.main(["--revision", "f" * 40]) == 0

    assert f"upgrades were not checked: the history here does not have revision {'f' * 40} (" in capsys.readouterr().out


def test_the_former_version_runs_its_own_modules(tmp_path: Path) -> None:
    try:
        former = former_version(FORMER_REVISION, tmp_path)
    except NoRevisionError as error:
        pytest.skip(str(error))

    assert former.environment["PYTHONPATH"].startswith(f"{tmp_path}/protos:")
    assert former.data_format == 2
    assert not (tmp_path / "server/tallykeeper_server/runtime").exists()


def test_data_of_a_newer_format_are_refused_and_stay_as_they_are(tmp_path: Path) -> None:
    data_dir, version = tmp_path / "data", this_version()
    arguments = ("--data-dir", str(data_dir), "--listen", "127.0.0.1:0")
    with RunningServer(version, *arguments):
        pass

    assert list(refuse_the_future([version], data_dir, arguments)) == []


def test_a_version_that_serves_newer_data_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of this version stands for one that ignores the format: the format that it gets is not newer."""
    monkeypatch.setattr("tests.upgrades.scenarios._FUTURE_FORMAT", this_version().data_format)
    data_dir, version = tmp_path / "data", this_version()
    arguments = ("--data-dir", str(data_dir), "--listen", "127.0.0.1:0")
    with RunningServer(version, *arguments):
        pass

    found = list(refuse_the_future([version], data_dir, arguments))

    assert any("does not refuse newer data: status 0" in fault for fault in found)
    assert json.loads((data_dir / "format.json").read_text())["format"] == this_version().data_format


def test_a_version_without_a_format_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server/data_format.py").write_text("FORMAT = 2\n")

    with pytest.raises(ValueError, match=r"data_format\.py names no format"):
        Version("odd", tmp_path, {}).data_format  # noqa: B018  # reads the file
