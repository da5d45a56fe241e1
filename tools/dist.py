"""Builds a release into a folder, so that anybody can build it again and compare: ``python -m tools.dist FOLDER``.

Wheel and sdist are built twice, from two copies of the source with other paths, times and permissions. Unless both are
equal to the byte, nothing is written. The list of requirements (CycloneDX) and the checksums go beside them.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = "requirements/runtime.txt"
SBOM: Final = "tallykeeper.cdx.json"
CHECKSUMS: Final = "SHA256SUMS"
_EPOCH: Final = "1577836800"
"""The time of every file in the archives: 2020-01-01, for all builds."""


class DifferentBuildsError(Exception):
    """Two builds of the same source differ. The message names the files."""


def main(target: Path) -> int:
    """Write a release. Return 1 if two builds differ."""
    target.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory() as folder:
            built = build_twice(_source_files(), Path(folder))
            for file in built:
                shutil.copy(file, target)
    except DifferentBuildsError as error:
        print(f"Nothing was written to {target}: {error}", file=sys.stderr)
        return 1
    names = [file.name for file in built]
    names.append(write_sbom(target))
    sums = "".join(f"{_digest(target / name)}  {name}\n" for name in sorted(names))
    (target / CHECKSUMS).write_text(sums, encoding="utf-8")
    print(sums, end="")
    return 0


def build_twice(sources: list[Path], folder: Path) -> list[Path]:
    """Build the files of the repository in two copies, and return the archives of the first.

    :raises DifferentBuildsError: the archives differ.
    """
    first, second = (
        _build(sources, folder / "first", mode=0o644),
        _build(sources, folder / "a longer path" / "second", mode=0o600),
    )
    different = [one.name for one, other in zip(first, second, strict=True) if _digest(one) != _digest(other)]
    if different:
        message = f"two builds of the same source differ in {', '.join(different)}"
        raise DifferentBuildsError(message)
    return first


def _build(sources: list[Path], folder: Path, *, mode: int) -> list[Path]:
    """Copy the sources, build them, and return wheel and sdist."""
    for source in sources:
        copy = folder / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, copy)
        copy.chmod(mode)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH}
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--directory",
        "dist",
        "--target",
        "sdist",
        "--target",
        "wheel",
    ]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)  # noqa: S603  # the one above
    return sorted((folder / "dist").iterdir())


def _source_files() -> list[Path]:
    """Return the files that git tracks: nothing that is built, ignored or forgotten gets into a release."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def write_sbom(target: Path) -> str:
    """Write the locked requirements as a bill of materials, and return the name of its file.

    The tool warns that the list has no graph. A lock has none.
    """
    command = [
        *(sys.executable, "-W", "ignore::UserWarning"),
        *("-m", "cyclonedx_py", "requirements", LOCK, "--pyproject", "pyproject.toml"),
        *("--mc-type", "application", "--output-reproducible", "--output-format", "JSON"),
        *("--output-file", str((target / SBOM).resolve())),
    ]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603  # the command above
    return SBOM


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
