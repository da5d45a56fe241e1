"""The Lua scripts of Tallykeeper: finds their files, and assembles the script that changes levels.

The files themselves describe the scripts. The server's store runs them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import groupby
from typing import Final

from tallykeeper_lua.constants import with_values

_PRELUDE: Final = "prelude.lua"
_DRIVER: Final = "driver"
_STAGES: Final = ("driver/prefetch.lua", "driver/execute.lua", "driver/store.lua")
_MAIN: Final = "driver/main.lua"
_LEVEL: Final = "level.lua"
_READS: Final = "reads"


@dataclass(frozen=True, slots=True)
class Fragment:
    """One Lua file: its path in this package, such as ``stock/decrement.lua``, and its text."""

    name: str
    text: str

    @property
    def part(self) -> str:
        """The file's part of the script, if that part is defined on use; empty if it is always defined."""
        if self.name == _PRELUDE or self.name in {*_STAGES, _MAIN}:
            return ""
        folder, _, file = self.name.rpartition("/")
        return file.removesuffix(".lua") if folder == _DRIVER else folder

    @property
    def operation(self) -> str:
        """The name by which mutations call the operation in the file; empty if the file holds no operation."""
        folder, _, file = self.name.rpartition("/")
        if folder in {"", _DRIVER} or file == _LEVEL:
            return ""
        return f"{folder}_{file.removesuffix('.lua')}"


def fragments() -> tuple[Fragment, ...]:
    """Return the files in the order in which they make up the script that changes levels.

    The order is: the prelude; the stages of the driver; the parts that are defined on use, which are each kind of level
    with its operations and other files of the driver; and the file that runs the stages. A file that is added to the
    folder of a kind is an operation.
    """
    package = files(__name__)
    kinds = sorted({entry.name for entry in package.iterdir() if entry.is_dir()} - {_DRIVER, _READS})
    driver = {file.name: file for file in _files_in(package, _DRIVER)}
    found = [Fragment(_PRELUDE, package.joinpath(_PRELUDE).read_text(encoding="utf-8"))]
    found += (driver.pop(name) for name in _STAGES)
    main = driver.pop(_MAIN)
    for kind in kinds:
        found += sorted(_files_in(package, kind), key=lambda file: (not file.name.endswith(f"/{_LEVEL}"), file.name))
    return (*found, *(driver[name] for name in sorted(driver)), main)


def read_scripts() -> tuple[Fragment, ...]:
    """Return the files in ``reads/``. Each is its own script, which changes nothing."""
    return tuple(sorted(_files_in(files(__name__), _READS), key=lambda file: file.name))


def operation_names() -> frozenset[str]:
    """Return the names by which mutations call the operations, such as ``stock_decrement``."""
    return frozenset(file.operation for file in fragments() if file.operation)


def source() -> str:
    """Return the whole script. It begins with ``#!lua``, so that Redis lets it use only its declared keys."""
    return with_values(joined(fragments()))


def joined(fragments: Sequence[Fragment]) -> str:
    """Return the script of these files, line for line. The parts that are defined on use become one function.

    One function for all parts takes a call less time than a function for each, because what the parts share is captured
    once.
    """
    texts, word = [], "define = function(wanted) if"
    for part, group in groupby(fragments, key=lambda file: file.part):
        text = "\n".join(file.text for file in group)
        if part:
            text, word = f"{word} wanted == {part} then {text}", "elseif"
        elif word == "elseif":
            text, word = f"end end {text}", ""
        texts.append(text)
    return "\n".join(texts)


def _files_in(package: Traversable, folder: str) -> Iterator[Fragment]:
    for entry in package.joinpath(folder).iterdir():
        if entry.name.endswith(".lua"):
            yield Fragment(f"{folder}/{entry.name}", entry.read_text(encoding="utf-8"))
