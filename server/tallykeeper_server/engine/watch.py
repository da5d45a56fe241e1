"""Watching: one reader follows a namespace's ledger for all who watch the namespace.

The hub decides which entries each watch is given, and which watch is ended. Others decide which entries pass a filter,
and how the ledger is read.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from tallykeeper_server.domain.entries import Entry, first_entries_size, memory_bytes_of
from tallykeeper_server.domain.errors import (
    DefectError,
    RevisionAheadError,
    RevisionsLostError,
    RevisionTrimmedError,
    ShuttingDownError,
    TallyError,
    TooManyWatchesError,
    WatcherTooSlowError,
)
from tallykeeper_server.domain.queries import ReadLedger
from tallykeeper_server.metrics.meters import WatchMeter
from tallykeeper_server.metrics.registry import Metrics

Answer = TypeVar("Answer")

_BATCH_ENTRIES_MAX: Final = 500
_RETRY_FIRST_SECONDS: Final = 0.1
_RETRY_MAX_SECONDS: Final = 2.0


class Tail(Protocol):
    """The end of one namespace's ledger, on its own connection. Its calls raise TallyError if they fail."""

    async def read(self, after: int, *, wait_seconds: float) -> Sequence[Entry]:
        """Return entries after a revision, in order, as soon as there are some; none when the time is up."""

    async def close(self) -> None:
        """Close the connection."""


class LedgerSource(Protocol):
    """The source that watching reads. Its calls raise TallyError if they fail."""

    def tail(self, namespace: str) -> Tail:
        """Return a new tail of the namespace's ledger."""

    async def read_ledger(self, query: ReadLedger) -> Sequence[Entry]:
        """Return one page of entries: the oldest first if the query names the revision before them."""

    async def revision_of(self, namespace: str) -> int:
        """Return the namespace's last revision, 0 if it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchLimits:
    """The limits of watching: the watches, the entries that wait for one watcher, and the time between bookmarks."""

    watches_max: int
    namespaces_max: int
    buffer_entries_max: int
    buffer_bytes_max: int = 32 << 20
    """The most entries that wait for one watcher. The entries of one read may come on top."""
    buffers_bytes_max: int = 256 << 20
    """The maximum memory, in bytes, of the entries that wait for all watchers of this process."""
    bookmark_seconds: float


@dataclass(frozen=True, slots=True)
class WatchBatch:
    """Entries in order, and the revision up to which the watch has now been given all entries that pass."""

    entries: tuple[Entry, ...]
    revision: int


class WatchHub:
    """Keeps one reader for each namespace that is watched, for any number of watches."""

    def __init__(self, source: LedgerSource, limits: WatchLimits, meter: WatchMeter | None = None) -> None:
        self._source = source
        self._limits = limits
        self._meter = meter or WatchMeter(Metrics())
        self._meter.watchers.read = lambda: self._watches
        self._watches = 0
        self._feeds: dict[str, _Feed] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._closed = False
        self._room = _Room(limits.buffers_bytes_max)

    async def watch(
        self, namespace: str, *, after: int | None, passes: Callable[[Entry], bool]
    ) -> AsyncGenerator[WatchBatch, None]:
        """Yield the entries that pass, after a revision or from now on, without a gap and without a repeat.

        The first batch comes at once. The next comes when entries pass or, empty, ``bookmark_seconds`` after the batch
        before.

        :raises RevisionTrimmedError: the ledger has dropped entries that would come next.
        :raises RevisionAheadError: the namespace has not reached the revision, or its store lost changes.
        :raises RevisionsLostError: the store lost entries that this watch, or others of the namespace, were given.
        :raises WatcherTooSlowError: too many entries wait; they are not given.
        :raises TooManyWatchesError: there is no room for another watch.
        :raises ShuttingDownError: the hub was closed.
        :raises TallyError: the source failed before the watch had caught up.
        """
        watcher = _Watcher(passes, self._limits, self._meter, self._room, given=after or 0, reached=after or 0)
        feed = self._admit(namespace, watcher)
        self._room.watchers.add(watcher)
        try:
            await watcher.unless_ended(feed.started.wait())
            await self._begin(feed, watcher, after)
            while True:
                await self._catch_up(feed, watcher)
                batch = await watcher.next_batch()
                self._meter.entries.add(len(batch.entries))
                yield batch
        finally:
            await self._leave(feed, watcher)

    @property
    def watches(self) -> int:
        """The number of watches."""
        return self._watches

    @property
    def namespaces(self) -> int:
        """The number of namespaces that are watched."""
        return len(self._feeds)

    async def close(self) -> None:
        """End every watch and every reader, and return when the tails are closed. No watch begins after that."""
        self._closed = True
        for feed in self._feeds.values():
            feed.end(ShuttingDownError)
        if self._readers:
            await asyncio.wait(self._readers)

    def lose(self, namespace: str) -> None:
        """End every watch of a namespace whose store is known to have lost changes."""
        if namespace in self._feeds:
            self._feeds[namespace].end(RevisionsLostError)

    def _admit(self, namespace: str, watcher: "_Watcher") -> "_Feed":
        """Add the watcher to the namespace's feed. The first watcher starts the feed."""
        if self._closed:
            raise ShuttingDownError(watcher.given)
        if self._watches >= self._limits.watches_max:
            message = f"the server has {self._watches} watches, which is its limit; end one or try later"
            raise TooManyWatchesError(message)
        feed = self._feeds.get(namespace)
        if feed is None and len(self._feeds) >= self._limits.namespaces_max:
            message = f"{len(self._feeds)} namespaces are watched, which is the limit; watch one of them or try later"
            raise TooManyWatchesError(message)
        if feed is None or feed.ended:
            feed = self._feeds[namespace] = _Feed(self._source, namespace, self._limits.bookmark_seconds)
            self._readers.add(feed.reader)
            feed.reader.add_done_callback(self._readers.discard)
        feed.watchers.add(watcher)
        self._watches += 1
        return feed

    async def _leave(self, feed: "_Feed", watcher: "_Watcher") -> None:
        """Take the watcher out of its feed. The last one ends the feed and waits until its reader has ended."""
        self._watches -= 1
        self._room.watchers.discard(watcher)
        watcher.forget()
        feed.watchers.discard(watcher)
        if not feed.watchers:
            if self._feeds.get(feed.namespace) is feed:
                del self._feeds[feed.namespace]
            feed.end(ShuttingDownError)
            await asyncio.wait({feed.reader})

    async def _begin(self, feed: "_Feed", watcher: "_Watcher", after: int | None) -> None:
        """Set the revision where the watch begins. It may be before the feed's position or a little after it."""
        if after is None:
            watcher.given = watcher.reached = feed.position
        elif after > feed.position:
            revision = await watcher.unless_ended(self._source.revision_of(feed.namespace))
            if after > revision:
                raise RevisionAheadError(after, revision)

    async def _catch_up(self, feed: "_Feed", watcher: "_Watcher") -> None:
        """Read until there are entries to give, or join the feed if the watcher has come as far."""
        while not (watcher.following or watcher.buffer):
            if watcher.reached >= feed.position:
                watcher.following = True
                return
            watcher.keep(await self._read_page(feed, watcher))
            if watcher.is_due():
                return

    async def _read_page(self, feed: "_Feed", watcher: "_Watcher") -> Sequence[Entry]:
        """Return the entries that come next for a watcher behind the feed's position: at least one."""
        page = await watcher.unless_ended(self._source.read_ledger(ReadLedger(feed.namespace, after=watcher.reached)))
        if page and page[0].first_revision <= watcher.reached + 1:
            return page
        oldest = (
            page[0].first_revision if page else 1 + await watcher.unless_ended(self._source.revision_of(feed.namespace))
        )
        if oldest > watcher.reached + 1:
            raise RevisionTrimmedError(watcher.reached, oldest)
        raise RevisionAheadError(max(watcher.reached, oldest), oldest - 1)


