"""Queries, which change nothing. The type of each names the type of its answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.levels import DamagedLevel, LevelName, ReadLevel, Reservation, ReservationState

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Query(Generic[Answer]):
    """A query and the type of its answer."""


class Kind(Enum):
    """The kinds of level, each with its own index."""

    COUNTER = "counter"
    STOCK = "stock"
    RESERVATION = "reservation"


@dataclass(frozen=True, slots=True)
class GetLevels(Query["ReadLevels"]):
    """A query for levels by name, all at one moment."""

    namespace: str
    names: tuple[LevelName, ...]
    min_revision: int = 0
    """The revision that the namespace must have reached. Otherwise the answer is a RevisionAheadError."""


@dataclass(frozen=True, slots=True)
class ReadLevels:
    """The answer to a GetLevels."""

    revision: int
    """The namespace's revision at that moment."""
    levels: Sequence[ReadLevel | None]
    """The levels in the order of their names; None for each that does not exist."""


@dataclass(frozen=True, slots=True)
class Snapshot(Query["SnapshotAnswer"]):
    """A query for levels by name and the namespace's revision, all at one moment."""

    namespace: str
    names: tuple[LevelName, ...]


@dataclass(frozen=True, slots=True)
class SnapshotAnswer:
    """The answer to a Snapshot: the levels as they are stored, also those whose time is up."""

    revision: int
    time_ms: int
    """The time of the namespace, in milliseconds since 1970. Levels that were forgotten had ended before it."""
    levels: tuple[ReadLevel | None, ...]


@dataclass(frozen=True, slots=True)
class ListNames(Query[Sequence[LevelName]]):
    """A query for names of one kind in the order of their bytes: counters by name, stock by item and then location."""

    namespace: str
    kind: Kind
    prefix: str = ""
    """The beginning of the counter or the item."""
    whole_item: bool = False
    """Whether the prefix is the whole item."""
    after: LevelName | None = None
    """Only names that come after this one."""
    limit: int = 1_000
    """The most names to return."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRange:
    """A range of levels of one kind in the order of their names' bytes, as ListNames has them."""

    kind: Kind
    prefix: str = ""
    """The beginning of the counter or the item."""
    whole_item: bool = False
    """Whether the prefix is the whole item."""
    after: LevelName | None = None
    """Only names that come after this one."""
    location: str | None = None
    """The only location whose stock levels are wanted; None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindLevels(Query["FoundLevels"]):
    """A query for the levels in some ranges, and for levels by name, all at one moment."""

    namespace: str
    ranges: tuple[LevelRange, ...] = ()
    names: tuple[LevelName, ...] = ()
    levels_max: int = 1_000
    """The most levels of all ranges together to return. With a location, at most 10,000 names are looked at."""
    min_revision: int = 0
    """The revision that the namespace must have reached. Otherwise the answer is a RevisionAheadError."""


@dataclass(frozen=True, slots=True)
class FoundLevels:
    """The answer to a FindLevels."""

    revision: int
    """The namespace's revision at that moment."""
    levels: tuple[ReadLevel, ...]
    """The levels that exist: those of the ranges in order, and then those by name."""
    after: LevelName | None
    """The name after which the rest of the ranges begins; None if there is no rest."""


@dataclass(frozen=True, slots=True)
class ListedReservation:
    """A reservation as the index lists it: active ones first, then the expired, the committed and the released ones."""

    state: ReservationState
    reservation_id: str


@dataclass(frozen=True, slots=True)
class ListReservations(Query[Sequence["ListedReservation"]]):
    """A query for reservations as the index lists them, from one state to another, both included."""

    namespace: str
    first: ReservationState
    last: ReservationState
    after: ListedReservation | None = None
    limit: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FindReservations(Query["FoundReservations"]):
    """A query for a page of the reservations that pass a filter, all at one moment, in the order of the index."""

    namespace: str
    state: ReservationState | None = None
    """The state that they must have now; None for any state."""
    holder: str = ""
    """The holder that they must have; empty for any holder."""
    item: str = ""
    """The item that one of their lines must hold; empty for any item."""
    after: ListedReservation | None = None
    """The reservation after which the page begins; None for the first page."""
    limit: int = 1_000
    """The most reservations to return. A page may have fewer although others follow: one page looks at a limited number
    of reservations that do not pass."""


@dataclass(frozen=True, slots=True)
class FoundReservations:
    """The answer to a FindReservations: each in its state at that moment."""

    revision: int
    """The namespace's revision at that moment."""
    reservations: tuple[Reservation | DamagedLevel, ...]
    after: ListedReservation | None
    """The reservation after which the next page begins; None if this is the last page."""


@dataclass(frozen=True, slots=True)
class ReadLedger(Query[Sequence[Entry]]):
    """A query for the entries of ``scripts_max`` scripts: the oldest after a revision, or the newest before one.

    The entries of one script are read whole, so that more entries may come than are asked for.
    """

    namespace: str
    after: int | None = None
    before: int | None = None
    scripts_max: int = 16
    entries_max: int | None = None
    """The scripts end with the one in which this number of entries is reached; None if their number is no limit."""


@dataclass(frozen=True, slots=True)
class FindStrayEntry(Query[str | None]):
    """A query for the ID of the first entry in the ledger's stream that no script has written; None if there is none.

    After such an entry, Redis takes no entry of the script, so that the namespace cannot be changed.
    """

    namespace: str


@dataclass(frozen=True, slots=True)
class ListNamespaces(Query[Sequence[str]]):
    """A query for all namespaces that have ever been changed, in order."""


@dataclass(frozen=True, slots=True)
class PageTokenKey(Query[bytes | None]):
    """A query for the key that seals page tokens, which the store keeps for all its servers; None if it keeps none.

    It is the one query that may change the store, in a key that no caller sees: the store keeps the ``proposal``, if
    there is one, unless it has a key already.
    """

    proposal: bytes | None = None


@dataclass(frozen=True, slots=True)
class CountNamespace(Query["NamespaceCounts"]):
    """A query for the numbers of a namespace at one moment: revisions, stock levels, counters, active reservations.

    Counters and reservations whose time is up are not counted.
    """

    namespace: str


@dataclass(frozen=True, slots=True)
class NamespaceCounts:
    """The answer to a CountNamespace."""

    revision: int
    oldest_revision: int
    stock_levels: int
    counters: int
    active_reservations: int


@dataclass(frozen=True, slots=True)
class LookupRequest(Query["FoundRecord"]):
    """A query for the record of one part of a request id."""

    namespace: str
    request_id: str
    part: int


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """The answer to a LookupRequest."""

    revision: int
    """The namespace's revision at that moment."""
    record: "RequestRecord | None"
    """The record; None if there is none."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """The record of one part of a request."""

    outcomes: tuple["RecordedOutcome", ...]
    total: int
    """The mutations of the whole batch; 0 if it is no batch."""


@dataclass(frozen=True, slots=True)
class RecordedOutcome:
    """The outcome of one mutation: its revision, 0 if it was not applied, and the status that the script gave it."""

    status: str
    revision: int
    commit_time_ms: int
