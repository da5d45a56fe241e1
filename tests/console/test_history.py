"""The history of an item and of a counter, from the ledger of a server."""

from tallykeeper.v1.ledger_pb2 import ListEntriesResponse
from tallykeeper_client import AsyncClient, Counter, CounterChange, Entry, EntryLine, WatchResponse
from tallykeeper_console.views import history
from tallykeeper_console.views.history import History, Name
from tests.support.server import ThreadedServer


def change(revision: int) -> Entry:
    """Make the entry of a counter that is set to the revision."""
    after = Counter(counter="visits", value=revision)
    return Entry(revision=revision, lines=[EntryLine(counter=CounterChange(counter="visits", after=after))])


def ledger(revisions: int, page_size: int) -> history.ReadPage:
    """Make a ledger of one counter."""

    async def read(token: str) -> ListEntriesResponse:
        newest = int(token or revisions)
        oldest = max(newest - page_size, 0)
        return ListEntriesResponse(
            entries=[change(revision) for revision in range(newest, oldest, -1)],
            next_page_token=str(oldest) if oldest else "",
            revision=revisions,
        )

    return read


def revisions(found: History) -> list[int]:
    """Return the revisions of a history, the newest first."""
    return [entry.revision for entry in found.newest_first]


async def test_it_looks_back_in_steps_of_a_limited_length() -> None:
    found = History(Name("visits", is_counter=True))
    await found.look_back(ledger(30, page_size=2), pages_max=3)
    assert (revisions(found), found.complete) == ([30, 29, 28, 27, 26, 25], False)
    await found.look_back(ledger(30, page_size=2), pages_max=100)
    assert (revisions(found), found.complete) == (list(range(30, 0, -1)), True)
    await found.look_back(ledger(30, page_size=2))
    assert len(revisions(found)) == 30


async def test_it_follows_a_watch_without_a_repeat() -> None:
    found = History(Name("visits", is_counter=True))
    await found.look_back(ledger(3, page_size=10))
    assert not found.follow(WatchResponse(entries=[change(3)], revision=5))
    assert found.follow(WatchResponse(entries=[change(6)], revision=6))
    assert revisions(found) == [6, 3, 2, 1]
    assert [value for _, value in found.series()[0].points] == [1, 2, 3, 6]


async def test_a_watch_may_bring_entries_before_the_first_page_does() -> None:
    found = History(Name("visits", is_counter=True))
    found.follow(WatchResponse(entries=[change(2), change(3)], revision=3))
    await found.look_back(ledger(3, page_size=10))
    assert revisions(found) == [3, 2, 1]


async def test_it_keeps_the_newest_entries_alone() -> None:
    found = History(Name("visits", is_counter=True))
    await found.look_back(ledger(history.POINTS_MAX + 100, page_size=300), pages_max=2)
    assert (len(revisions(found)), found.complete) == (history.POINTS_MAX, True)
    found.follow(WatchResponse(entries=[change(9_999)], revision=9_999))
    assert (len(revisions(found)), revisions(found)[0]) == (history.POINTS_MAX, 9_999)


async def test_an_item_has_a_line_for_each_location(server: ThreadedServer, namespace: str) -> None:
    async with AsyncClient(server.target, namespace=namespace) as client:
        await client.set_stock("dune", 5, location="main")
        await client.set_stock("dune", 2, location="berlin")
        await client.set_stock("emma", 9, location="main")
        await client.configure_stock("dune", location="berlin", safety_stock=1)
        await client.configure_stock("dune", location="berlin", safety_stock=0)
        await client.decrement_copies("dune", location="main")
        found = History(Name("dune", is_counter=False))

        await found.look_back(lambda token: client.list_entries(item="dune", newest_first=True, page_token=token))

    lines = {series.label: [value for _, value in series.points] for series in found.series()}
    assert lines == {"berlin, on hand": [2, 2, 2], "berlin, available": [2, 1, 2], "main, on hand": [5, 4]}
