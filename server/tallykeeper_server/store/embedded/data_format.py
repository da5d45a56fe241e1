"""``format.json``: the form in which a data directory keeps its data, and whether the data is complete.

A directory that holds data and no such file was written before there were formats: it is of format 1.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Final, Self

from tallykeeper_server.store.embedded.folders import read_small_file, replace_small_file

FORMAT_FILE: Final = "format.json"
DATA_FORMAT: Final = 2
"""The format that this program writes. It also reads all formats before it, and upgrades them at start."""
FIRST_FORMAT: Final = 1


class FormatError(ValueError):
    """A file that cannot be understood. The message says why, without the name of the file."""


class DataState(StrEnum):
    """The state of the data in a directory."""

    CREATING = "creating"
    """A server makes the directory, and has not served from it."""
    COPYING = "copying"
    """A backup writes the directory: it is not complete."""
    COPIED = "copied"
    """The directory is a complete backup from which no server has been started."""
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedFile:
    """One file of a backup."""

    size: int
    """The size in bytes."""
    crc32: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFormat:
    """The contents of ``format.json``."""

    number: int = DATA_FORMAT
    state: DataState = DataState.READY
    version: str = field(default_factory=lambda: version("tallykeeper"))
    """The version of the program that wrote the file."""
    created: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    files: Mapping[str, CopiedFile] = field(default_factory=dict)
    """The files of a backup, in state COPIED."""

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return the contents of a file. The format may be newer than this program.

        :raises FormatError: the file is not understood.
        """
        try:
            values = json.loads(data)
            number = _number_of(values["format"])
            if number > DATA_FORMAT:
                return cls(number=number, version=str(values.get("version", "unknown")))
            files = {name: CopiedFile(size=size, crc32=crc) for name, (size, crc) in values.get("files", {}).items()}
            state = DataState(values["state"])
            return cls(number=number, state=state, version=values["version"], created=values["created"], files=files)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = "it is not the JSON that Tallykeeper writes"
            raise FormatError(message) from error

    def to_json(self) -> bytes:
        """Return the text of the file."""
        values: dict[str, object] = {
            "format": self.number,
            "state": self.state.value,
            "version": self.version,
            "created": self.created,
        }
        if self.files:
            values["files"] = {name: (file.size, file.crc32) for name, file in self.files.items()}
        return f"{json.dumps(values, indent=1)}\n".encode()


def _number_of(value: object) -> int:
    """Return the number of a format.

    :raises ValueError: the value is no such number.
    """
    if type(value) is not int or value < FIRST_FORMAT:
        message = f"format = {value!r} is not a whole number of 1 or more"
        raise ValueError(message)
    return value


def read_format(folder: int) -> DataFormat | None:
    """Return the contents of the file of a directory; None if there is no file.

    :raises FormatError: the file is not understood.
    :raises OSError: the file cannot be read.
    """
    data = read_small_file(folder, FORMAT_FILE)
    return None if data is None else DataFormat.of(data)


def write_format(folder: int, record: DataFormat) -> None:
    """Write the file of a directory, as this version of the program.

    :raises OSError: the file cannot be written.
    """
    replace_small_file(folder, FORMAT_FILE, format_text(record))


def format_text(record: DataFormat) -> bytes:
    """Return the text of a file that this version of the program writes."""
    return replace(record, version=version("tallykeeper")).to_json()
