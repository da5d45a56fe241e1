"""The CSV form of stock: its columns, how rows are read and checked, and how levels are written.

The first line names the columns, in any order: item and on_hand must be there. An empty location is the one given
with the import; an empty setting leaves it as it is.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from tallykeeper.v1.inventory_pb2 import StockLevel
from tallykeeper_client.commands.values import INTEGER_MAX

SETTINGS: Final = ("safety_stock", "backorder_limit", "low_stock_threshold")
COLUMNS: Final = ("item", "location", "on_hand", *SETTINGS)
REQUIRED: Final = ("item", "on_hand")

_ITEM_BYTES_MAX: Final = 128
_NOT_IN_ITEMS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_UNICODE: Final = re.compile(r"[\ud800-\udfff]")
_LOCATION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NUMBER: Final = re.compile(r"[0-9]{1,16}")
_SHOWN_CHARACTERS_MAX: Final = 40


class HeaderError(Exception):
    """The first line does not name the columns as it must; the text says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is right, with the line where it begins. Settings that are empty are left out."""

    line: int
    item: str
    location: str
    on_hand: int
    settings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is not, and what is wrong with it, each flaw a sentence that names line and column."""

    line: int
    flaws: Sequence[str]


class StockReader:
    """Reads rows one after another, of a file opened with ``newline=""`` and ``errors="surrogateescape"``."""

    def __init__(self, file: TextIO) -> None:
        """Read the first line. Raises `HeaderError`."""
        self._reader = csv.reader(file, strict=True)
        self._columns = _header(self._reader)

    @property
    def has_settings(self) -> bool:
        """Whether there is a column of a setting."""
        return any(setting in self._columns for setting in SETTINGS)

    def rows(self) -> Iterator[Row | BadRow]:
        """Read and check one row after another; empty lines are passed over."""
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except csv.Error as error:
                yield BadRow(line, [f"line {line}: {error}"])
                continue
            if cells is None:
                return
            if cells:
                yield self._row(line, cells)

    def _row(self, line: int, cells: Sequence[str]) -> Row | BadRow:
        if len(cells) != len(self._columns):
            return BadRow(
                line, [f"line {line}: not as many cells as columns: {len(cells)} and not {len(self._columns)}"]
            )
        check = _Check(line, dict(zip(self._columns, cells, strict=True)))
        settings = {name: check.number(name) for name in SETTINGS if check.has(name)}
        row = Row(line, check.item(), check.location(), check.number("on_hand"), settings)
        return BadRow(line, check.flaws) if check.flaws else row


class _Check:
    """Reads the cells of one row and notes what is wrong with each."""

    def __init__(self, line: int, cells: Mapping[str, str]) -> None:
        self.flaws: list[str] = []
        self._line = line
        self._cells = cells

    def has(self, column: str) -> bool:
        return bool(self._cells.get(column, "").strip())

    def item(self) -> str:
        item = self._cells["item"]
        if not item:
            self._note("item", "is empty; 1 to 128 bytes are allowed")
        elif _NOT_UNICODE.search(item):
            self._note("item", "is not UTF-8")
        elif len(item.encode()) > _ITEM_BYTES_MAX:
            self._note("item", f"{_shown(item)} has {len(item.encode())} bytes; 1 to {_ITEM_BYTES_MAX} are allowed")
        elif _NOT_IN_ITEMS.search(item):
            self._note("item", f"{_shown(item)} has a control character; none is allowed")
        return item

    def location(self) -> str:
        location = self._cells.get("location", "").strip()
        if location and not _LOCATION.fullmatch(location):
            self._note("location", f"{_shown(location)} is not of the form {_LOCATION.pattern}")
        return location

    def number(self, column: str) -> int:
        text = self._cells[column].strip()
        number = int(text) if _NUMBER.fullmatch(text) else -1
        if not 0 <= number <= INTEGER_MAX:
            what = _shown(text) if text else "nothing"
            self._note(column, f"{what} is not a whole number from 0 to 2^53-1")
        return number

    def _note(self, column: str, what: str) -> None:
        self.flaws.append(f"line {self._line}, column {column}: {what}")


def write_levels(file: TextIO, levels: Iterable[StockLevel]) -> int:
    """Write the first line and then each level; return how many there were."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for level in levels:
        writer.writerow([getattr(level, column) for column in COLUMNS])
        count += 1
    return count


def _header(reader: Iterator[list[str]]) -> Sequence[str]:
    try:
        columns = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        message = f"line 1: {error}"
        raise HeaderError(message) from error
    known = f"the first line names the columns, of these: {', '.join(COLUMNS)}"
    for name in columns:
        if name not in COLUMNS:
            message = f"line 1: {_shown(name)} is no column; {known}"
            raise HeaderError(message)
        if columns.count(name) > 1:
            message = f"line 1: {name} is there twice"
            raise HeaderError(message)
    for name in REQUIRED:
        if name not in columns:
            message = f"line 1: {name} is missing; {known}"
            raise HeaderError(message)
    return columns


def _shown(text: str) -> str:
    """Quote a cell, of a long one the head."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}…")
