"""The CSV form of stock: its columns, and how rows are read and checked.

The first line names the columns, in any order: item and on_hand must be there. An empty location is the one given
with the import; an empty setting leaves it as it is.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TextIO

from tallykeeper_cli.stock_csv.header import (
    EXPECTED,
    SAFE_ITEM,
    SETTINGS,
    Form,
    Header,
    read_header,
    separator_line,
)
from tallykeeper_cli.stock_csv.records import Record, Records
from tallykeeper_cli.stock_csv.source_file import UNDECODABLE
from tallykeeper_cli.terminal.parameter_types import INTEGER_MAX

PROTECTION: Final = "'"
"""Stands before a name in a column safe_item that a spreadsheet would otherwise take for a formula."""

_ITEM_BYTES_MAX: Final = 128
_NOT_IN_ITEMS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LOCATION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NUMBER: Final = re.compile(r"([+-]?[0-9]{1,17})(?:[.,](0+))?")
_THOUSANDS: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[.,' \xa0\u202f][0-9]{3})+")
_SHORTENED: Final = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_GROUP_DIGITS: Final = 3
_SHOWN_CHARACTERS_MAX: Final = 40
_INVISIBLE: Final = frozenset({"Cf", "Zl", "Zp", "Co"})


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is right, with the line where it begins. Settings that are empty are left out.

    ``warnings`` are doubts about it; ``cells`` is what the file says.
    """

    line: int
    item: str
    location: str
    on_hand: int
    settings: Mapping[str, int]
    expected_on_hand: int | None = None
    warnings: Sequence[str] = ()
    cells: Sequence[str] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is not, and what is wrong with it, each flaw a sentence that names line and column."""

    line: int
    flaws: Sequence[str]
    cells: Sequence[str] = field(default=(), compare=False)
    absent: bool = False
    """The row is right, and its level does not exist, which it must."""


class StockReader:
    """Reads rows one after another."""

    def __init__(self, file: TextIO, form: Form | None = None) -> None:
        """Read the first line. Raises `HeaderError`."""
        form = form or Form()
        separator, first = separator_line(file)
        self.header: Header = read_header(first, form, separator=separator)
        self._records = Records(file, self.header.delimiter)
        self._records.expect(len(self.header.cells), self.header.columns.index("on_hand"), self.header.ignored)
        self._lines_before = 2 if separator else 1

    @property
    def has_settings(self) -> bool:
        """Whether there is a column of a setting."""
        return any(setting in self.header.columns for setting in SETTINGS)

    def rows(self) -> Iterator[Row | BadRow]:
        """Read and check one row after another; rows without any text are passed over."""
        for record in self._records:
            line = record.line + self._lines_before
            if record.flaw:
                yield BadRow(line, [f"line {line}{self._column(record)}: {record.flaw}"], record.cells)
            elif any(cell and not cell.isspace() for cell in record.cells):
                yield self._row(line, record)

    def _column(self, record: Record) -> str:
        at = record.flawed_cell
        return f", column {self.header.name(at)}" if at is not None and at < len(self.header.cells) else ""

    def _row(self, line: int, record: Record) -> Row | BadRow:
        cells, columns = record.cells, self.header.columns
        if len(cells) < self.header.width_min:
            flaw = f"line {line}: not as many cells as columns: {len(cells)} and not {len(columns)}"
            return BadRow(line, [flaw], cells)
        for at in range(len(cells)):
            unnamed = at >= len(columns) or (not self.header.cells[at] and at not in self.header.ignored)
            if unnamed and cells[at].strip():
                text = shown(cells[at].strip())
                more = f"{len(cells)} and not {len(columns)}" if at >= len(columns) else f"column {at + 1} has no name"
                return BadRow(line, [f"line {line}: more cells than columns: {more}; {text} belongs to none"], cells)
        check = _Check(line, dict(zip(columns, cells, strict=False)))
        settings = {name: check.number(name) for name in SETTINGS if check.has(name)}
        expected = check.number(EXPECTED, signed=True) if check.has(EXPECTED) else None
        row = Row(
            line,
            check.item(),
            check.location(),
            check.number("on_hand", signed=True),
            settings,
            expected,
            tuple(check.warnings),
            cells,
        )
        return BadRow(line, check.flaws, cells) if check.flaws else row


class _Check:
    """Reads the cells of one row and notes what is wrong with each."""

    def __init__(self, line: int, cells: Mapping[str, str]) -> None:
        self.flaws: list[str] = []
        self.warnings: list[str] = []
        self._line = line
        self._cells = cells

    def has(self, column: str) -> bool:
        return bool(self._cells.get(column, "").strip())

    def item(self) -> str:
        column = "item" if "item" in self._cells else SAFE_ITEM
        item = self._cells[column].strip()
        if column == SAFE_ITEM:
            item = item.removeprefix(PROTECTION)
        written, item = item, unicodedata.normalize("NFC", item)
        if not item:
            self._note(column, "is empty; 1 to 128 bytes are allowed")
        elif UNDECODABLE in item:
            self._note(column, "is not text in the encoding of the file; name another, such as --encoding cp1252")
        elif len(item.encode()) > _ITEM_BYTES_MAX:
            self._note(column, f"{shown(item)} has {len(item.encode())} bytes; 1 to {_ITEM_BYTES_MAX} are allowed")
        elif _NOT_IN_ITEMS.search(item):
            self._note(column, f"{shown(item)} has a control character; none is allowed")
        elif item != item.strip():
            self._note(column, f"{shown(item)} begins or ends with white space; write it without")
        else:
            self._doubt(column, item, written)
        return item

    def location(self) -> str:
        location = self._cells.get("location", "").strip()
        if location and not _LOCATION.fullmatch(location):
            self._note("location", f"{shown(location)} is not of the form {_LOCATION.pattern}")
        return location

    def number(self, column: str, *, signed: bool = False) -> int:
        text = self._cells[column].strip()
        least = -INTEGER_MAX if signed else 0
        found = _NUMBER.fullmatch(text)
        if found and not (found[2] and len(found[2]) == _GROUP_DIGITS) and least <= int(found[1]) <= INTEGER_MAX:
            return int(found[1])
        if not text:
            self._note(column, "is empty; a whole number is needed")
            return 0
        hint = "; write thousands without a separator" if _THOUSANDS.fullmatch(text) else ""
        allowed = "from -(2^53-1) to 2^53-1" if signed else "from 0 to 2^53-1"
        self._note(column, f"{shown(text)} is not a whole number {allowed}{hint}")
        return 0

    def _doubt(self, column: str, item: str, written: str) -> None:
        """Note what is allowed and hardly meant; ``written`` is the item as the file has it."""
        if _SHORTENED.fullmatch(item):
            self._warn(column, f"{shown(item)} looks like a long number that a spreadsheet has shortened")
        if item.isascii():
            return
        unseen = [sign for sign in item if is_invisible(sign)]
        if unseen:
            named = ", ".join(dict.fromkeys(f"U+{ord(sign):04X}" for sign in unseen))
            self._warn(column, f"{item!r} has characters that nobody sees: {named}")
        elif written != item:
            self._warn(column, f"{written!a} is not in Unicode NFC; it is imported as {shown(item)}")

    def _note(self, column: str, what: str) -> None:
        self.flaws.append(f"line {self._line}, column {column}: {what}")

    def _warn(self, column: str, what: str) -> None:
        self.warnings.append(f"line {self._line}, column {column}: {what}")


def is_invisible(sign: str) -> bool:
    """Tell whether a character is not seen, or looks like a space and is none; U+FFFD stands for a broken one."""
    category = unicodedata.category(sign)
    return category in _INVISIBLE or (category == "Zs" and sign != " ") or sign == "\ufffd"


def shown(text: str) -> str:
    """Quote a cell, of a long one the head."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}…")
