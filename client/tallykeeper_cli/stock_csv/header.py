"""The first line of a stock file: the delimiter, and the meaning of each column."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from io import StringIO
from typing import Final, TextIO

from tallykeeper_cli.stock_csv.records import LINE_CHARACTERS_MAX, Records

SETTINGS: Final = ("safety_stock", "backorder_limit", "low_stock_threshold")
EXPECTED: Final = "expected_on_hand"
SAFE_ITEM: Final = "safe_item"
REASON: Final = "reason"
"""The last column of a file of rejected rows. An import ignores it."""
EXPORTED: Final = ("item", "location", "on_hand", *SETTINGS)
COLUMNS: Final = (*EXPORTED, EXPECTED)

DELIMITERS: Final[Mapping[str, str]] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_NAMES: Final = {sign: name for name, sign in DELIMITERS.items()}
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_LIKELY: Final = {
    "item": ("sku", "article", "product", "name", "code", "id", "ean", "isbn"),
    "on_hand": ("quantity", "qty", "stock", "count", "amount", "on hand", "copies"),
}
_IGNORED: Final = ""


class HeaderError(Exception):
    """The first line does not name the columns correctly. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The known facts of a file before it is read. A fact that is None or empty is detected.

    ``columns`` maps columns to the names that the file has for them, as in ``{"item": "SKU"}``.
    """

    delimiter: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    ignore_extra: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The columns of a file: ``cells`` has the file's names, and ``columns`` the meanings, empty if ignored."""

    delimiter: str
    detected: bool
    cells: Sequence[str]
    columns: Sequence[str]
    ignored: AbstractSet[int]

    @property
    def width_min(self) -> int:
        """The minimum number of cells in a row. Columns without a name at the end of the first line may be missing."""
        return max(at for at, cell in enumerate(self.cells) if cell) + 1

    @property
    def words(self) -> str:
        """The delimiter and the ignored columns, in words."""
        how = " (detected)" if self.detected else ""
        name = _NAMES.get(self.delimiter, repr(self.delimiter))
        ignored = [cell for at, cell in enumerate(self.cells) if at in self.ignored and cell]
        return f"separated by {name}{how}" + (f", ignored columns: {', '.join(ignored)}" if ignored else "")

    def name(self, at: int) -> str:
        """Return the name of a column: its meaning, or the file's name for it, or its number."""
        return self.columns[at] or self.cells[at] or str(at + 1)


def separator_line(file: TextIO) -> tuple[str | None, str]:
    """Return the delimiter of a first line ``sep=;`` (None without one), and the line that names the columns."""
    first = file.readline(LINE_CHARACTERS_MAX)
    found = _SEPARATOR_LINE.fullmatch(first)
    return (found[1], file.readline(LINE_CHARACTERS_MAX)) if found else (None, first)


def read_header(text: str, form: Form, *, separator: str | None) -> Header:
    """Read the line that names the columns. Raises `HeaderError`."""
    where = "line 2" if separator else "line 1"
    if not text.strip():
        message = f"{where}: the file names no columns, because this line is empty"
        raise HeaderError(message)
    delimiter = form.delimiter or separator or _detect(text, form)
    (record,) = Records(StringIO(text.rstrip("\n").replace("\n", " ")), delimiter)
    if record.flaw:
        message = f"{where}: {record.flaw}"
        raise HeaderError(message)
    cells = [cell.strip() for cell in record.cells]
    columns = _columns(cells, form, where)
    ignored = {at for at, column in enumerate(columns) if column == _IGNORED and (cells[at] or form.ignore_extra)}
    return Header(
        delimiter=delimiter,
        detected=form.delimiter is None and separator is None,
        cells=cells,
        columns=columns,
        ignored=ignored,
    )


def normal(name: str) -> str:
    """Return a column's name in the form for comparisons: without case, and with _ for spaces and hyphens."""
    return re.sub(r"[\s-]+", "_", name.strip().strip("\ufeff\u200b").casefold())


def _detect(text: str, form: Form) -> str:
    """Return the delimiter with which a line names the most known columns. A comma wins a tie."""
    known = {normal(name) for name in (*COLUMNS, SAFE_ITEM, *form.columns.values())}

    def columns_named(delimiter: str) -> tuple[int, int]:
        cells = text.split(delimiter)
        return sum(normal(cell.strip().strip('"')) in known for cell in cells), len(cells)

    return max(DELIMITERS.values(), key=columns_named)


def _columns(cells: Sequence[str], form: Form, where: str) -> Sequence[str]:
    renamed = {normal(theirs): ours for ours, theirs in form.columns.items()}
    columns = [_column(cell, renamed, form) for cell in cells]
    if normal(cells[-1]) == REASON and columns[-1] is None:
        columns[-1] = _IGNORED
    known = f"the columns are {', '.join(COLUMNS)}"
    for cell, column in zip(cells, columns, strict=True):
        if column is None:
            message = f"{where}: {cell!r} is not a column{_hint(cell, columns)}; {known}"
            raise HeaderError(message)
    found = [column or _IGNORED for column in columns]
    held = ["item" if column == SAFE_ITEM else column for column in found if column]
    for column in held:
        if held.count(column) > 1:
            message = f"{where}: the column {column} is there twice"
            raise HeaderError(message)
    for column in ("item", "on_hand"):
        if column not in held:
            theirs = f", as {form.columns[column]!r}" if column in form.columns else ""
            message = f"{where}: the column {column} is missing{theirs}; {known}"
            raise HeaderError(message)
    return found


def _column(cell: str, renamed: Mapping[str, str], form: Form) -> str | None:
    """Return the meaning of a column, an empty text if it is ignored, and None if it is unknown."""
    name = normal(cell)
    if name in renamed:
        return renamed[name]
    if name in (*COLUMNS, SAFE_ITEM) and name not in form.columns:
        return name
    return _IGNORED if not cell or form.ignore_extra else None


def _hint(cell: str, columns: Sequence[str | None]) -> str:
    likely = (
        column
        for column, names in _LIKELY.items()
        if column not in columns and any(word in cell.casefold() for word in names)
    )
    column = next(likely, None)
    return f"; --columns {column}={cell!r} makes it the column {column}" if column else "; --ignore-extra ignores it"
