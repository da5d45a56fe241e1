"""Makes stock files as spreadsheets and people write them, with the expected outcome of each row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

_DELIMITERS: Final = (",", ",", ";", "\t", "|")
_ENCODINGS: Final = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252", "utf-32")
_LINE_ENDS: Final = ("\n", "\r\n", "\r\n", "\r")
_HEADERS: Final = (("item", "on_hand"), ("Item", "On Hand"), ("ITEM", "ON-HAND"), (" item ", " on_hand "))
_RENAMED: Final = (("SKU", "Qty"), ("Art. Nr.", "Stück"), ("product code", "in stock"))
_WORDS: Final = (
    "dune",
    "Emma",
    "moby-dick",
    "Café",
    "24 inch",
    "tea, green",
    "x;y",
    'the "best"',
    "a=b@c",
    "b\u00fcro",
)
_LOCATIONS: Final = ("main", "annex", "shelf-1.2", "")
_NOTES: Final = ("", "ok", "two\nlines", 'said "so"', "1,5", "a\nb\nc", 'the "first"\nand "last"')


@dataclass
class Spreadsheet:
    """A file and its expected outcome."""

    content: bytes
    options: Sequence[str]
    levels: dict[tuple[str, str], int] = field(default_factory=dict)
    """The state of each level after the import, from the last valid row that names it."""
    rows: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    """The lines of the invalid rows, with their column. The column is empty if the row as a whole is invalid."""
    habits: str = ""


class _Writer:
    """Writes one file."""

    def __init__(self, draw: Random, rows: int) -> None:
        self._draw = draw
        self._count = rows
        self._delimiter = draw.choice(_DELIMITERS)
        self._encoding = draw.choice(_ENCODINGS)
        self._line_end = draw.choice(_LINE_ENDS)
        self._quotes_all = draw.random() < 0.2
        self._notes = draw.random() < 0.4
        self._places = draw.random() < 0.6
        self._blank_columns = draw.choice((0, 0, 0, 2))
        self._flawed = draw.random() < 0.6
        self._options: list[str] = []
        self._lines: list[str] = []
        self._line = 0
        self.sheet = Spreadsheet(b"", self._options)

    def write(self) -> Spreadsheet:
        self._header()
        for number in range(self._count):
            self._row(number)
        for _ in range(self._draw.choice((0, 0, 1, 5))):
            self._put(self._draw.choice(("", "  ", self._delimiter * (self._columns - 1))))
        text = self._line_end.join(self._lines) + self._draw.choice((self._line_end, ""))
        if self._encoding in {"latin-1", "cp1252"}:
            self._options += ["--encoding", self._encoding]
        self.sheet.content = text.encode(self._encoding)
        self.sheet.habits = f"{self._encoding} {self._delimiter!r} {self._line_end!r} {self._count} rows"
        return self.sheet

    def _header(self) -> None:
        item, on_hand = self._draw.choice(_HEADERS)
        if self._draw.random() < 0.25:
            item, on_hand = self._draw.choice(_RENAMED)
            self._options += ["--columns", f"item={item}", "--columns", f"on_hand={on_hand}"]
        if self._draw.random() < 0.15:
            self._put(f"sep={self._delimiter}")
        elif self._draw.random() < 0.1:
            name = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}[self._delimiter]
            self._options += ["--delimiter", name]
        cells = [item, *(["Location"] if self._places else []), on_hand, *(["note"] if self._notes else [])]
        if self._notes:
            self._options.append("--ignore-extra")
        self._columns = len(cells) + self._blank_columns
        self._put(self._delimiter.join([*map(self._cell, cells), *[""] * self._blank_columns]))

    def _row(self, number: int) -> None:
        if self._draw.random() < 0.01:
            self._put(self._draw.choice(("", self._delimiter * (self._columns - 1))))
        self.sheet.rows += 1
        if self._flawed and self._draw.random() < 0.05:
            self._draw.choice(self._flaws())(number)
            return
        item, location, on_hand = self._names(number), self._draw.choice(_LOCATIONS), self._draw.randrange(10_000)
        self.sheet.levels[item, (location or "main") if self._places else "main"] = on_hand
        self._put_row(self._spaced(self._cell(item)), location, self._spaced(self._number(on_hand)))

    def _put_row(self, item: str, location: str, on_hand: str, note: str | None = None) -> None:
        drawn = self._cell(self._draw.choice(_NOTES)) if note is None else note
        cells = [item, *([location] if self._places else []), on_hand, *([drawn] if self._notes else [])]
        self._put(self._delimiter.join([*cells, *[""] * self._blank_columns]))

    def _flaws(self) -> Sequence[Callable[[int], None]]:
        return (self._bad_number, self._empty_item, self._too_few_cells, self._open_quote, self._thousands)

    def _bad_number(self, number: int) -> None:
        self._flaw("on_hand")
        self._put_row(f"bad-{number}", "", self._draw.choice(("five", "5.5", "", "1e3", "--1")), "")

    def _thousands(self, number: int) -> None:
        self._flaw("on_hand")
        self._put_row(f"bad-{number}", "", '"1,000"', "")

    def _empty_item(self, _: int) -> None:
        self._flaw("item")
        self._put_row(self._draw.choice(('" "', "", "  ")), "", "5", "")

    def _too_few_cells(self, number: int) -> None:
        self._flaw("")
        self._put(f"bad-{number}")

    def _open_quote(self, number: int) -> None:
        self._flaw("item")
        self._put_row(f'"24 inch {number}', "", "5", "")

    def _flaw(self, column: str) -> None:
        self.sheet.bad[self._line + 1] = column

    def _names(self, number: int) -> str:
        duplicate = self._draw.random() < 0.1
        name = self._draw.choice(_WORDS)
        return f"{name} {self._draw.randrange(number + 1) if duplicate else number}"

    def _number(self, number: int) -> str:
        forms = [f"{number}", f"{number}", f"{number}.0", f"+{number}", f'"{number}"', f"{number}.00"]
        forms += [f"{number},0"] if self._delimiter != "," else [f'"{number},0"']
        return self._draw.choice(forms)

    def _spaced(self, cell: str) -> str:
        return self._draw.choice(("", "", " ", "\u00a0")) + cell + self._draw.choice(("", "", " "))

    def _cell(self, text: str) -> str:
        if self._quotes_all or any(sign in text for sign in (self._delimiter, '"', "\n")):
            escaped = text.replace('"', '""')
            return f'"{escaped}"'
        return text

    def _put(self, line: str) -> None:
        self._lines.append(line)
        self._line += 1 + line.count("\n")


def spreadsheet(seed: int, *, rows: int) -> Spreadsheet:
    """Return the file of a seed. The same seed and number of rows give the same file."""
    return _Writer(Random(seed), rows).write()