class _Room:
    """The memory, in bytes, that the buffers of all watchers take together."""

    def __init__(self, bytes_max: int) -> None:
        self.watchers: set[_Watcher] = set()
        self._bytes = 0
        self._bytes_max = bytes_max

    def add(self, size: int) -> None:
        """Add the memory that a watcher takes more or less. Beyond the limit, the watchers that take most are ended."""
        self._bytes += size
        while self._bytes > self._bytes_max and self.watchers:
            greatest = max(self.watchers, key=lambda watcher: watcher.bytes)
            if not greatest.bytes:
                return
            greatest.cut_off()


@dataclass(slots=True, eq=False)
class _Watcher:
    """One watch: the revision of the last batch that it was given, the entries that wait for it, and its end."""

    passes: Callable[[Entry], bool]
    limits: WatchLimits
    meter: WatchMeter
    room: _Room
    given: int
    reached: int
    """Every entry up to this revision was yielded, waits in the buffer, or does not pass."""
    following: bool = False
    buffer: deque[Entry] = field(default_factory=deque)
    bytes: int = 0
    """The memory, in bytes, that the buffer takes, approximately."""
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _ending: Exception | None = None
    _call: asyncio.Timeout | None = None
    _bookmark_at: float = 0.0

    def is_due(self) -> bool:
        """Return whether the next batch, the next bookmark or the end is due now."""
        return bool(self.buffer) or self._ending is not None or asyncio.get_running_loop().time() >= self._bookmark_at

    def keep(self, entries: Sequence[Entry]) -> None:
        """Put the entries that pass and are new into the buffer. Too many entries end a watch that follows."""
        waited = bool(self.buffer)
        kept = [entry for entry in entries if entry.revision > self.reached and self.passes(entry)]
        self.buffer += kept
        self.reached = max(self.reached, entries[-1].revision)
        size = sum(map(memory_bytes_of, kept))
        self.bytes += size
        too_much = waited and self.bytes > self.limits.buffer_bytes_max
        self.room.add(size)
        if self.following and (too_much or len(self.buffer) > self.limits.buffer_entries_max):
            self.cut_off()
        elif self.buffer:
            self._woken.set()

    def cut_off(self) -> None:
        """End a watch that does not read the entries that wait for it."""
        self.meter.cut_off.add()
        self.end(WatcherTooSlowError(self.given))

    def forget(self) -> None:
        """Drop all entries that wait."""
        self.buffer.clear()
        size, self.bytes = self.bytes, 0
        self.room.add(-size)

    def end(self, error: Exception) -> None:
        """Let the watch raise the error, in place of all that it was not given. The first error counts."""
        if self._ending is not None:
            return
        self._ending = error
        self.following = False
        self.forget()
        self._woken.set()
        if self._call is not None:
            self._call.reschedule(asyncio.get_running_loop().time())

    async def next_batch(self) -> WatchBatch:
        """Wait until entries wait or the bookmark is due, and return the entries that wait."""
        self._woken.clear()
        if not self.is_due():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._bookmark_at):
                    await self._woken.wait()
        if self._ending is not None:
            raise self._ending
        size = min(len(self.buffer), _BATCH_ENTRIES_MAX, first_entries_size(self.buffer))
        entries = tuple(self.buffer.popleft() for _ in range(size))
        freed = sum(map(memory_bytes_of, entries))
        self.bytes -= freed
        self.room.add(-freed)
        self.given = entries[-1].revision if self.buffer else self.reached
        self._bookmark_at = asyncio.get_running_loop().time() + self.limits.bookmark_seconds
        return WatchBatch(entries, self.given)

    async def unless_ended(self, answer: Awaitable[Answer]) -> Answer:
        """Wait for an awaitable, but no longer than until the watch is ended."""
        try:
            async with asyncio.timeout(None if self._ending is None else 0) as self._call:
                return await answer
        except TimeoutError as error:
            raise self._ending or error from None
        finally:
            self._call = None


