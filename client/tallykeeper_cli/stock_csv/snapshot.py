"""A snapshot of all levels at one revision, while changes continue.

A listing takes time, and each of its levels is as it was at some moment between two revisions. The ledger has the
levels that were changed between these revisions, with their values after each change. These values replace the listed
ones, so that every level is as it was at the second revision.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

from tallykeeper.v1.inventory_pb2 import StockLevel
from tallykeeper_cli.terminal.failures import Refused
from tallykeeper_client.client import Client
from tallykeeper_client.errors import RevisionsLost, RevisionTrimmed

_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8000;
CREATE TABLE levels (location_index INTEGER, item BLOB, location BLOB, level BLOB,
    PRIMARY KEY (location_index, item, location))
WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected levels: those of some locations, in their order, or of all locations, and of items by prefix."""

    locations: tuple[str, ...]
    item_prefix: str

    def location_index(self, item: str, location: str) -> int | None:
        """Return the index of a level's location among the selected ones; None if the level is not selected."""
        if not item.startswith(self.item_prefix):
            return None
        if not self.locations:
            return 0
        return self.locations.index(location) if location in self.locations else None


@contextmanager
def snapshot(client: Client, selection: Selection) -> Iterator[tuple[Iterator[StockLevel], int]]:
    """Return the selected levels in the order of a listing, and the revision at which all of them are so.

    Raises click.ClickException if the ledger no longer has the changes during the listing, and TallykeeperError.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        database.executescript(_SCHEMA)
        database.execute("BEGIN")
        since = client.get_namespace().revision
        for location in selection.locations or (None,):
            _put(
                database,
                selection,
                client.iterate_stock(
                    selection.item_prefix, location=location or "", any_location=location is None, page_size=1000
                ),
            )
        revision = client.get_namespace().revision
        if revision > since:
            _catch_up(client, database, selection, since=since, revision=revision)
        yield _listed(database), revision


def _catch_up(client: Client, database: sqlite3.Connection, selection: Selection, *, since: int, revision: int) -> None:
    """Apply the changes after the first revision and up to the second."""
    try:
        with closing(client.watch_responses(after_revision=since)) as responses:
            for response in responses:
                for entry in response.entries:
                    if entry.revision > revision:
                        return
                    for line in entry.lines:
                        if line.stock.HasField("after"):
                            _put(database, selection, [line.stock.after])
                        elif line.HasField("stock"):
                            _take_out(database, line.stock.item, line.stock.location)
                if response.revision >= revision:
                    return
    except (RevisionTrimmed, RevisionsLost) as error:
        message = (
            f"no consistent export: {error.message}; so the changes after revision {since} "
            "are unknown. Export again at a quieter time, or let the ledger keep more revisions"
        )
        raise Refused(message) from error


def _put(database: sqlite3.Connection, selection: Selection, levels: Iterable[StockLevel]) -> None:
    for level in levels:
        index = selection.location_index(level.item, level.location)
        if index is not None:
            row = (index, level.item.encode(), level.location.encode(), level.SerializeToString())
            database.execute("INSERT OR REPLACE INTO levels VALUES (?, ?, ?, ?)", row)


def _take_out(database: sqlite3.Connection, item: str, location: str) -> None:
    database.execute("DELETE FROM levels WHERE item = ? AND location = ?", (item.encode(), location.encode()))


def _listed(database: sqlite3.Connection) -> Iterator[StockLevel]:
    for (level,) in database.execute("SELECT level FROM levels ORDER BY location_index, item, location"):
        yield StockLevel.FromString(level)
