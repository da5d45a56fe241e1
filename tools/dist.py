"""Builds a release into a folder, so that anybody can build it again and compare: ``python -m tools.dist FOLDER``.

Wheel and sdist are built twice, from two copies of the source with other paths, times and permissions. Unless both are
equal to the byte, nothing is written. The list of requirements (CycloneDX) and the checksums go beside them.
``tools.compiled_dist`` builds the wheels with compiled modules in the same way.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = "requirements/runtime.txt"
SBOM: Final = "tallykeeper.cdx.json"
CHECKSUMS: Final = "SHA256SUMS"
EPOCH: Final = "1577836800"
"""The time of every file in the archives: 2020-01-01, for all builds."""

Builder = Callable[[Path], list[Path]]
"""Builds the sources in a folder, and returns the archives."""


class DifferentBuildsError(Exception):
    """Two builds of the same source differ. The message names the files."""


def main(target: Path) -> int:
    """Write a release. Return 1 if two builds differ."""
    try:
        names = [file.name for file in write_builds(target, build)]
    except DifferentBuildsError as error:
        print(f"Nothing was written to {target}: {error}", file=sys.stderr)
        return 1
    names += [file.name for file in compiled_wheels(target)]
    names.append(write_sbom(target))
    sums = "".join(f"{_digest(target / name)}  {name}\n" for name in sorted(names))
    (target / CHECKSUMS).write_text(sums, encoding="utf-8")
    print(sums, end="")
    return 0


def compiled_wheels(folder: Path) -> list[Path]:
    """Return the wheels with compiled modules in a folder that are of the version of this source."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    return sorted(folder.glob(f"tallykeeper-{version}-cp*.whl"))


def write_builds(target: Path, builder: Builder) -> list[Path]:
    """Build what git tracks twice, copy the archives into a folder, and return them there.

    :raises DifferentBuildsError: the archives differ. Nothing was written.
    """
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        return [Path(shutil.copy(file, target)) for file in build_twice(_source_files(), Path(folder), builder)]


def build_twice(sources: list[Path], folder: Path, builder: Builder) -> list[Path]:
    """Build the files of the repository in two copies, and return the archives of the first.

    :raises DifferentBuildsError: the archives differ.
    """
    copies = ((folder / "first", 0o644), (folder / "a longer path" / "second", 0o600))
    for copy, mode in copies:
        _copy(sources, copy, mode)
    first, second = (builder(copy) for copy, _ in copies)
    different = [one.name for one, other in zip(first, second, strict=True) if _digest(one) != _digest(other)]
    if different:
        message = f"two builds of the same source differ in {', '.join(different)}"
        raise DifferentBuildsError(message)
    return first


def _copy(sources: list[Path], folder: Path, mode: int) -> None:
    for source in sources:
        copy = folder / source
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, copy)
        copy.chmod(mode)


def build(folder: Path) -> list[Path]:
    """Build the sources in a folder, and return wheel and sdist."""
    return run_hatchling(folder, "sdist", "wheel", environment={})


def run_hatchling(folder: Path, *targets: str, environment: Mapping[str, str]) -> list[Path]:
    """Build targets of the sources in a folder, with further variables, and return the archives.

    :raises subprocess.CalledProcessError: a target cannot be built. The reason is on the standard error.
    """
    named = [f"--target={target}" for target in targets]
    command = [sys.executable, "-m", "hatchling", "build", "--directory", "dist", *named]
    variables = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, **environment}
    run_quietly(command, environment=variables, folder=folder)
    return sorted((folder / "dist").iterdir())


def run_quietly(command: list[str], *, environment: Mapping[str, str], folder: Path) -> None:
    """Run a command in a folder, and show its output only if it fails.

    :raises subprocess.CalledProcessError: it failed.
    """
    ran = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)  # noqa: S603  # a command of these tools
    if ran.returncode:
        sys.stderr.write(ran.stdout + ran.stderr)
        ran.check_returncode()


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
