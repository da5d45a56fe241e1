"""The build of a wheel with compiled modules says why it has written nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import compiled_dist


def test_only_linux_has_compiled_wheels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    assert compiled_dist.main(tmp_path / "dist") == 1

    assert "compiled wheels are for Linux, not darwin" in capsys.readouterr().err
    assert not (tmp_path / "dist").exists()


def test_two_compiled_builds_that_differ_are_refused_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def build_compiled(folder: Path) -> list[Path]:
        built = folder / "tallykeeper.whl"
        built.write_text(str(folder))
        return [built]

    monkeypatch.setattr(compiled_dist, "build_compiled", build_compiled)

    assert compiled_dist.main(tmp_path / "dist") == 1

    assert "two builds of the same source differ in tallykeeper.whl" in capsys.readouterr().err
    assert list((tmp_path / "dist").iterdir()) == []


def test_a_build_that_fails_is_named_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def build_compiled(folder: Path) -> list[Path]:  # noqa: ARG001  # the interface of all builders
        raise subprocess.CalledProcessError(1, ["hatchling"])

    monkeypatch.setattr(compiled_dist, "build_compiled", build_compiled)

    assert compiled_dist.main(tmp_path / "dist") == 1

    assert "non-zero exit status 1" in capsys.readouterr().err
    assert list((tmp_path / "dist").iterdir()) == []
