"""The Lua script of Tallykeeper: finds its files and puts them together.

What the script means is said in the files themselves; what runs it is the server's store.
"""

from dataclasses import dataclass
from importlib.resources import files

_PRELUDE = "prelude.lua"
_DRIVER = "driver.lua"


@dataclass(frozen=True, slots=True)
class Fragment:
    """One Lua file: its name, such as ``stock_decrement.lua``, and its text."""

    name: str
    text: str


def fragments() -> tuple[Fragment, ...]:
    """Return the files in the order in which they make up the script.

    The prelude is first, the driver last, and every other file of the package between them is an
    operation: a file that is added is part of the script.
    """
    texts = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in files(__name__).iterdir()
        if entry.name.endswith(".lua")
    }
    operations = sorted(texts.keys() - {_PRELUDE, _DRIVER})
    return tuple(Fragment(name, texts[name]) for name in (_PRELUDE, *operations, _DRIVER))


def operation_names() -> frozenset[str]:
    """Return the names by which mutations call the operations, such as ``stock_decrement``."""
    return frozenset(
        fragment.name.removesuffix(".lua") for fragment in fragments() if fragment.name not in {_PRELUDE, _DRIVER}
    )


def source() -> str:
    """Return the whole script, which begins with ``#!lua`` so that Redis holds it to its declared keys."""
    return "\n".join(fragment.text for fragment in fragments())
