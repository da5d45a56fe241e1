"""The available runners. A ``runner.toml`` in the folder of each language names them."""

import shutil
import sys
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from tests.conformance.build_tools import build

_ROOT: Final = Path(__file__).parents[3]
RUNNERS: Final = _ROOT / "tests" / "conformance" / "runners"
_BUILT: Final = _ROOT / ".venv" / "conformance" / "runners"
_FILE: Final = "runner.toml"
_FIELDS: Final = frozenset({"tools", "build", "environment", "runner", "skip"})


class RunnerFileError(Exception):
    """A ``runner.toml`` cannot be used. The message has its path and the reason."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner and its command."""

    name: str
    folder: Path
    run: Sequence[str]
    environment: Mapping[str, str]
    skip: Mapping[str, str]
    """The reasons to skip cases, by patterns of case names."""

    def reason_to_skip(self, case: str) -> str | None:
        """Return the reason to skip a case, or None."""
        return next((reason for pattern, reason in self.skip.items() if fnmatchcase(case, pattern)), None)


@dataclass(frozen=True, slots=True)
class Language:
    """A folder with a ``runner.toml``: its build commands and its runners."""

    name: str
    folder: Path
    tools: Sequence[str]
    build_commands: Sequence[Sequence[str]]
    environment: Mapping[str, str]
    runners: Sequence[Runner]

    def missing(self) -> list[str]:
        """Return the tools that are not on PATH."""
        return [tool for tool in self.tools if shutil.which(tool) is None]

    def only(self, names: Collection[str]) -> "Language":
        """Return the language with only those runners whose name, or whose language, is among the names."""
        if self.name in names:
            return self
        return replace(self, runners=[runner for runner in self.runners if runner.name in names])

    def build(self) -> None:
        """Run the commands that build the runners.

        :raises NoPackagesError: the packages are not available.
        :raises subprocess.CalledProcessError: a command failed for another reason, which it has printed.
        :raises subprocess.TimeoutExpired: a command took too long.
        """
        _out(self.name).mkdir(parents=True, exist_ok=True)
        for command in self.build_commands:
            build(command, folder=self.folder, environment=self.environment)


def languages(folders: Iterable[Path] = (RUNNERS,)) -> list[Language]:
    """Read all runner files in some folders. If several folders have a language, the last folder counts.

    :raises RunnerFileError: a file is wrong.
    """
    found = {path.parent.name: path for folder in folders for path in sorted(folder.glob(f"*/{_FILE}"))}
    return [read(path) for _, path in sorted(found.items())]


def read(path: Path) -> Language:
    """Read one runner file.

    :raises RunnerFileError: the file is wrong.
    """
    try:
        values = tomllib.loads(path.read_text())
        language = _language(path.parent, values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path}: {type(error).__name__}: {error}"
        raise RunnerFileError(message) from error
    if unknown := values.keys() - _FIELDS:
        message = f"{path}: unknown keys: {', '.join(sorted(unknown))}; there are {', '.join(sorted(_FIELDS))}"
        raise RunnerFileError(message)
    return language


def _language(folder: Path, values: Mapping[str, Any]) -> Language:
    name = folder.name
    environment = {key: _filled(value, folder) for key, value in values.get("environment", {}).items()}
    return Language(
        name=name,
        folder=folder,
        tools=values["tools"],
        build_commands=[[_filled(text, folder) for text in command] for command in values.get("build", [])],
        environment=environment,
        runners=[
            Runner(
                name=each["name"],
                folder=folder,
                run=[_filled(text, folder) for text in each["run"]],
                environment=environment,
                skip=values.get("skip", {}),
            )
            for each in values["runner"]
        ],
    )


def _filled(text: str, folder: Path) -> str:
    places = {"root": folder.parents[3], "folder": folder, "out": _out(folder.name), "python": Path(sys.executable)}
    for name, place in places.items():
        text = text.replace(f"{{{name}}}", str(place))
    return text


def _out(name: str) -> Path:
    return _BUILT / name
