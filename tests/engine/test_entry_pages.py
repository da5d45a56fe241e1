"""Pages of the ledger: together they are the whole listing, and each is read no further than it needs."""

from collections.abc import Callable, Sequence

import pytest

from tallykeeper_server.domain.entries import Entry, EntryLine, damaged_entry
from tallykeeper_server.domain.levels import CounterName
from tallykeeper_server.domain.limits import ANSWER_LINES_MAX
from tallykeeper_server.domain.queries import ReadLedger
from tallykeeper_server.engine.entry_pages import STEP_ENTRIES, EntryListing, EntryPage, read_entry_page

SCANNED_MAX = 20_000
NAMESPACE = "shop"


def entry(revision: int, lines: int = 0) -> Entry:
    """Return an entry with some lines."""
    made = damaged_entry(revision, "")
    if not lines:
        return made
    line = EntryLine(CounterName("c"), 1, 0, (), None)
    return Entry(**{name: getattr(made, name) for name in made.__slots__} | {"lines": (line,) * lines})


class Ledger:
    """The stream of a ledger in memory, which is read as `store.queries` reads it, and notes what is read."""

    def __init__(self, sizes: Sequence[int], lines: int = 0) -> None:
        """``sizes``: the number of entries of each script call, the oldest first."""
        self.steps: list[int] = []
        """The number of entries that each step decoded."""
        self._scripts: list[list[Entry]] = []
        revision = 0
        for size in sizes:
            self._scripts.append([entry(revision + each, lines) for each in range(1, size + 1)])
            revision += size
        self.entries = [each for script in self._scripts for each in script]

    async def read(self, query: ReadLedger) -> Sequence[Entry]:
        """Return the answer to a query."""
        assert query.entries_max is not None
        assert 0 < query.scripts_max <= 256
        if query.after is not None:
            after = query.after
            chosen = self._up_to([each for each in self._scripts if each[-1].revision > after], query)
            return [each for script in chosen for each in script if each.revision > after]
        before = query.before or len(self.entries) + 1
        newest_first = [each for each in reversed(self._scripts) if each[-1].revision < before]
        chosen = self._up_to(newest_first, query)
        containing = next((each for each in self._scripts if each[0].revision < before <= each[-1].revision), [])
        found = [each for each in reversed(containing) if each.revision < before]
        return found + [each for script in chosen for each in reversed(script)]

    def _up_to(self, scripts: Sequence[list[Entry]], query: ReadLedger) -> list[list[Entry]]:
        chosen: list[list[Entry]] = []
        for script in scripts[: query.scripts_max]:
            chosen.append(script)
            if sum(map(len, chosen)) >= (query.entries_max or 0):
                break
        self.steps.append(sum(map(len, chosen)))
        return chosen

    async def pages(
        self, page_size: int, *, newest_first: bool, passes: Callable[[Entry], bool] | None = None
    ) -> list[EntryPage]:
        """Return all pages of a listing."""
        pages: list[EntryPage] = []
        cursor: int | None = None
        while not pages or cursor is not None:
            listing = EntryListing(namespace=NAMESPACE, newest_first=newest_first, passes=passes, cursor=cursor)
            pages.append(await read_entry_page(listing, page_size, self.read))
            assert cursor != pages[-1].cursor or cursor is None
            cursor = pages[-1].cursor
        return pages


def revisions(entries: Sequence[Entry]) -> list[int]:
    return [each.revision for each in entries]


LEDGERS: dict[str, list[int]] = {
    "empty": [],
    "one": [1],
    "one entry each": [1] * 150,
    "fifty each": [50] * 6,
    "two large": [270, 1, 1, 270, 3],
    "several": [(1, 60, 7, 2, 64, 1, 7)[number * number % 7] for number in range(15)],
}
FILTERS: dict[str, Callable[[Entry], bool] | None] = {
    "none": None,
    "all": lambda _: True,
    "every third": lambda each: each.revision % 3 == 0,
    "rare": lambda each: each.revision in {1, 50, 51, 130},
    "nothing": lambda _: False,
}


@pytest.mark.parametrize("sizes", LEDGERS.values(), ids=LEDGERS)
@pytest.mark.parametrize("passes", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("page_size", [1, 7, 49, 50, 51, 1_000])
async def test_the_pages_together_are_the_whole_listing(
    sizes: list[int], passes: Callable[[Entry], bool] | None, page_size: int, *, newest_first: bool
) -> None:
    ledger = Ledger(sizes)

    pages = await ledger.pages(page_size, newest_first=newest_first, passes=passes)

    expected = [each for each in ledger.entries if passes is None or passes(each)]
    found = [each for page in pages for each in page.entries]
    assert revisions(found) == revisions(expected[::-1] if newest_first else expected)
    assert [len(page.entries) for page in pages[:-1]] == [page_size] * (len(pages) - 1), "each but the last is full"


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(("size", "page_size"), [(1, 100), (50, 50), (50, 100), (200, 20), (7, 1_000)])
async def test_a_page_decodes_the_entries_that_it_needs(size: int, page_size: int, *, newest_first: bool) -> None:
    ledger = Ledger([size] * (1_500 // size + 2))
    listing = EntryListing(namespace=NAMESPACE, newest_first=newest_first, passes=None, cursor=None)

    page = await read_entry_page(listing, page_size, ledger.read)

    assert len(page.entries) == page_size
    assert sum(ledger.steps) <= page_size + size, "the page, and at most the rest of one script call"


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", [1, 50])
async def test_a_page_with_a_filter_looks_at_a_limited_number_of_entries_in_small_steps(
    size: int, *, newest_first: bool
) -> None:
    ledger = Ledger([size] * (45_000 // size))

    pages = await ledger.pages(10, newest_first=newest_first, passes=lambda each: each.revision == 22_000)

    assert [len(page.entries) for page in pages] == [0, 1, 0]
    assert max(ledger.steps) <= STEP_ENTRIES + size
    assert sum(ledger.steps) <= 45_000 + len(ledger.steps) * size
    first = EntryListing(namespace=NAMESPACE, newest_first=newest_first, passes=lambda _: False, cursor=None)
    ledger.steps.clear()
    await read_entry_page(first, 10, ledger.read)
    assert SCANNED_MAX <= sum(ledger.steps) <= SCANNED_MAX + STEP_ENTRIES + size


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_page_of_entries_with_many_lines_is_shorter(*, newest_first: bool) -> None:
    ledger = Ledger([10] * 12, lines=100)

    pages = await ledger.pages(1_000, newest_first=newest_first)

    assert [len(page.entries) for page in pages] == [ANSWER_LINES_MAX // 100] * 2 + [20]


async def test_a_page_is_true_at_the_newest_revision_that_was_read() -> None:
    ledger = Ledger([10] * 12)
    newest = EntryListing(namespace=NAMESPACE, newest_first=True, passes=None, cursor=None)
    oldest = EntryListing(namespace=NAMESPACE, newest_first=False, passes=lambda _: False, cursor=None)

    assert (await read_entry_page(newest, 5, ledger.read)).revision == 120
    assert (await read_entry_page(oldest, 5, ledger.read)).revision == 120
    assert (await read_entry_page(newest, 5, Ledger([]).read)).revision == 0
