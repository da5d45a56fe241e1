"""Runs an audit over a namespace while callers go on changing it."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Final, Protocol, TypeVar, cast

from tallykeeper_server.domain.audit import Audit, Counted, CountedName
from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.levels import DamagedLevel, LevelName, Reservation, ReservationName, ReservationState
from tallykeeper_server.domain.queries import (
    Kind,
    ListedReservation,
    ListNames,
    ListReservations,
    ReadLedger,
    Snapshot,
    SnapshotAnswer,
)

_PAGE_SCRIPTS: Final = 256
_CHUNK_NAMES: Final = 500
_LISTED_AT_ONCE: Final = 1_000
_RUNS_MAX: Final = 5

Name = TypeVar("Name", bound=LevelName)


@dataclass(slots=True)
class Progress:
    """The progress of a verification, which updates it while it runs. A total is 0 until its part begins."""

    revisions_replayed: int = 0
    revisions_total: int = 0
    reservations_checked: int = 0
    reservations_total: int = 0
    levels_checked: int = 0
    levels_total: int = 0


class AuditSource(Protocol):
    """The source that an audit reads. Its calls raise TallyError if they fail."""

    async def read_ledger(self, query: ReadLedger) -> Sequence[Entry]:
        """Return the entries that a query asks for."""

    async def stray_entry(self, namespace: str) -> str | None:
        """Return the ID of the first entry in the ledger's stream that no script has written, or None."""

    async def snapshot(self, query: Snapshot) -> SnapshotAnswer:
        """Return levels and the revision, all at one moment."""

    async def list_names(self, query: ListNames) -> Sequence[LevelName]:
        """Return the names that a query asks for."""

    async def list_reservations(self, query: ListReservations) -> Sequence[ListedReservation]:
        """Return the reservations that a query asks for, as the index lists them."""


async def verify(source: AuditSource, namespace: str, progress: Progress | None = None) -> Audit:
    """Replay a namespace's ledger and compare the result with the levels that the store has.

    The audit reads levels in portions, each at one revision, and replays the ledger to exactly that revision before it
    compares them. So changes may go on. Reservations come first: where the ledger does not go back to the beginning,
    they show what was reserved before.

    A ledger of full length loses its oldest entries with each change. If it loses entries before the audit has replayed
    them, the audit begins again with the oldest entry that is left, and so does the ``progress``. If that happens
    several times, the audit ends with one difference that says so.

    :raises TallyError: the store cannot be read.
    """
    progress = progress or Progress()
    runs = [_Verification(source, namespace, progress) for _ in range(_RUNS_MAX)]
    for run in runs:
        with suppress(_OvertakenError):
            await run.whole()
            return run.audit
    audit = runs[-1].audit
    audit.overtaken()
    return audit


class _OvertakenError(Exception):
    """The ledger has dropped entries that the replay needs next."""


class _Verification:
    def __init__(self, source: AuditSource, namespace: str, progress: Progress) -> None:
        self.audit = Audit()
        self._progress = progress
        self._source = source
        self._namespace = namespace
        self._ahead: deque[Entry] = deque()
        """Entries that have been read and not been replayed."""

    async def whole(self) -> None:
        """Replay and compare everything."""
        await self._begin()
        await self._compare_reservations()
        await self._compare_levels()
        stray_id = await self._source.stray_entry(self._namespace)
        if stray_id is not None:
            self.audit.find_stray(stray_id)

    async def _begin(self) -> None:
        """Replay the entries that the ledger has now."""
        revision = (await self._source.snapshot(Snapshot(self._namespace, ()))).revision
        oldest = await self._oldest()
        if oldest is None and revision > 0:
            self.audit.miss(revision)
        self.audit.begin(oldest or revision + 1)
        progress = self._progress
        progress.revisions_replayed, progress.revisions_total = 0, revision - self.audit.revision
        progress.reservations_checked = progress.reservations_total = 0
        progress.levels_checked = progress.levels_total = 0
        await self._replay_to(revision)

    async def _compare_reservations(self) -> None:
        """Compare the reservations of the store with those of the ledger."""
        listed = [name async for name in self._listed_reservations()]
        every = list(dict.fromkeys(chain(listed, self.audit.reservations)))
        self._progress.reservations_total = len(every)
        for names in _chunks(every):
            snapshot = await self._snapshot(names)
            for name, level in zip(names, snapshot.levels, strict=True):
                self.audit.compare_reservation(name, cast("Reservation | DamagedLevel | None", level))
            self._progress.reservations_checked += len(names)

    async def _compare_levels(self) -> None:
        """Compare the levels of the store with those of the ledger."""
        listed = [name for kind in (Kind.STOCK, Kind.COUNTER) async for name in self._listed_names(kind)]
        every = list(dict.fromkeys(chain(listed, self.audit.names)))
        self._progress.levels_total = len(every)
        for names in _chunks(every):
            snapshot = await self._snapshot(names)
            for name, level in zip(names, snapshot.levels, strict=True):
                self.audit.compare_level(name, cast("Counted | DamagedLevel | None", level), now_ms=snapshot.time_ms)
            self._progress.levels_checked += len(names)

    async def _snapshot(self, names: Sequence[LevelName]) -> SnapshotAnswer:
        """Read some levels, and replay the ledger to the revision at which they were read."""
        snapshot = await self._source.snapshot(Snapshot(self._namespace, tuple(names)))
        await self._replay_to(snapshot.revision)
        return snapshot

    async def _replay_to(self, revision: int) -> None:
        while self.audit.revision < revision:
            if not self._ahead:
                await self._read_on()
            if not self._ahead or self._ahead[0].revision > revision:
                self.audit.miss(revision)
                return
            entry = self._ahead.popleft()
            self.audit.apply(entry)
            self._progress.revisions_replayed += entry.revision - entry.first_revision + 1
            self._progress.revisions_total = max(self._progress.revisions_total, self._progress.revisions_replayed)

    async def _read_on(self) -> None:
        following = self.audit.revision + 1
        query = ReadLedger(self._namespace, after=self.audit.revision, scripts_max=_PAGE_SCRIPTS)
        self._ahead += await self._source.read_ledger(query)
        if self._ahead and self._ahead[0].first_revision > following:
            oldest = await self._oldest()
            if oldest is not None and oldest > following:
                raise _OvertakenError

    async def _oldest(self) -> int | None:
        """Return the first revision that the ledger still has; None if it has no entries."""
        entries = await self._source.read_ledger(ReadLedger(self._namespace, after=0, scripts_max=1))
        return entries[0].first_revision if entries else None

    async def _listed_names(self, kind: Kind) -> AsyncIterator[CountedName]:
        query = ListNames(self._namespace, kind, limit=_LISTED_AT_ONCE)
        while True:
            names = await self._source.list_names(query)
            for name in names:
                yield cast("CountedName", name)
            if len(names) < query.limit:
                return
            query = replace(query, after=names[-1])

    async def _listed_reservations(self) -> AsyncIterator[ReservationName]:
        query = ListReservations(
            self._namespace, ReservationState.ACTIVE, ReservationState.RELEASED, limit=_LISTED_AT_ONCE
        )
        while True:
            listed = await self._source.list_reservations(query)
            for each in listed:
                yield ReservationName(each.reservation_id)
            if len(listed) < query.limit:
                return
            query = replace(query, after=listed[-1])


def _chunks(names: Sequence[Name]) -> Sequence[Sequence[Name]]:
    rest = iter(names)
    return list(iter(lambda: list(islice(rest, _CHUNK_NAMES)), []))