class _Feed:
    """One reader at the end of one namespace's ledger, and all watches of that namespace."""

    def __init__(self, source: LedgerSource, namespace: str, wait_seconds: float) -> None:
        self.namespace = namespace
        self.watchers: set[_Watcher] = set()
        self.position = 0
        self._last: Entry | None = None
        self.started = asyncio.Event()
        self.ended = False
        self._source = source
        self._wait_seconds = wait_seconds
        self.reader = asyncio.create_task(self._run())

    def end(self, error_after: Callable[[int], Exception]) -> None:
        """End the reader, unless it ends already, and every watch, with the error after the entries it was given."""
        if not self.ended and asyncio.current_task() is not self.reader:
            self.reader.cancel()
        self.ended = True
        for watcher in self.watchers:
            watcher.end(error_after(watcher.given))

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            stack.enter_context(suppress(TallyError, OSError))  # a tail that cannot be closed is dropped
            try:
                tail = self._source.tail(self.namespace)
                stack.push_async_callback(tail.close)
                self.position = await self._source.revision_of(self.namespace)
                self.started.set()
                await self._read_on(tail)
            except Exception as error:  # noqa: BLE001  # no watch may wait forever: each raises it
                failure = error
                self.end(lambda _: failure)

    async def _read_on(self, tail: Tail) -> None:
        """Read and distribute entries until the feed ends, also after times at which the store was away."""
        pause_seconds = 0.0
        lost_sight = False
        while not self.ended:
            try:
                if lost_sight and not await self._is_as_it_was():
                    self.end(RevisionsLostError)
                    return
                lost_sight = False
                await self._read_once(tail)
                pause_seconds = 0.0
            except DefectError:
                raise
            except TallyError:
                lost_sight = True
                pause_seconds = min(max(2 * pause_seconds, _RETRY_FIRST_SECONDS), _RETRY_MAX_SECONDS)
                await asyncio.sleep(pause_seconds)

    async def _read_once(self, tail: Tail) -> None:
        entries = await tail.read(self.position, wait_seconds=self._wait_seconds)
        if not entries:
            revision = await self._source.revision_of(self.namespace)
            if revision < self.position:
                self.end(RevisionsLostError)
            return
        if entries[0].first_revision > self.position + 1:
            # The ledger was trimmed faster than it was read, or it lacks entries. A mark stands for lacking entries.
            entries = await self._source.read_ledger(ReadLedger(self.namespace, after=self.position))
        if not entries or entries[0].first_revision > self.position + 1:
            oldest = entries[0].first_revision if entries else self.position + 2
            self.end(lambda given: RevisionTrimmedError(given, oldest))
        else:
            self._last = entries[-1]
            self.position = self._last.revision
            for watcher in self.watchers:
                if watcher.following:
                    watcher.keep(entries)

    async def _is_as_it_was(self) -> bool:
        """Return whether the store still has the last entry that was read, and no other entry with its revision.

        Call this after the store was away: the node that answers now may be a replica that did not have every entry.
        """
        if self._last is None:
            return True
        page = await self._source.read_ledger(ReadLedger(self.namespace, after=self.position - 1, scripts_max=1))
        return bool(page) and (page[0].revision > self.position or page[0] == self._last)
