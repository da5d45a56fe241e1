"""Releases: two builds are equal, the list of requirements is complete, and version, chart and changelog agree."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tools import dist, release

ROOT: Final = Path(__file__).parents[2]
CHANGELOG: Final = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-05-01\n\n## [1.1.0] - 2026-04-01\n"


def repository(
    folder: Path, *, version: str = "1.2.0", other: Mapping[str, str] | None = None, changelog: str = CHANGELOG
) -> Path:
    """Write the files of a repository that name its version. ``other`` has the version of files by their names."""
    versions = {
        "Chart.yaml": version,
        "package.json": version,
        "Cargo.toml": version,
        "pom.xml": version,
        **(other or {}),
    }
    texts = {
        "pyproject.toml": f'[project]\nversion = "{version}"\n',
        "CHANGELOG.md": changelog,
        "deploy/helm/tallykeeper/Chart.yaml": f"version: {version}\nappVersion: {versions['Chart.yaml']}\n",
        "client/typescript/package.json": f'{{\n  "version": "{versions["package.json"]}"\n}}\n',
        "client/rust/Cargo.toml": f'[package]\nversion = "{versions["Cargo.toml"]}"\n',
        "client/java/pom.xml": f"<project>\n  <version>{versions['pom.xml']}</version>\n</project>\n",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_version_chart_and_changelog_of_this_repository_agree() -> None:
    assert list(release.faults(ROOT)) == []


def test_a_release_that_is_ready_has_no_fault(tmp_path: Path) -> None:
    assert list(release.faults(repository(tmp_path), "v1.2.0")) == []


@pytest.mark.parametrize(
    ("files", "tag", "fault"),
    [
        ({"other": {"Chart.yaml": "1.1.0"}}, "", "appVersion of deploy/helm/tallykeeper/Chart.yaml is '1.1.0'"),
        ({"other": {"package.json": "1.1.0"}}, "", "typescript/package.json is '1.1.0'; pyproject.toml has '1.2.0'"),
        ({"other": {"Cargo.toml": "1.1.0"}}, "", "rust/Cargo.toml is '1.1.0'"),
        ({"other": {"pom.xml": "1.1.0"}}, "", "java/pom.xml is '1.1.0'"),
        ({}, "v1.2.1", "the tag is 'v1.2.1'; pyproject.toml asks for 'v1.2.0'"),
        ({"changelog": "## [Unreleased]\nto be 1.2.0\n"}, "v1.2.0", "newest release is none; the version is 1.2.0"),
        ({"changelog": "## [Unreleased]\n\n## [1.1.0] - 2026-04-01\n1.2.0"}, "", "neither as a release nor under"),
        ({"changelog": CHANGELOG.replace(" - 2026-05-01", "")}, "", "the heading '## [1.2.0]'"),
        ({"changelog": CHANGELOG + "\n## [1.3.0] - 2026-03-01\n"}, "", "not in falling order"),
        ({"changelog": CHANGELOG.replace("1.1.0", "1.2.0")}, "", "not in falling order"),
        ({"version": "1.2.1"}, "v1.2.1", "newest release is 1.2.0; the version is 1.2.1"),
        ({"version": "1.1.0"}, "v1.1.0", "newest release is 1.2.0; the version is 1.1.0"),
        ({"changelog": CHANGELOG.replace("[1.2.0]", "[v1.2.0]")}, "", "the heading '## [v1.2.0]"),
    ],
)
def test_what_must_be_mended_is_named(tmp_path: Path, files: dict[str, Any], tag: str, fault: str) -> None:
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

    assert commands == ["make release-check", "make test", "make deploy-check", "make image-check", "make dist"]
    assert {name: job["needs"] for name, job in jobs.items() if name != "build"} == {
        "pypi": "build",
        "image": "build",
        "chart": "image",
        "release": ["pypi", "image", "chart"],
    }


def test_a_release_says_what_the_changelog_says(tmp_path: Path) -> None:
    changelog = CHANGELOG.replace("- 2026-05-01\n", "- 2026-05-01\n\n### Added\n\n* A page.\n")

    assert release.notes(repository(tmp_path, changelog=changelog)) == "### Added\n\n* A page."


def test_a_version_that_the_changelog_lacks_has_no_notes(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"no release 1\.20\.0"):
        release.notes(repository(tmp_path, version="1.20.0"))


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
