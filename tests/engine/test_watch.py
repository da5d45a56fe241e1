"""Watching: the batches of each watch, their order, the end of slow watches, and that nothing is left behind."""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

import pytest

from tallykeeper_server.domain.entries import Entry, memory_bytes_of
from tallykeeper_server.domain.errors import (
    DefectError,
    OutcomeUnknownError,
    RevisionAheadError,
    RevisionsLostError,
    RevisionTrimmedError,
    ShuttingDownError,
    StoreUnavailableError,
    TooManyWatchesError,
    WatcherTooSlowError,
)
from tallykeeper_server.domain.queries import ReadLedger
from tallykeeper_server.engine.watch import WatchBatch, WatchHub, WatchLimits

Watch = AsyncGenerator[WatchBatch, None]

PAGE_ENTRIES = 16
NEVER = 3_600.0


class PlayedLedger:
    """A ledger in memory that answers, waits, fails and forgets as the test says. All namespaces share it."""

    def __init__(self, revision: int = 0, *, turns: random.Random | None = None) -> None:
        self.revision = 0
        self.tails: list[PlayedTail] = []
        self.calls: Counter[str] = Counter()
        self.read_failures: list[Exception] = []
        self.revision_failures: list[Exception] = []
        self.page_entries = PAGE_ENTRIES
        self.read_entries = 10_000
        self.entries: list[Entry] = []
        self.changed = asyncio.Event()
        self._turns = turns
        self._held: dict[str, asyncio.Event] = {}
        self.append(revision)

    def append(self, count: int = 1) -> None:
        for _ in range(count):
            self.revision += 1
            self.entries.append(entry_of(self.revision))
        self.wake()

    def trim(self, oldest: int) -> None:
        self.entries = [entry for entry in self.entries if entry.revision >= oldest]

    def lose(self, after: int) -> None:
        self.entries = [entry for entry in self.entries if entry.revision <= after]
        self.revision = after

    def replace_after(self, revision: int, *, count: int) -> None:
        """Lose the entries after a revision, and make others with the same revisions, while nobody reads."""
        self.lose(revision)
        later = [replace(entry_of(revision + number), reference="another") for number in range(1, count + 1)]
        self.entries += later
        self.revision += count

    def fail_read(self, *errors: Exception) -> None:
        self.read_failures += errors
        self.wake()

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def hold(self, call: str) -> None:
        self._held[call] = asyncio.Event()

    def release(self, call: str) -> None:
        self._held.pop(call).set()

    def after(self, revision: int) -> list[Entry]:
        return [entry for entry in self.entries if entry.revision > revision]

    async def begin(self, call: str) -> None:
        """Record a call, let the test hold it, and let other calls run first."""
        self.calls[call] += 1
        if call in self._held:
            await self._held[call].wait()
        for _ in range(self._turns.randrange(4) if self._turns else 1):
            await asyncio.sleep(0)

    def tail(self, namespace: str) -> "PlayedTail":
        tail = PlayedTail(self, namespace)
        self.tails.append(tail)
        return tail

    async def read_ledger(self, query: ReadLedger) -> Sequence[Entry]:
        assert query.after is not None
        await self.begin("read_ledger")
        page = self.after(query.after)[: self.page_entries]
        if self._turns:
            await asyncio.sleep(0)
        return page

    async def revision_of(self, namespace: str) -> int:
        assert namespace
        await self.begin("revision_of")
        if self.revision_failures:
            raise self.revision_failures.pop(0)
        return self.revision


class PlayedTail:
    """A tail of a played ledger."""

    def __init__(self, ledger: PlayedLedger, namespace: str) -> None:
        self.namespace = namespace
        self.closed = False
        self.close_failure: Exception | None = None
        self._ledger = ledger

    async def read(self, after: int, *, wait_seconds: float) -> Sequence[Entry]:
        await self._ledger.begin("read")
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                while not self._ledger.after(after) and not self._ledger.read_failures:
                    await self._ledger.changed.wait()
        if self._ledger.read_failures:
            raise self._ledger.read_failures.pop(0)
        return self._ledger.after(after)[: self._ledger.read_entries]

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed = True
        if self.close_failure:
            raise self.close_failure


