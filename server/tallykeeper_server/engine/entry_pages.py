"""Reads a page of the ledger's entries in steps, and stops as soon as the page is full.

Between two steps the event loop serves other calls. `rpc.ledger` reads the request and makes the response.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tallykeeper_server.domain.entries import Entry, first_entries_size
from tallykeeper_server.domain.queries import ReadLedger

STEP_ENTRIES: Final = 256
"""The number of entries that a step decodes if a filter decides how many of them the page takes: 5 ms of CPU time."""
_SCANNED_ENTRIES_MAX: Final = 20_000
"""The number of entries after which a page stays short."""
_FIRST_STEP_SCRIPTS: Final = 64
_STEP_SCRIPTS_MAX: Final = 256
"""The number of script calls whose entries the store sends in one step: in the first one, and at most. The store sends
them whole, and does nothing else while it reads them. A script call has 1 to about 1,000 entries."""

ReadStep: TypeAlias = Callable[[ReadLedger], Awaitable[Sequence[Entry]]]
"""Reads entries of the ledger from the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryListing:
    """A listing of entries, and the place in it at which a page begins."""

    namespace: str
    newest_first: bool
    passes: Callable[[Entry], bool] | None
    """Tells whether an entry belongs to the listing; None if every entry does."""
    cursor: int | None
    """The revision at which the page before ended; None for the first page."""


@dataclass(frozen=True, slots=True)
class EntryPage:
    """A page of a listing."""

    entries: Sequence[Entry]
    cursor: int | None
    """The revision at which the page ends; None if no page follows."""
    revision: int
    """The newest revision that was read; 0 if there is none."""


async def read_entry_page(listing: EntryListing, page_size: int, read_step: ReadStep) -> EntryPage:
    """Return a page with at most ``page_size`` entries, and with fewer if they have many lines or few of them pass.

    :raises TallyError: as ``read_step`` does.
    """
    page: list[Entry] = []
    cursor, revision, scanned, scripts = listing.cursor, 0, 0, _FIRST_STEP_SCRIPTS
    while scanned < _SCANNED_ENTRIES_MAX:
        # one entry more than the page needs shows that another page follows
        wanted = page_size + 1 - len(page) if listing.passes is None else STEP_ENTRIES
        read = await read_step(_step(listing, cursor, scripts_max=min(scripts, wanted), entries_max=wanted))
        if not read:
            return EntryPage(page, None, revision)
        # The ledger grows while it is read. The page is true at the newest revision that was seen.
        revision = max(revision, read[0].revision, read[-1].revision)
        page += filter(listing.passes, read) if listing.passes else read
        size = min(page_size, first_entries_size(page))
        if len(page) > size:
            return EntryPage(page[:size], _end_of(page[size - 1], listing), revision)
        if listing.newest_first and read[-1].first_revision == 1:
            return EntryPage(page, None, revision)
        cursor = _end_of(read[-1], listing)
        if len(page) == page_size:
            break
        scanned += len(read)
        scripts = max(1, scripts // 2) if len(read) > wanted else min(2 * scripts, _STEP_SCRIPTS_MAX)
    return EntryPage(page, cursor, revision)


def _step(listing: EntryListing, cursor: int | None, *, scripts_max: int, entries_max: int) -> ReadLedger:
    namespace = listing.namespace
    if listing.newest_first:
        return ReadLedger(namespace, before=cursor, scripts_max=scripts_max, entries_max=entries_max)
    return ReadLedger(namespace, after=cursor or 0, scripts_max=scripts_max, entries_max=entries_max)


def _end_of(entry: Entry, listing: EntryListing) -> int:
    """Return the cursor of a page that ends with an entry."""
    return entry.first_revision if listing.newest_first else entry.revision
