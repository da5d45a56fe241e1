"""A listing: one page at a time, with the way back, and no answer to an older search."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from tallykeeper_console.views.paged_list import KEY, Fetch, Listing, Page


def pages(count: int) -> Fetch:
    """Make a listing with some pages of one row each."""

    async def fetch(token: str) -> Page:
        number = int(token or "1")
        return Page([{KEY: number}], str(number + 1) if number < count else "")

    return fetch


def shown(listing: Listing) -> list[int]:
    """Return the rows that are shown."""
    return [row[KEY] for row in listing.rows]


async def test_it_goes_forth_and_back_and_holds_one_page() -> None:
    listing = Listing(pages(3))
    assert await listing.refresh()
    assert (shown(listing), listing.number, listing.has_previous, listing.has_next) == ([1], 1, False, True)
    assert await listing.next()
    assert await listing.next()
    assert (shown(listing), listing.number, listing.has_next) == ([3], 3, False)
    assert not await listing.next()
    assert await listing.previous()
    assert (shown(listing), listing.number) == ([2], 2)
    assert await listing.refresh()
    assert shown(listing) == [2]
    assert await listing.search(pages(1))
    assert (shown(listing), listing.number, listing.has_previous) == ([1], 1, False)
    assert not await listing.previous()


async def test_an_answer_to_an_older_search_is_dropped() -> None:
    release = asyncio.Event()

    async def slow(_: str) -> Page:
        await release.wait()
        return Page([{KEY: 99}], "")

    listing = Listing(pages(1))
    old = asyncio.create_task(listing.search(slow))
    await asyncio.sleep(0)
    assert await listing.search(pages(1))
    release.set()

    assert not await old
    assert shown(listing) == [1]


@pytest.mark.parametrize("step", ["next", "previous", "search"])
async def test_a_refresh_does_not_replace_a_step_that_waits(step: str) -> None:
    release = asyncio.Event()
    release.set()

    async def fetch(token: str) -> Page:
        await release.wait()
        return await pages(3)(token)

    listing = Listing(fetch)
    await listing.refresh()
    await listing.next()
    release.clear()
    steps: dict[str, Callable[[], Awaitable[bool]]] = {
        "next": listing.next,
        "previous": listing.previous,
        "search": partial(listing.search, fetch),
    }
    moving = asyncio.ensure_future(steps[step]())
    await asyncio.sleep(0)
    refreshing = asyncio.ensure_future(listing.refresh())
    await asyncio.sleep(0)
    release.set()

    assert (await moving, await refreshing) == (True, False)
    assert listing.number == {"next": 3, "previous": 1, "search": 1}[step]
    assert await listing.refresh()


async def test_a_step_that_fails_stops_no_refresh() -> None:
    async def fetch(token: str) -> Page:
        if token:
            raise ConnectionError
        return await pages(2)(token)

    listing = Listing(fetch)
    await listing.refresh()
    with pytest.raises(ConnectionError):
        await listing.next()

    assert await listing.refresh()
    assert shown(listing) == [1]


async def test_the_rows_stay_when_a_read_fails() -> None:
    async def broken(_: str) -> Page:
        raise ConnectionError

    listing = Listing(pages(2))
    await listing.refresh()
    with pytest.raises(ConnectionError):
        await listing.search(broken)
    assert shown(listing) == [1]
