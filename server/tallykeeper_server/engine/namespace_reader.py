"""Reads large parts of a namespace through the engine, for audits and watches."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.levels import LevelName
from tallykeeper_server.domain.queries import (
    FindLevels,
    FindStrayEntry,
    FoundLevels,
    ListedReservation,
    ListNames,
    ListReservations,
    ReadLedger,
    Snapshot,
    SnapshotAnswer,
)
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.watch import Tail


class Tails(Protocol):
    """A source of the ends of ledgers."""

    def tail(self, namespace: str) -> Tail:
        """Return the end of a namespace's ledger."""


class EngineSource:
    """Asks the engine. Each query has a time limit of ``query_seconds``, or a deadline in the event loop's time."""

    def __init__(self, engine: Engine, tails: Tails, *, query_seconds: float, deadline: float | None = None) -> None:
        self._engine = engine
        self._tails = tails
        self._query_seconds = query_seconds
        self._deadline = deadline

    def until(self, deadline: float) -> "EngineSource":
        """Return a source that asks the same engine, with one deadline for all its queries."""
        return EngineSource(self._engine, self._tails, query_seconds=self._query_seconds, deadline=deadline)

    def tail(self, namespace: str) -> Tail:
        """Return the end of a namespace's ledger."""
        return self._tails.tail(namespace)

    async def read_ledger(self, query: ReadLedger) -> Sequence[Entry]:
        """Return the entries that a query asks for."""
        return await self._engine.ask(query, deadline=self._next_deadline())

    async def stray_entry(self, namespace: str) -> str | None:
        """Return the ID of the first entry in the ledger's stream that no script has written, or None."""
        return await self._engine.ask(FindStrayEntry(namespace), deadline=self._next_deadline())

    async def snapshot(self, query: Snapshot) -> SnapshotAnswer:
        """Return levels and the revision, all at one moment."""
        return await self._engine.ask(query, deadline=self._next_deadline())

    async def find_levels(self, query: FindLevels) -> FoundLevels:
        """Return the levels in some ranges and by name, and the revision, all at one moment."""
        return await self._engine.ask(query, deadline=self._next_deadline())

    async def revision_of(self, namespace: str) -> int:
        """Return a namespace's last revision."""
        return (await self.snapshot(Snapshot(namespace, ()))).revision

    async def list_names(self, query: ListNames) -> Sequence[LevelName]:
        """Return the names that a query asks for."""
        return await self._engine.ask(query, deadline=self._next_deadline())

    async def list_reservations(self, query: ListReservations) -> Sequence[ListedReservation]:
        """Return the reservations that a query asks for, as the index lists them."""
        return await self._engine.ask(query, deadline=self._next_deadline())

    def _next_deadline(self) -> float:
        if self._deadline is not None:
            return self._deadline
        return asyncio.get_running_loop().time() + self._query_seconds
