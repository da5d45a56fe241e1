"""The Lua scripts of Tallykeeper: finds their files, and assembles the script that changes levels.

The files themselves say what the scripts mean. The server's store runs them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import groupby
from typing import Final

_PRELUDE: Final = "prelude.lua"
_DRIVER: Final = "driver"
_STAGES: Final = ("prefetch.lua", "execute.lua", "store.lua")
_LEVEL: Final = "level.lua"
_READS: Final = "reads"


@dataclass(frozen=True, slots=True)
class Fragment:
    """One Lua file: its path in this package, such as ``stock/decrement.lua``, and its text."""

    name: str
    text: str

    @property
    def folder(self) -> str:
        """The folder of the file: the kind of level that it is about, ``driver``, or empty for the prelude."""
        return self.name.rpartition("/")[0]

    @property
    def operation(self) -> str:
        """The name by which mutations call the operation in the file; empty if the file holds no operation."""
        folder, _, file = self.name.rpartition("/")
        if folder in {"", _DRIVER} or file == _LEVEL:
            return ""
        return f"{folder}_{file.removesuffix('.lua')}"


def fragments() -> tuple[Fragment, ...]:
    """Return the files in the order in which they make up the script that changes levels.

    The prelude is first. Then comes each kind of level with its operations, and last the driver. Every other file in
    the folder of a kind is an operation, so a file that is added is part of the script.
    """
    package = files(__name__)
    folders = {entry.name for entry in package.iterdir() if entry.is_dir()}
    found = [Fragment(_PRELUDE, package.joinpath(_PRELUDE).read_text(encoding="utf-8"))]
    for folder in sorted(folders - {_DRIVER, _READS}):
        found += sorted(_files_in(package, folder), key=lambda file: (not file.name.endswith(f"/{_LEVEL}"), file.name))
    found += sorted(_files_in(package, _DRIVER), key=lambda file: _STAGES.index(file.name.rpartition("/")[2]))
    return tuple(found)


def read_scripts() -> tuple[Fragment, ...]:
    """Return the files in ``reads/``. Each is a script of its own, which changes nothing."""
    return tuple(sorted(_files_in(files(__name__), _READS), key=lambda file: file.name))


def operation_names() -> frozenset[str]:
    """Return the names by which mutations call the operations, such as ``stock_decrement``."""
    return frozenset(file.operation for file in fragments() if file.operation)


def source() -> str:
    """Return the whole script, which begins with ``#!lua`` so that Redis holds it to its declared keys."""
    return joined(fragments())


def joined(fragments: Sequence[Fragment]) -> str:
    """Return the script of these files, line for line. The files of a kind become the function that defines it."""
    parts = []
    for folder, group in groupby(fragments, key=lambda file: file.folder):
        text = "\n".join(file.text for file in group)
        parts.append(text if folder in {"", _DRIVER} else f"define[{folder}] = function() {text}end")
    return "\n".join(parts)


def _files_in(package: Traversable, folder: str) -> Iterator[Fragment]:
    for entry in package.joinpath(folder).iterdir():
        if entry.name.endswith(".lua"):
            yield Fragment(f"{folder}/{entry.name}", entry.read_text(encoding="utf-8"))
