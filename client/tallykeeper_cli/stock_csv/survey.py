"""The first pass over a stock file: its bad rows, the rows that later rows override, and the names that look alike.

The data of each row is in a temporary database on disk, so that memory does not grow with the file.
"""

import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Final, Self

from tallykeeper.v1.inventory_pb2 import StockLevel
from tallykeeper_cli.stock_csv.batches import Plan
from tallykeeper_cli.stock_csv.file_format import BadRow, Row, is_invisible

WARNINGS_MAX: Final = 20
"""The maximum number of warnings of one kind that are printed. The others are counted."""

_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8000;
CREATE TABLE levels (item TEXT, location TEXT, line INTEGER, PRIMARY KEY (item, location)) WITHOUT ROWID;
CREATE TABLE names (alike TEXT, item TEXT, line INTEGER, PRIMARY KEY (alike, item)) WITHOUT ROWID;
CREATE TABLE overridden (line INTEGER PRIMARY KEY);
CREATE TABLE existing (item TEXT, location TEXT, PRIMARY KEY (item, location)) WITHOUT ROWID;
CREATE TABLE existing_names (alike TEXT, item TEXT, PRIMARY KEY (alike, item)) WITHOUT ROWID;
"""
_ALIKE_WITHIN: Final = """
SELECT names.item, names.line, first.item, first.line FROM names
JOIN (SELECT alike, min(line) AS line FROM names GROUP BY alike HAVING count(*) > 1) AS earliest USING (alike)
JOIN names AS first ON first.alike = names.alike AND first.line = earliest.line
WHERE names.item != first.item ORDER BY names.line
"""
_ALIKE_EXISTING: Final = """
SELECT names.item, names.line, min(existing_names.item) FROM names JOIN existing_names USING (alike)
WHERE NOT EXISTS (SELECT 1 FROM existing_names AS same WHERE same.alike = names.alike AND same.item = names.item)
GROUP BY names.alike, names.item ORDER BY names.line
"""


class Survey:
    """The facts of a file after it has been read once."""

    def __init__(self, plan: Plan) -> None:
        self.row_count = 0
        self.bad_count = 0
        self.operation_count = 0
        self.warning_count = 0
        self.last_line = 1
        self._plan = plan
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._database.close()

    def read(self, rows: Iterable[Row | BadRow], warn: Callable[[str], None]) -> Iterator[BadRow]:
        """Read all rows, and yield the bad ones. ``warn`` is called with each doubt about a row."""
        for row in rows:
            self.row_count += 1
            self.last_line = row.line
            if isinstance(row, BadRow):
                self.bad_count += 1
                yield row
                continue
            self.operation_count += len(self._plan.operations(row))
            for warning in (*row.warnings, *self._plan.doubts(row)):
                self.warning_count += 1
                warn(warning)
            self._remember(row)

    def read_existing(self, levels: Iterable[StockLevel]) -> None:
        """Read the levels of the namespace."""
        for level in levels:
            self._database.execute("INSERT OR IGNORE INTO existing VALUES (?, ?)", (level.item, level.location))
            names = (alike(level.item), level.item)
            self._database.execute("INSERT OR IGNORE INTO existing_names VALUES (?, ?)", names)

    def exists(self, row: Row) -> bool:
        """Return True if the namespace has the level of a row."""
        level = self._plan.level(row)
        found = self._database.execute("SELECT 1 FROM existing WHERE item = ? AND location = ?", level)
        return found.fetchone() is not None

    def overridden_lines(self) -> Iterator[int]:
        """Yield the lines of the rows whose level a later row sets again, in order."""
        for (line,) in self._database.execute("SELECT line FROM overridden ORDER BY line"):
            yield line

    def look_alikes(self) -> Iterator[str]:
        """Yield a warning for each name that differs from another only by case, white space or invisible characters."""
        for item, line, other, other_line in self._database.execute(_ALIKE_WITHIN):
            yield f"line {line}, column item: {item!r} looks like {other!r} of line {other_line}"
        for item, line, other in self._database.execute(_ALIKE_EXISTING):
            yield f"line {line}, column item: {item!r} is new and looks like {other!r}, which exists"

    def _remember(self, row: Row) -> None:
        level = self._plan.level(row)
        if not self._plan.adds:
            earlier = "INSERT INTO overridden SELECT line FROM levels WHERE item = ? AND location = ?"
            self._database.execute(earlier, level)
            self._database.execute("INSERT OR REPLACE INTO levels VALUES (?, ?, ?)", (*level, row.line))
        names = (alike(row.item), row.item, row.line)
        self._database.execute("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", names)


def alike(item: str) -> str:
    """Return the common form of names that look alike: without case, white space and invisible characters."""
    if item.isascii():
        return "".join(item.casefold().split())
    text = unicodedata.normalize("NFKC", item).casefold()
    return "".join(sign for sign in text if not sign.isspace() and not is_invisible(sign))
