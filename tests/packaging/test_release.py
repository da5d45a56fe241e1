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

from tests.packaging.conftest import tracked_files
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
    commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    checks = ["make release-check", "make test", "make deploy-check", "make image-check"]

    assert commands["compiled"] == ["make dist-compiled", "make test-dist"]
    assert commands["build"] == [*checks, "make dist", "make test-dist"]
    assert {name: job["needs"] for name, job in jobs.items() if name != "compiled"} == {
        "build": "compiled",
        "pypi": "build",
        "image": "build",
        "chart": "image",
        "release": ["pypi", "image", "chart"],
    }


def test_a_release_has_compiled_wheels_for_each_python_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: 3\.(\d+)", "\n".join(project["classifiers"]))
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    steps = jobs["build"]["steps"]
    (download,) = [step["with"] for step in steps if step.get("uses", "").startswith("actions/download-artifact")]
    upload = jobs["compiled"]["steps"][-1]["with"]

    assert jobs["compiled"]["strategy"]["matrix"] == {
        "python": [f"3{minor}" for minor in named],
        "processor": ["x86_64", "aarch64"],
    }
    assert upload["name"].startswith(download["pattern"].removesuffix("*"))
    assert (download["path"], upload["path"]) == ("dist/", "dist/*.whl")
    packages = [step["with"] for step in steps if step.get("with", {}).get("name") == "packages"]
    assert "dist/*.whl" in packages[0]["path"].split()


def test_a_release_says_what_the_changelog_says(tmp_path: Path) -> None:
    changelog = CHANGELOG.replace("- 2026-05-01\n", "- 2026-05-01\n\n### Added\n\n* A page.\n")

    assert release.notes(repository(tmp_path, changelog=changelog)) == "### Added\n\n* A page."


def test_a_version_that_the_changelog_lacks_has_no_notes(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"no release 1\.20\.0"):
        release.notes(repository(tmp_path, version="1.20.0"))


@pytest.mark.long
def test_two_builds_are_equal_and_hold_what_git_tracks(tmp_path: Path) -> None:
    sources = tracked_files()

    sdist, wheel = sorted(dist.build_twice(sources, tmp_path, dist.build), key=lambda path: path.suffix)

    assert (sdist.suffix, wheel.suffix) == (".gz", ".whl")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names
    assert {str(source) for source in sources if source.suffix == ".lua"} <= names


def test_two_builds_that_differ_are_refused_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(folder: Path) -> list[Path]:
        built = folder / "tallykeeper.whl"
        built.write_text(str(folder))
        return [built]

    monkeypatch.setattr(dist, "build", build)

    assert dist.main(tmp_path / "dist") == 1

    assert "two builds of the same source differ in tallykeeper.whl" in capsys.readouterr().err
    assert list((tmp_path / "dist").iterdir()) == []


def test_a_command_that_fails_shows_its_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dist.run_quietly(["sh", "-c", "echo quiet"], environment={}, folder=tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        dist.run_quietly(["sh", "-c", "echo no compiler >&2; exit 1"], environment={}, folder=tmp_path)

    assert capfd.readouterr().err == "no compiler\n"


def test_the_checksums_of_a_release_name_the_compiled_wheels_of_its_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def build(folder: Path) -> list[Path]:
        built = folder / f"tallykeeper-{version}-py3-none-any.whl"
        built.write_text("pure")
        return [built]

    def write_sbom(target: Path) -> str:
        (target / dist.SBOM).write_text("{}")
        return dist.SBOM

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    compiled = f"tallykeeper-{version}-cp313-cp313-manylinux_2_28_x86_64.whl"
    for name in (compiled, "tallykeeper-0.0.1-cp313-cp313-manylinux_2_28_x86_64.whl"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(dist, "build", build)
    monkeypatch.setattr(dist, "write_sbom", write_sbom)

    assert dist.main(tmp_path) == 0

    sums = [line.split("  ") for line in (tmp_path / dist.CHECKSUMS).read_text().splitlines()]
    assert [name for _, name in sums] == [compiled, f"tallykeeper-{version}-py3-none-any.whl", dist.SBOM]
    assert sums[0][0] == hashlib.sha256(compiled.encode()).hexdigest()


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
