"""The Lua scripts of Tallykeeper: finds their files, and puts those of the script that changes counts together.

What the scripts mean is said in the files themselves; what runs them is the server's store.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby

_PRELUDE = "prelude.lua"
_KIND = "kind_"
_DRIVER = "driver_"
_READS = "reads"


@dataclass(frozen=True, slots=True)
class Fragment:
    """One Lua file: its name, such as ``stock_decrement.lua``, and its text."""

    name: str
    text: str


def fragments() -> tuple[Fragment, ...]:
    """Return the files in the order in which they make up the script.

    The prelude is first, then come the kinds of level, each with the operations on it, and the driver's files: every
    file of the package that is none of the others is an operation. A file that is added is part of the script.
    """
    texts = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in files(__name__).iterdir()
        if entry.name.endswith(".lua")
    }
    return tuple(Fragment(name, texts[name]) for name in sorted(texts, key=_place_of))


def read_scripts() -> tuple[Fragment, ...]:
    """Return the files in ``reads/``: each is a script of its own, which changes nothing."""
    entries = sorted(files(__name__).joinpath(_READS).iterdir(), key=lambda entry: entry.name)
    return tuple(
        Fragment(f"{_READS}/{entry.name}", entry.read_text(encoding="utf-8"))
        for entry in entries
        if entry.name.endswith(".lua")
    )


def operation_names() -> frozenset[str]:
    """Return the names by which mutations call the operations, such as ``stock_decrement``."""
    return frozenset(fragment.name.removesuffix(".lua") for fragment in fragments() if is_operation(fragment.name))


def is_operation(name: str) -> bool:
    """Return whether a file holds an operation, and not what the operations share or what runs them."""
    return name != _PRELUDE and not name.startswith((_KIND, _DRIVER))


def source() -> str:
    """Return the whole script, which begins with ``#!lua`` so that Redis holds it to its declared keys."""
    return joined(fragments())


def joined(fragments: Sequence[Fragment]) -> str:
    """Return the script that files make up, line for line: those of a kind are the function that defines it."""
    parts = []
    for kind, group in groupby(fragments, key=lambda file: _kind_of(file.name)):
        text = "\n".join(file.text for file in group)
        parts.append(f"define[{kind}] = function() {text}end" if kind else text)
    return "\n".join(parts)


def _place_of(name: str) -> tuple[int, str, bool, str]:
    """Return by what the files are sorted."""
    group = 0 if name == _PRELUDE else 2 if name.startswith(_DRIVER) else 1
    return group, _kind_of(name), not name.startswith(_KIND), name


def _kind_of(name: str) -> str:
    """Return which kind of level a file is about: kind_stock.lua and stock_set.lua; empty for those of all kinds."""
    if name == _PRELUDE or name.startswith(_DRIVER):
        return ""
    return name.removeprefix(_KIND).removesuffix(".lua").partition("_")[0]
