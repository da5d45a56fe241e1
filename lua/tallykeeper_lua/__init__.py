"""The Lua script of Tallykeeper: finds its files and puts them together.

What the script means is said in the files themselves; what runs it is the server's store.
"""

from dataclasses import dataclass
from importlib.resources import files

_PRELUDE = "prelude.lua"
_KIND = "kind_"
_DRIVER = "driver_"


@dataclass(frozen=True, slots=True)
class Fragment:
    """One Lua file: its name, such as ``stock_decrement.lua``, and its text."""

    name: str
    text: str


def fragments() -> tuple[Fragment, ...]:
    """Return the files in the order in which they make up the script.

    The prelude is first, then come the kinds of level, the operations and the driver's files: every file of the
    package that is none of the others is an operation. A file that is added is part of the script.
    """
    texts = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in files(__name__).iterdir()
        if entry.name.endswith(".lua")
    }
    return tuple(Fragment(name, texts[name]) for name in sorted(texts, key=_place_of))


def operation_names() -> frozenset[str]:
    """Return the names by which mutations call the operations, such as ``stock_decrement``."""
    return frozenset(fragment.name.removesuffix(".lua") for fragment in fragments() if is_operation(fragment.name))


def is_operation(name: str) -> bool:
    """Return whether a file holds an operation, and not what the operations share or what runs them."""
    return name != _PRELUDE and not name.startswith((_KIND, _DRIVER))


def source() -> str:
    """Return the whole script, which begins with ``#!lua`` so that Redis holds it to its declared keys."""
    return "\n".join(fragment.text for fragment in fragments())


def _place_of(name: str) -> tuple[int, str]:
    """Return by what the files are sorted."""
    group = 0 if name == _PRELUDE else 1 if name.startswith(_KIND) else 3 if name.startswith(_DRIVER) else 2
    return group, name