def entry_of(revision: int) -> Entry:
    return Entry(
        revision=revision,
        commit_time_ms=0,
        operation="increment",
        request_id="",
        reason="",
        reference="",
        identity="",
        lines=(),
        reservation=None,
    )


def hub_on(
    ledger: PlayedLedger,
    *,
    watches_max: int = 1_000,
    namespaces_max: int = 10,
    buffer_entries_max: int = 10_000,
    buffer_bytes_max: int = 1 << 30,
    buffers_bytes_max: int = 1 << 30,
    bookmark_seconds: float = NEVER,
) -> WatchHub:
    limits = WatchLimits(
        watches_max=watches_max,
        namespaces_max=namespaces_max,
        buffer_entries_max=buffer_entries_max,
        buffer_bytes_max=buffer_bytes_max,
        buffers_bytes_max=buffers_bytes_max,
        bookmark_seconds=bookmark_seconds,
    )
    return WatchHub(ledger, limits)


def every(_: Entry) -> bool:
    return True


def none(_: Entry) -> bool:
    return False


def watching(
    hub: WatchHub, *, after: int | None = None, passes: Callable[[Entry], bool] = every, namespace: str = "shop"
) -> aclosing[Watch]:
    return aclosing(hub.watch(namespace, after=after, passes=passes))


async def next_of(watch: Watch) -> WatchBatch:
    async with asyncio.timeout(10):
        return await anext(watch)


async def next_batch(watch: Watch) -> tuple[list[int], int]:
    """Return the revisions of the next batch's entries, and the revision of the batch."""
    batch = await next_of(watch)
    return [entry.revision for entry in batch.entries], batch.revision


async def revisions_until(watch: Watch, revision: int) -> list[int]:
    """Return the revisions of all entries that are given until the watch has reached a revision."""
    revisions: list[int] = []
    reached = -1
    while reached < revision:
        more, reached = await next_batch(watch)
        revisions += more
    return revisions


