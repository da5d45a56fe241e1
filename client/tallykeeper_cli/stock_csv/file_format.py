"""The CSV form of stock: its columns, and the check of its rows.

The first line names the columns, in any order. It must name item and on_hand. An empty location means the location of
the import. An empty setting leaves the setting as it is.
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
"""The sign before a name in a column safe_item that a spreadsheet would otherwise read as a formula."""

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
    """A correct row, with the line where it begins. Empty settings are left out.

    ``warnings`` are doubts about the row; ``cells`` is the text of the file.
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
    """A bad row and its flaws. Each flaw is a sentence that names the line and the column."""

    line: int
    flaws: Sequence[str]
    cells: Sequence[str] = field(default=(), compare=False)
    absent: bool = False
    """True if the row is correct, but its level must exist and does not."""


class StockReader:
    """A reader of rows."""

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
        """True if there is a column of a setting."""
        return any(setting in self.header.columns for setting in SETTINGS)

    def rows(self) -> Iterator[Row | BadRow]:
        """Read and check one row after another. Rows without any text are left out."""
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
            flaw = f"line {line}: fewer cells than columns: {len(cells)}, not {len(columns)}"
            return BadRow(line, [flaw], cells)
        for at in range(len(cells)):
            unnamed = at >= len(columns) or (not self.header.cells[at] and at not in self.header.ignored)
            if unnamed and cells[at].strip():
                text = shown(cells[at].strip())
                more = f"{len(cells)}, not {len(columns)}" if at >= len(columns) else f"column {at + 1} has no name"
                flaw = f"line {line}: more cells than columns: {more}; {text} belongs to no column"
                return BadRow(line, [flaw], cells)
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
    """The check of the cells of a row, and the flaws that it finds."""

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
            self._note(column, "is not text in the encoding of the file; try another, such as --encoding cp1252")
        elif len(item.encode()) > _ITEM_BYTES_MAX:
            self._note(column, f"{shown(item)} has {len(item.encode())} bytes; 1 to {_ITEM_BYTES_MAX} are allowed")
        elif _NOT_IN_ITEMS.search(item):
            self._note(column, f"{shown(item)} has a control character; none is allowed")
        elif item != item.strip():
            self._note(column, f"{shown(item)} begins or ends with white space; remove it")
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
        """Note a name that is allowed and probably not intended. ``written`` is the item as the file has it."""
        if _SHORTENED.fullmatch(item):
            self._warn(column, f"{shown(item)} looks like a long number that a spreadsheet has shortened")
        if item.isascii():
            return
        unseen = [sign for sign in item if is_invisible(sign)]
        if unseen:
            named = ", ".join(dict.fromkeys(f"U+{ord(sign):04X}" for sign in unseen))
            self._warn(column, f"{item!r} has invisible characters: {named}")
        elif written != item:
            self._warn(column, f"{written!a} is not in Unicode NFC; it is imported as {shown(item)}")

    def _note(self, column: str, what: str) -> None:
        self.flaws.append(f"line {self._line}, column {column}: {what}")

    def _warn(self, column: str, what: str) -> None:
        self.warnings.append(f"line {self._line}, column {column}: {what}")


def is_invisible(sign: str) -> bool:
    """Return True for a character that is invisible, or looks like a space. U+FFFD stands for a broken one."""
    category = unicodedata.category(sign)
    return category in _INVISIBLE or (category == "Zs" and sign != " ") or sign == "\ufffd"


def shown(text: str) -> str:
    """Quote a cell. Only the beginning of a long cell is shown."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}…")
