"""Checks that all files that name the version agree, and a tag too: ``python -m tools.release [TAG]``.

With ``--notes`` instead of a tag, it prints the changelog's section of the version.
"""

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
_CHART: Final = "deploy/helm/tallykeeper/Chart.yaml"
_PLACES: Final = (
    (_CHART, "version", re.compile(r'^version: "?([^"\n]+)"?$', re.MULTILINE)),
    (_CHART, "appVersion", re.compile(r'^appVersion: "?([^"\n]+)"?$', re.MULTILINE)),
    ("client/typescript/package.json", "version", re.compile(r'^  "version": "([^"]+)"', re.MULTILINE)),
    ("client/rust/Cargo.toml", "version", re.compile(r'^version = "([^"]+)"', re.MULTILINE)),
    ("client/java/pom.xml", "version", re.compile(r"^  <version>([^<]+)<", re.MULTILINE)),
)
"""The places of the version in addition to pyproject.toml: the file, the name of the key, and the line."""


def faults(root: Path, tag: str = "") -> Iterator[str]:
    """Yield what must be mended before a release, or, without a tag, before any commit."""
    version = _version(root)
    for file, key, line in _PLACES:
        found = line.search((root / file).read_text(encoding="utf-8"))
        if found is None or found[1] != version:
            yield f"{key} of {file} is {found and found[1]!r}; pyproject.toml has {version!r}"
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


def notes(root: Path) -> str:
    """Return the section of the version in the changelog, without its heading.

    :raises LookupError: the changelog has no release of this version.
    """
    version = _version(root)
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(rf"^## \[{re.escape(version)}\].*$", text, re.MULTILINE)
    if heading is None:
        message = f"the changelog has no release {version}"
        raise LookupError(message)
    return text[heading.end() :].partition("\n## [")[0].strip()


def _version(root: Path) -> str:
    return str(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def main(arguments: list[str]) -> int:
    """Print the faults and return 1 if there are any, or print the notes.

    The tag is the argument, or the one that a workflow runs for.
    """
    if arguments == ["--notes"]:
        print(notes(_ROOT))
        return 0
    is_tag = os.environ.get("GITHUB_REF_TYPE") == "tag"
    tag = arguments[0] if arguments else os.environ.get("GITHUB_REF_NAME", "") if is_tag else ""
    found = list(faults(_ROOT, tag))
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