async def until(condition: Callable[[], bool]) -> None:
    """Return as soon as a condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # the condition is of any kind
            await asyncio.sleep(0)


async def until_idle(ledger: PlayedLedger, *, reads: int) -> None:
    """Return when the reader has asked for more a number of times, and waits."""
    await until(lambda: ledger.calls["read"] >= reads)
    for _ in range(3):
        await asyncio.sleep(0)


def assert_nothing_is_left(ledger: PlayedLedger) -> None:
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert all(tail.closed for tail in ledger.tails)


async def test_a_watch_begins_at_the_current_revision_and_follows() -> None:
    ledger = PlayedLedger(5)

    async with watching(hub_on(ledger)) as watch:
        assert await next_batch(watch) == ([], 5)
        ledger.append(2)
        assert await next_batch(watch) == ([6, 7], 7)
        ledger.append()
        assert await next_batch(watch) == ([8], 8)

    assert_nothing_is_left(ledger)


async def test_a_watch_catches_up_a_page_at_a_time_and_then_follows() -> None:
    ledger = PlayedLedger(40)

    async with watching(hub_on(ledger), after=3) as watch:
        assert await next_batch(watch) == ([*range(4, 20)], 19)
        assert await next_batch(watch) == ([*range(20, 36)], 35)
        assert await next_batch(watch) == ([*range(36, 41)], 40)
        ledger.append()
        assert await next_batch(watch) == ([41], 41)

    assert ledger.calls["read_ledger"] == 3


@pytest.mark.parametrize("revision", [0, 7])
async def test_a_watch_that_misses_nothing_gets_an_empty_batch_at_once(revision: int) -> None:
    ledger = PlayedLedger(revision)

    async with watching(hub_on(ledger), after=revision) as watch:
        assert await next_batch(watch) == ([], revision)
        ledger.append()
        assert await next_batch(watch) == ([revision + 1], revision + 1)

    assert not ledger.calls["read_ledger"]


async def test_a_watch_from_a_revision_that_has_not_been_reached_is_refused() -> None:
    ledger = PlayedLedger(5)

    async with watching(hub_on(ledger), after=6) as watch:
        with pytest.raises(RevisionAheadError) as caught:
            await next_of(watch)

    assert caught.value.facts == {"after_revision": "6", "revision": "5"}
    assert_nothing_is_left(ledger)


async def test_a_watch_may_begin_after_a_revision_that_the_reader_has_not_come_to() -> None:
    ledger = PlayedLedger(5)
    ledger.read_entries = 1
    hub = hub_on(ledger)
    ledger.hold("read")

    async with watching(hub) as early, watching(hub, after=7) as watch, watching(hub, after=8) as last:
        assert await next_batch(early) == ([], 5)
        ledger.append(3)
        assert await next_batch(watch) == ([], 7)
        assert await next_batch(last) == ([], 8)
        ledger.release("read")
        assert await revisions_until(early, 8) == [6, 7, 8]
        assert await next_batch(watch) == ([8], 8)
        ledger.append()
        assert await next_batch(watch) == await next_batch(last) == ([9], 9)


@pytest.mark.parametrize(("oldest", "after"), [(4, 2), (6, 0), (11, 9)])
async def test_a_watch_from_before_the_oldest_entry_is_refused(oldest: int, after: int) -> None:
    ledger = PlayedLedger(10)
    ledger.trim(oldest)

    async with watching(hub_on(ledger), after=after) as watch:
        with pytest.raises(RevisionTrimmedError) as caught:
            await next_of(watch)

    assert caught.value.facts == {"after_revision": str(after), "oldest": str(oldest)}
    assert_nothing_is_left(ledger)


async def test_a_watch_ends_when_the_ledger_is_trimmed_while_it_catches_up() -> None:
    ledger = PlayedLedger(100)

    async with watching(hub_on(ledger), after=0) as watch:
        assert (await next_batch(watch))[1] == PAGE_ENTRIES
        ledger.trim(50)
        with pytest.raises(RevisionTrimmedError) as caught:
            await next_of(watch)

    assert caught.value.facts == {"after_revision": str(PAGE_ENTRIES), "oldest": "50"}
    assert_nothing_is_left(ledger)


@pytest.mark.parametrize(("left", "facts"), [(10, ("16", "10")), (16, ("17", "16"))])
async def test_a_watch_ends_when_changes_are_lost_while_it_catches_up(left: int, facts: tuple[str, str]) -> None:
    ledger = PlayedLedger(100)

    async with watching(hub_on(ledger), after=0) as watch:
        assert (await next_batch(watch))[1] == 16
        ledger.lose(left)
        with pytest.raises(RevisionAheadError) as caught:
            await next_of(watch)

    assert tuple(caught.value.facts.values()) == facts


async def test_many_watches_share_one_reader_which_the_last_one_ends() -> None:
    ledger = PlayedLedger(5)
    hub = hub_on(ledger)
    watches = [hub.watch("shop", after=None, passes=every) for _ in range(200)]
    assert await asyncio.gather(*map(next_batch, watches)) == [([], 5)] * 200
    ledger.append(3)
    assert await asyncio.gather(*map(next_batch, watches)) == [([6, 7, 8], 8)] * 200

    await asyncio.gather(*(watch.aclose() for watch in watches[1:]))
    (tail,) = ledger.tails
    assert not tail.closed
    ledger.append()
    assert await next_batch(watches[0]) == ([9], 9)

    await watches[0].aclose()
    assert ledger.calls["revision_of"] == 1
    assert_nothing_is_left(ledger)


async def test_each_namespace_has_its_own_reader_which_can_start_again() -> None:
    ledger = PlayedLedger(5)
    hub = hub_on(ledger)

    for _ in range(2):
        async with watching(hub, namespace="shop") as shop, watching(hub, namespace="depot") as depot:
            assert await next_batch(shop) == await next_batch(depot) == ([], ledger.revision)
        ledger.append()

    assert [tail.namespace for tail in ledger.tails] == ["shop", "depot"] * 2
    assert_nothing_is_left(ledger)


@pytest.mark.parametrize("seed", range(30))
async def test_a_watch_that_joins_a_stream_of_changes_sees_each_once(seed: int) -> None:
    turns = random.Random(seed)  # noqa: S311  # interleavings, not secrets
    ledger = PlayedLedger(turns.choice([0, 1, 50]), turns=turns)
    hub = hub_on(ledger)
    last = 600

    async def append() -> None:
        while ledger.revision < last:
            ledger.append(min(turns.choice([1, 1, 2, 20]), last - ledger.revision))
            for _ in range(turns.randrange(6)):
                await asyncio.sleep(0)

    async def follow(after: int | None) -> tuple[int, list[int]]:
        joins_at = turns.randrange(last)
        await until(lambda: ledger.revision >= joins_at)
        start = after
        revisions: list[int] = []
        async with watching(hub, after=after) as watch:
            reached = -1
            while reached < last:
                more, reached = await next_batch(watch)
                start = reached if start is None else start
                revisions += more
                for _ in range(turns.randrange(3)):
                    await asyncio.sleep(0)
        return start or 0, revisions

    appending = asyncio.create_task(append())
    outcomes = await asyncio.gather(*(follow(0 if number % 3 else None) for number in range(12)))
    await appending

    assert [revisions for _, revisions in outcomes] == [[*range(start + 1, last + 1)] for start, _ in outcomes]
    assert_nothing_is_left(ledger)


async def test_a_slow_watcher_is_cut_off_and_slows_nobody() -> None:
    ledger = PlayedLedger(5)
    hub = hub_on(ledger, buffer_entries_max=4)
    shown: list[int] = []

    def passes(entry: Entry) -> bool:
        shown.append(entry.revision)
        return True

    async with watching(hub, passes=passes) as slow, watching(hub) as quick:
        assert await next_batch(slow) == await next_batch(quick) == ([], 5)
        ledger.append(3)
        assert await next_batch(quick) == ([6, 7, 8], 8)
        ledger.append(2)
        assert await next_batch(quick) == ([9, 10], 10)
        ledger.append()
        assert await next_batch(quick) == ([11], 11)
        with pytest.raises(WatcherTooSlowError) as caught:
            await next_of(slow)

    assert shown == [6, 7, 8, 9, 10]
    assert caught.value.facts == {"revision": "5"}
    assert_nothing_is_left(ledger)


async def test_a_watcher_that_reads_nothing_is_cut_off_by_the_bytes_that_it_holds() -> None:
    ledger = PlayedLedger(5)
    size = memory_bytes_of(entry_of(6))
    hub = hub_on(ledger, buffer_bytes_max=3 * size)
    async with watching(hub) as slow, watching(hub) as quick:
        assert await next_batch(slow) == await next_batch(quick) == ([], 5)
        for revision in (6, 7, 8, 9):
            ledger.append()
            assert await next_batch(quick) == ([revision], revision)
        with pytest.raises(WatcherTooSlowError):
            await next_of(slow)

    assert_nothing_is_left(ledger)


async def test_what_one_read_gives_is_not_too_much_for_a_watcher_that_reads() -> None:
    ledger = PlayedLedger(5)
    hub = hub_on(ledger, buffer_bytes_max=memory_bytes_of(entry_of(6)))
    async with watching(hub) as quick:
        assert await next_batch(quick) == ([], 5)
        for first in (6, 9, 12):
            ledger.append(3)
            assert await next_batch(quick) == ([first, first + 1, first + 2], first + 2)


async def test_of_all_watchers_together_those_that_hold_most_are_cut_off() -> None:
    ledger = PlayedLedger(5)
    size = memory_bytes_of(entry_of(6))
    hub = hub_on(ledger, buffers_bytes_max=6 * size)

    def few(entry: Entry) -> bool:
        return entry.revision == 6

    async with watching(hub) as slow, watching(hub, passes=few) as little, watching(hub) as quick:
        assert await next_batch(slow) == await next_batch(little) == await next_batch(quick) == ([], 5)
        for revision in range(6, 16):
            ledger.append()
            assert await next_batch(quick) == ([revision], revision)

        with pytest.raises(WatcherTooSlowError):
            await next_of(slow)
        assert (await next_batch(little))[0] == [6]
        ledger.append(4)
        assert await next_batch(quick) == ([16, 17, 18, 19], 19)

    assert_nothing_is_left(ledger)


async def test_a_watch_that_was_cut_off_says_so_though_the_hub_was_closed_since() -> None:
    ledger = PlayedLedger(5)
    hub = hub_on(ledger, buffer_entries_max=4)

    async with watching(hub) as slow:
        assert await next_batch(slow) == ([], 5)
        ledger.append(5)
        await until_idle(ledger, reads=2)
        await hub.close()
        with pytest.raises(WatcherTooSlowError):
            await next_of(slow)


async def test_a_buffer_holds_as_many_entries_as_its_limit() -> None:
    ledger = PlayedLedger()
    hub = hub_on(ledger, buffer_entries_max=4)

    async with watching(hub) as slow, watching(hub) as quick:
        assert await next_batch(slow) == await next_batch(quick) == ([], 0)
        ledger.append(4)
        assert await next_batch(quick) == ([1, 2, 3, 4], 4)
        assert await next_batch(slow) == ([1, 2, 3, 4], 4)


async def test_what_does_not_pass_takes_no_room_and_makes_no_batch() -> None:
    ledger = PlayedLedger()
    hub = hub_on(ledger, buffer_entries_max=1)

    async with watching(hub, passes=lambda entry: entry.revision == 90) as watch:
        assert await next_batch(watch) == ([], 0)
        pending = asyncio.create_task(next_batch(watch))
        await until_idle(ledger, reads=1)
        ledger.append(50)
        await until_idle(ledger, reads=2)
        ledger.append(50)
        assert await pending == ([90], 100)


async def test_pages_of_which_nothing_passes_make_no_batch() -> None:
    ledger = PlayedLedger(100)

    async with watching(hub_on(ledger), after=0, passes=lambda entry: entry.revision == 70) as watch:
        assert await next_batch(watch) == ([], 16)
        assert await next_batch(watch) == ([70], 80)


async def test_a_watch_catches_up_though_a_bookmark_is_always_due() -> None:
    ledger = PlayedLedger(100)

    async with watching(hub_on(ledger, bookmark_seconds=0.0), after=0, passes=none) as watch:
        reached = [(await next_batch(watch))[1] for _ in range(7)]

    assert reached == [16, 32, 48, 64, 80, 96, 100]


async def test_a_batch_has_at_most_500_entries() -> None:
    ledger = PlayedLedger()
    hub = hub_on(ledger)

    async with watching(hub, passes=lambda entry: entry.revision <= 1_100) as watch:
        assert await next_batch(watch) == ([], 0)
        ledger.append(1_200)
        assert await next_batch(watch) == ([*range(1, 501)], 500)
        assert await next_batch(watch) == ([*range(501, 1_001)], 1_000)
        assert await next_batch(watch) == ([*range(1_001, 1_101)], 1_200)

    ledger.page_entries = 700
    async with watching(hub_on(ledger, buffer_entries_max=10), after=0) as watch:
        assert [(await next_batch(watch))[1] for _ in range(3)] == [500, 700, 1_200]


async def test_bookmarks_come_when_nothing_else_does() -> None:
    ledger = PlayedLedger(5)

    async with watching(hub_on(ledger, bookmark_seconds=0.01), passes=none) as watch:
        assert await next_batch(watch) == ([], 5)
        assert await next_batch(watch) == ([], 5)
        ledger.append(3)
        assert await revisions_until(watch, 8) == []


async def test_watches_go_on_when_the_store_was_lost() -> None:
    ledger = PlayedLedger(5)

    async with watching(hub_on(ledger)) as watch:
        assert await next_batch(watch) == ([], 5)
        ledger.fail_read(StoreUnavailableError("away"), OutcomeUnknownError("lost"))
        ledger.append(2)
        assert await next_batch(watch) == ([6, 7], 7)

    assert len(ledger.tails) == 1


async def test_a_watch_goes_on_when_its_revision_cannot_be_compared() -> None:
    ledger = PlayedLedger(5)

    async with watching(hub_on(ledger, bookmark_seconds=0.01)) as watch:
        assert await next_batch(watch) == ([], 5)
        ledger.revision_failures = [StoreUnavailableError("away")]
        await until(lambda: not ledger.revision_failures)
        ledger.append()
        assert await revisions_until(watch, 6) == [6]


async def test_a_watch_cannot_begin_while_the_store_is_away() -> None:
    ledger = PlayedLedger(5)
    ledger.revision_failures = [StoreUnavailableError("away")]
    hub = hub_on(ledger)

    async with watching(hub) as watch:
        with pytest.raises(StoreUnavailableError):
            await next_of(watch)

    assert_nothing_is_left(ledger)
    async with watching(hub) as watch:
        assert await next_batch(watch) == ([], 5)


async def test_a_gap_ends_every_watch_and_the_next_watch_has_a_new_reader() -> None:
    ledger = PlayedLedger(5)
    hub = hub_on(ledger)

    async with watching(hub) as one, watching(hub, after=2) as other:
        assert await next_batch(one) == ([], 5)
        assert await next_batch(other) == ([3, 4, 5], 5)
        ledger.append(4)
        ledger.trim(8)
        for watch in (one, other):
            with pytest.raises(RevisionTrimmedError) as caught:
                await next_of(watch)
            assert caught.value.facts == {"after_revision": "5", "oldest": "8"}

    assert_nothing_is_left(ledger)
    async with watching(hub) as watch:
        assert await next_batch(watch) == ([], 9)


async def test_lost_changes_end_every_watch_though_one_does_not_listen() -> None:
    ledger = PlayedLedger(5)
    hub = hub_on(ledger, bookmark_seconds=0.01)

    async with watching(hub) as one, watching(hub) as deaf:
        assert await next_batch(one) == await next_batch(deaf) == ([], 5)
        ledger.lose(3)
        with pytest.raises(RevisionsLostError) as caught:
            await revisions_until(one, 6)
        assert caught.value.facts == {"revision": "5"}

        async with watching(hub, after=3) as anew:
            assert await next_batch(anew) == ([], 3)
            ledger.append()
            assert await revisions_until(anew, 4) == [4]
        with pytest.raises(RevisionsLostError):
            await next_of(deaf)

    assert_nothing_is_left(ledger)


async def test_changes_that_were_lost_and_made_up_for_while_the_store_was_away_end_the_watch() -> None:
    ledger = PlayedLedger(5)

    async with watching(hub_on(ledger)) as watch:
        assert await next_batch(watch) == ([], 5)
        ledger.append()
        assert await next_batch(watch) == ([6], 6)
        ledger.replace_after(5, count=4)
        ledger.fail_read(StoreUnavailableError("away"))
        with pytest.raises(RevisionsLostError) as caught:
            await next_of(watch)

    assert caught.value.facts == {"revision": "6"}
    assert_nothing_is_left(ledger)


async def test_a_watch_goes_on_after_the_store_was_away_if_nothing_was_lost() -> None:
    ledger = PlayedLedger(5)

    async with watching(hub_on(ledger)) as watch:
        assert await next_batch(watch) == ([], 5)
        ledger.append()
        assert await next_batch(watch) == ([6], 6)
        ledger.fail_read(StoreUnavailableError("away"))
        ledger.append(2)
        assert await revisions_until(watch, 8) == [7, 8]


async def test_losses_that_others_have_noticed_end_the_watches_of_that_namespace_alone() -> None:
    ledger = PlayedLedger(5)
    hub = hub_on(ledger)

    async with watching(hub) as watch, watching(hub, namespace="other") as other:
        assert await next_batch(watch) == await next_batch(other) == ([], 5)
        hub.lose("other")
        hub.lose("nobody watches this")
        with pytest.raises(RevisionsLostError):
            await next_of(other)
        ledger.append()
        assert await next_batch(watch) == ([6], 6)


@pytest.mark.parametrize("defect", [ZeroDivisionError(), DefectError("the ledger cannot be read")])
async def test_a_defect_of_the_reader_ends_every_watch(defect: Exception) -> None:
    ledger = PlayedLedger(100)
    hub = hub_on(ledger)

    async with watching(hub) as one, watching(hub, after=0) as behind:
        assert await next_batch(one) == ([], 100)
        assert (await next_batch(behind))[1] == PAGE_ENTRIES
        ledger.hold("read_ledger")
        catching_up = asyncio.create_task(next_of(behind))
        await until(lambda: ledger.calls["read_ledger"] == 2)
        ledger.fail_read(defect)
        for waiting in (next_of(one), catching_up):
            with pytest.raises(type(defect)):
                await waiting

    assert_nothing_is_left(ledger)


async def test_a_filter_that_fails_ends_the_watches() -> None:
    ledger = PlayedLedger(1)

    async with watching(hub_on(ledger), passes=lambda entry: bool(1 // (entry.revision - 2))) as watch:
        assert await next_batch(watch) == ([], 1)
        ledger.append()
        with pytest.raises(ZeroDivisionError):
            await next_of(watch)

    assert_nothing_is_left(ledger)


async def test_a_source_that_gives_no_tail_ends_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = PlayedLedger(1)

    def tail(_: str) -> PlayedTail:
        raise ZeroDivisionError

    monkeypatch.setattr(ledger, "tail", tail)

    async with watching(hub_on(ledger)) as watch:
        with pytest.raises(ZeroDivisionError):
            await next_of(watch)

    assert_nothing_is_left(ledger)


async def test_a_source_that_times_out_is_not_taken_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = PlayedLedger(1)

    async def read_ledger(_: ReadLedger) -> Sequence[Entry]:
        raise TimeoutError

    monkeypatch.setattr(ledger, "read_ledger", read_ledger)

    async with watching(hub_on(ledger), after=0) as watch:
        with pytest.raises(TimeoutError):
            await next_of(watch)

    assert_nothing_is_left(ledger)


async def test_a_tail_that_cannot_be_closed_troubles_nobody() -> None:
    ledger = PlayedLedger(1)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))

    async with watching(hub_on(ledger)) as watch:
        assert await next_batch(watch) == ([], 1)
        ledger.tails[0].close_failure = StoreUnavailableError("away")

    assert_nothing_is_left(ledger)
    ledger.tails.clear()
    gc.collect()
    assert complaints == []


async def test_the_limit_of_watches_is_for_all_namespaces_together() -> None:
    ledger = PlayedLedger(1)
    hub = hub_on(ledger, watches_max=2)

    async with watching(hub, namespace="shop") as one:
        async with watching(hub, namespace="depot") as other, watching(hub) as third:
            assert await next_batch(one) == await next_batch(other) == ([], 1)
            with pytest.raises(TooManyWatchesError, match="2 watches"):
                await next_of(third)
        async with watching(hub) as fourth:
            assert await next_batch(fourth) == ([], 1)

    assert_nothing_is_left(ledger)


async def test_no_more_namespaces_are_watched_than_their_limit() -> None:
    ledger = PlayedLedger(1)
    hub = hub_on(ledger, namespaces_max=1)

    async with watching(hub) as one, watching(hub) as other, watching(hub, namespace="depot") as third:
        assert await next_batch(one) == await next_batch(other) == ([], 1)
        with pytest.raises(TooManyWatchesError, match="1 namespaces"):
            await next_of(third)
    async with watching(hub, namespace="depot") as fourth:
        assert await next_batch(fourth) == ([], 1)

    assert_nothing_is_left(ledger)


async def test_closing_ends_watches_that_follow_and_refuses_new_ones() -> None:
    ledger = PlayedLedger(5)
    hub = hub_on(ledger)

    async with watching(hub) as waiting, watching(hub) as busy:
        assert await next_batch(waiting) == await next_batch(busy) == ([], 5)
        ledger.append()
        assert await next_batch(waiting) == ([6], 6)
        pending = asyncio.create_task(next_of(waiting))
        await asyncio.sleep(0)
        await hub.close()
        assert ledger.tails[0].closed
        for ended, revision in ((pending, "6"), (next_of(busy), "5")):
            with pytest.raises(ShuttingDownError) as caught:
                await ended
            assert caught.value.facts == {"revision": revision}

    for after in (None, 4):
        async with watching(hub, after=after) as late:
            with pytest.raises(ShuttingDownError) as caught:
                await next_of(late)
        assert caught.value.facts == {"revision": str(after or 0)}
    await hub.close()
    assert_nothing_is_left(ledger)


@pytest.mark.parametrize(
    ("call", "after"), [("revision_of", None), ("revision_of", 4), ("read_ledger", 4), ("read_ledger", 0)]
)
async def test_closing_ends_watches_that_start_or_catch_up(call: str, after: int | None) -> None:
    ledger = PlayedLedger(5)
    ledger.hold(call)
    hub = hub_on(ledger)

    async with watching(hub, after=after) as watch:
        pending = asyncio.create_task(next_of(watch))
        await until(lambda: ledger.calls[call] == 1)
        await hub.close()
        with pytest.raises(ShuttingDownError) as caught:
            await pending

    assert caught.value.facts == {"revision": str(after or 0)}
    assert_nothing_is_left(ledger)


async def test_closing_ends_a_watch_before_it_reads_another_page() -> None:
    ledger = PlayedLedger(40)
    hub = hub_on(ledger)

    async with watching(hub, after=0) as watch:
        assert (await next_batch(watch))[1] == PAGE_ENTRIES
        await hub.close()
        ledger.hold("read_ledger")
        with pytest.raises(ShuttingDownError):
            await next_of(watch)


async def test_closing_at_any_moment_ends_a_watch_and_its_reader() -> None:
    for turns in range(20):
        ledger = PlayedLedger(40)
        hub = hub_on(ledger)
        async with watching(hub, after=0) as watch:
            pending = asyncio.create_task(revisions_until(watch, 41))
            for _ in range(turns):
                await asyncio.sleep(0)
            await hub.close()
            with pytest.raises(ShuttingDownError):
                await pending
        assert_nothing_is_left(ledger)


async def test_cancelling_at_any_moment_leaves_nothing() -> None:
    for turns in range(30):
        ledger = PlayedLedger(40)
        hub = hub_on(ledger, watches_max=1)
        async with watching(hub, after=0) as watch:
            pending = asyncio.create_task(revisions_until(watch, 41))
            for _ in range(turns):
                await asyncio.sleep(0)
            pending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await pending
        assert_nothing_is_left(ledger)
        async with watching(hub) as another:
            assert await next_batch(another) == ([], 40)


@pytest.mark.parametrize(
    ("call", "after", "times"),
    [("revision_of", None, 1), ("revision_of", 50, 2), ("read_ledger", 0, 1), ("read", None, 1)],
)
async def test_cancelling_in_each_phase_leaves_nothing(call: str, after: int | None, times: int) -> None:
    ledger = PlayedLedger(40)
    hub = hub_on(ledger)

    async with watching(hub, after=after) as watch:
        pending = asyncio.create_task(revisions_until(watch, 41))
        if times == 2:
            await until(lambda: ledger.calls[call] == 1)
        ledger.hold(call)
        await until(lambda: ledger.calls[call] == times)
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending

    assert_nothing_is_left(ledger)


async def test_closing_a_watch_that_waits_to_be_read_leaves_nothing() -> None:
    ledger = PlayedLedger(40)
    hub = hub_on(ledger)
    for after in (None, 0, 40):
        watch = hub.watch("shop", after=after, passes=every)
        await next_of(watch)
        ledger.append()
        await watch.aclose()
        assert_nothing_is_left(ledger)


async def test_a_watch_that_cannot_catch_up_fails_alone() -> None:
    ledger = PlayedLedger(40)
    hub = hub_on(ledger)

    async with watching(hub) as one, watching(hub, after=50) as other:
        assert await next_batch(one) == ([], 40)
        ledger.revision_failures = [StoreUnavailableError("away")]
        with pytest.raises(StoreUnavailableError):
            await next_of(other)
        ledger.append()
        assert await next_batch(one) == ([41], 41)

    assert_nothing_is_left(ledger)
