"""Releases: two builds are equal, the list of requirements is complete, and version, chart and changelog agree."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Final

import pytest
import yaml

from tools import dist, release

ROOT: Final = Path(__file__).parents[2]
CHANGELOG: Final = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-05-01\n\n## [1.1.0] - 2026-04-01\n"


def repository(folder: Path, *, version: str = "1.2.0", chart: str = "1.2.0", changelog: str = CHANGELOG) -> Path:
    """Write the files of a repository that name its version."""
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (folder / "deploy" / "helm" / "tallykeeper").mkdir(parents=True)
    text = f"version: {chart}\nappVersion: {chart}\n"
    (folder / "deploy" / "helm" / "tallykeeper" / "Chart.yaml").write_text(text)
    (folder / "CHANGELOG.md").write_text(changelog)
    return folder


def test_version_chart_and_changelog_of_this_repository_agree() -> None:
    assert list(release.faults(ROOT)) == []


def test_a_release_that_is_ready_has_no_fault(tmp_path: Path) -> None:
    assert list(release.faults(repository(tmp_path), "v1.2.0")) == []


@pytest.mark.parametrize(
    ("files", "tag", "fault"),
    [
        ({"chart": "1.1.0"}, "", "version of Chart.yaml is '1.1.0'; pyproject.toml has '1.2.0'"),
        ({}, "v1.2.1", "the tag is 'v1.2.1'; pyproject.toml asks for 'v1.2.0'"),
        ({"changelog": "## [Unreleased]\nto be 1.2.0\n"}, "v1.2.0", "newest release is none; the version is 1.2.0"),
        ({"changelog": "## [Unreleased]\n\n## [1.1.0] - 2026-04-01\n1.2.0"}, "", "neither as a release nor under"),
        ({"changelog": CHANGELOG.replace(" - 2026-05-01", "")}, "", "the heading '## [1.2.0]'"),
        ({"changelog": CHANGELOG + "\n## [1.3.0] - 2026-03-01\n"}, "", "not in falling order"),
    ],
)
def test_what_must_be_mended_is_named(tmp_path: Path, files: dict[str, str], tag: str, fault: str) -> None:
    assert any(fault in found for found in release.faults(repository(tmp_path, **files), tag))


def test_the_tag_of_a_workflow_is_checked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GITHUB_REF_TYPE", "tag")
    monkeypatch.setenv("GITHUB_REF_NAME", "v9.9.9")

    assert release.main([]) == 1
    assert "the tag is 'v9.9.9'" in capsys.readouterr().err

    monkeypatch.setenv("GITHUB_REF_TYPE", "branch")
    assert release.main([]) == 0


def test_the_workflow_of_a_release_checks_before_it_publishes() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    commands = [step["run"] for step in jobs["build"]["steps"] if "run" in step]

    assert commands == ["make release-check", "make test", "make deploy-check", "make dist"]
    assert {name: job["needs"] for name, job in jobs.items() if name != "build"} == {
        "pypi": "build",
        "image": "build",
        "chart": "image",
    }


@pytest.mark.long
def test_two_builds_are_equal_and_hold_what_git_tracks(tmp_path: Path) -> None:
    sources = [Path(name) for name in _tracked()]

    sdist, wheel = sorted(dist.build_twice(sources, tmp_path), key=lambda path: path.suffix)

    assert (sdist.suffix, wheel.suffix) == (".gz", ".whl")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names
    assert {str(source) for source in sources if source.suffix == ".lua"} <= names


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    if listed.returncode:
        pytest.skip("this is no clone of git")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_two_builds_that_differ_are_refused_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(_: list[Path], folder: Path, *, mode: int) -> list[Path]:
        folder.mkdir(parents=True)
        built = folder / "tallykeeper.whl"
        built.write_text(f"{mode:o}")
        return [built]

    monkeypatch.setattr(dist, "_build", build)

    assert dist.main(tmp_path / "dist") == 1

    assert "two builds of the same source differ in tallykeeper.whl" in capsys.readouterr().err
    assert list((tmp_path / "dist").iterdir()) == []


def test_the_list_of_requirements_names_each_with_its_version_and_hash(tmp_path: Path) -> None:
    if subprocess.run([sys.executable, "-c", "import cyclonedx_py"], capture_output=True, check=False).returncode:
        pytest.skip("cyclonedx-bom is not installed: make dist installs it")
    pinned = dict(re.findall(r"^([a-z0-9-]+)(?:\[\w+\])?==(\S+)", (ROOT / dist.LOCK).read_text(), re.MULTILINE))

    written = tmp_path / dist.write_sbom(tmp_path)
    first = hashlib.sha256(written.read_bytes()).hexdigest()
    bom = json.loads(written.read_text())
    dist.write_sbom(tmp_path)

    assert {each["name"]: each["version"] for each in bom["components"]} == pinned
    assert bom["metadata"]["component"]["name"] == "tallykeeper"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert bom["metadata"]["component"]["version"] == project["version"]
    assert hashlib.sha256(written.read_bytes()).hexdigest() == first
