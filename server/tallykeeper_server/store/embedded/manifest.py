"""The manifest of an append-only file: the names of the files that make up one store's data, in their order.

The form is that of https://valkey.io/topics/persistence/#append-only-file: one file a line. The names are checked, so
that no manifest can point out of its folder.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

FOLDER: Final = "appendonlydir"
MANIFEST: Final = "appendonly.aof.manifest"
_NAMES: Final = {
    "b": re.compile(r"appendonly\.aof(?:\.[0-9]{1,19}\.base\.(?:rdb|aof))?"),
    "i": re.compile(r"appendonly\.aof\.[0-9]{1,19}\.incr\.aof"),
    "h": re.compile(r"appendonly\.aof(?:\.[0-9]{1,19}\.(?:base\.(?:rdb|aof)|incr\.aof))?"),
}
"""The names that a store gives to the files of each type. They hold no slash."""


class ManifestError(ValueError):
    """A text that is no manifest. The message says why, without the name of the file."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files that hold the data: a base, and the changes that were appended after it."""

    base: str | None
    appended: tuple[str, ...]
    """The files of appended changes, in the order in which they were written."""
    replaced: tuple[str, ...]
    """The files that the store has replaced and is about to delete."""
    text: str
    """The manifest without the replaced files."""

    @property
    def files(self) -> tuple[str, ...]:
        """All files, in the order in which a store loads them."""
        return (() if self.base is None else (self.base,)) + self.appended

    def text_without(self, names: Collection[str]) -> str:
        """Return the text without the lines of some files."""
        lines = self.text.splitlines(keepends=True)
        return "".join(line for number, line in enumerate(lines, 1) if _file_of(line, number)[0] not in names)


def parse_manifest(data: bytes) -> Manifest:
    """Return the files that a manifest names.

    :raises ManifestError: the text is no manifest, or names a file that a store would not name so.
    """
    if not data.strip(b"\0 \r\n"):
        message = "it is empty"
        raise ManifestError(message)
    found: dict[str, list[str]] = {"b": [], "i": [], "h": []}
    kept = []
    for number, line in enumerate(data.decode("utf-8", "backslashreplace").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        name, kind = _file_of(line, number)
        found[kind].append(name)
        if kind != "h":
            kept.append(f"{line}\n")
    if len(found["b"]) > 1 or not kept:
        message = f"it names {len(found['b'])} base files and {len(found['i'])} others"
        raise ManifestError(message)
    return Manifest(next(iter(found["b"]), None), tuple(found["i"]), tuple(found["h"]), "".join(kept))


def is_data_file(name: str) -> bool:
    """Return whether a store gives a name to files that hold data."""
    return _NAMES["h"].fullmatch(name) is not None


def _file_of(line: str, number: int) -> tuple[str, str]:
    """Return the name and the type of the file in a line of a manifest."""
    words = line.split()
    values = dict(zip(words[::2], words[1::2], strict=False))
    name, kind = values.get("file", ""), values.get("type", "")
    if kind not in _NAMES or not values.get("seq", "").isdecimal():
        message = f"line {number} is {line!r}, not 'file NAME seq NUMBER type b, i or h'"
        raise ManifestError(message)
    if not _NAMES[kind].fullmatch(name):
        message = f"line {number} names {name!r}, which is not the name of an append-only file"
        raise ManifestError(message)
    return name, kind
