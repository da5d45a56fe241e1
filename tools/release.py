"""Checks that version, chart and changelog agree, and that a tag names them: ``python -m tools.release [TAG]``."""

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]
_SECTION: Final = re.compile(r"^## \[(?P<name>[^\]]+)\](?P<rest>.*)$", re.MULTILINE)
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+")
_DATE: Final = re.compile(r" - \d{4}-\d{2}-\d{2}")
_UNRELEASED: Final = "Unreleased"


def faults(root: Path, tag: str = "") -> Iterator[str]:
    """Yield what must be mended before a release, or, without a tag, before any commit."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = (root / "deploy" / "helm" / "tallykeeper" / "Chart.yaml").read_text(encoding="utf-8")
    for key in ("version", "appVersion"):
        found = re.search(rf'^{key}: "?([^"\n]+)"?$', chart, re.MULTILINE)
        if found is None or found[1] != version:
            yield f"{key} of Chart.yaml is {found and found[1]!r}; pyproject.toml has {version!r}"
    yield from _faults_of_changelog((root / "CHANGELOG.md").read_text(encoding="utf-8"), version, tag)
    if tag and tag != f"v{version}":
        yield f"the tag is {tag!r}; pyproject.toml asks for {f'v{version}'!r}"


def _faults_of_changelog(text: str, version: str, tag: str) -> Iterator[str]:
    sections = list(_SECTION.finditer(text))
    released = [each for each in sections if each["name"] != _UNRELEASED]
    for each in released:
        if not (_VERSION.fullmatch(each["name"]) and _DATE.fullmatch(each["rest"])):
            yield f"the changelog has the heading {each[0]!r}; a release is '## [1.2.3] - 2026-01-31'"
            return
    numbers = [tuple(map(int, each["name"].split("."))) for each in released]
    if numbers != sorted(set(numbers), reverse=True):
        yield "the changelog's releases are not in falling order"
    names = [each["name"] for each in released]
    if tag and version not in names[:1]:
        yield f"the changelog's newest release is {names[0] if names else 'none'}; the version is {version}"
    if not tag and version not in names:
        unreleased = text.partition(f"## [{_UNRELEASED}]")[2].partition("\n## [")[0]
        if version not in unreleased:
            yield f"the changelog names {version} neither as a release nor under [{_UNRELEASED}]"


def main(arguments: list[str]) -> int:
    """Print the faults and return 1 if there are any. The tag is the argument, or the one that a workflow runs for."""
    is_tag = os.environ.get("GITHUB_REF_TYPE") == "tag"
    tag = arguments[0] if arguments else os.environ.get("GITHUB_REF_NAME", "") if is_tag else ""
    found = list(faults(_ROOT, tag))
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
