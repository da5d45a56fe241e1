"""Questions that change nothing. Each says in its type what its answer is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.levels import DamagedLevel, LevelName, ReadLevel, Reservation, ReservationState

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Query(Generic[Answer]):
    """A question and the type of its answer."""


class Kind(Enum):
    """The kinds of level, each with an index of its own."""

    COUNTER = "counter"
    STOCK = "stock"
    RESERVATION = "reservation"


@dataclass(frozen=True, slots=True)
class GetLevels(Query["ReadLevels"]):
    """Levels by name, as they are at one moment."""

    namespace: str
    names: tuple[LevelName, ...]
    min_revision: int = 0
    """The revision that the namespace must have reached, else RevisionAheadError is the answer."""


@dataclass(frozen=True, slots=True)
class ReadLevels:
    """The answer to a GetLevels."""

    revision: int
    """The namespace's, at that moment."""
    levels: Sequence[ReadLevel | None]
    """The levels in the order of their names; None for each that does not exist."""


@dataclass(frozen=True, slots=True)
class Snapshot(Query["SnapshotAnswer"]):
    """Levels by name and the namespace's revision, as they are at one moment."""

    namespace: str
    names: tuple[LevelName, ...]


@dataclass(frozen=True, slots=True)
class SnapshotAnswer:
    """The answer to a Snapshot: the levels as they are stored, also those whose time is up."""

    revision: int
    time_ms: int
    """The time that the namespace had come to, in milliseconds since 1970; what was forgotten was over by then."""
    levels: tuple[ReadLevel | None, ...]


@dataclass(frozen=True, slots=True)
class ListNames(Query[Sequence[LevelName]]):
    """Names of one kind in the order of their bytes: counters by name, stock by item and then location."""

    namespace: str
    kind: Kind
    prefix: str = ""
    """What the counter or the item begins with."""
    whole_item: bool = False
    """The prefix is the whole item."""
    after: LevelName | None = None
    """Only names that come after this one."""
    limit: int = 1_000
    """The most names to return."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRange:
    """Levels of one kind that stand side by side in the order of their names' bytes, as ListNames has them."""

    kind: Kind
    prefix: str = ""
    """The beginning of the counter or the item."""
    whole_item: bool = False
    """The prefix is the whole item."""
    after: LevelName | None = None
    """Only names that come after this one."""
    location: str | None = None
    """The only location whose stock levels are wanted; None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindLevels(Query["FoundLevels"]):
    """The levels in some ranges, and levels by name, as they are at one moment."""

    namespace: str
    ranges: tuple[LevelRange, ...] = ()
    names: tuple[LevelName, ...] = ()
    levels_max: int = 1_000
    """The most levels of all ranges together to return. With a location, at most 10,000 names are looked at."""
    min_revision: int = 0
    """The revision that the namespace must have reached, else RevisionAheadError is the answer."""


@dataclass(frozen=True, slots=True)
class FoundLevels:
    """The answer to a FindLevels."""

    revision: int
    """The namespace's, at that moment."""
    levels: tuple[ReadLevel, ...]
    """Those that exist: of the ranges in their order, and then those by name."""
    after: LevelName | None
    """The name after which the rest of the ranges begins; None if there is no rest."""


@dataclass(frozen=True, slots=True)
class ListedReservation:
    """A reservation's place in the list: active ones first, then those expired, committed and released."""

    state: ReservationState
    reservation_id: str


@dataclass(frozen=True, slots=True)
class ListReservations(Query[Sequence["ListedReservation"]]):
    """Reservations by their places in the list, from one state to another, both included."""

    namespace: str
    first: ReservationState
    last: ReservationState
    after: ListedReservation | None = None
    limit: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FindReservations(Query["FoundReservations"]):
    """A page of the reservations that pass a filter, as they are at one moment; in the order of the list."""

    namespace: str
    state: ReservationState | None = None
    """What they must be now; None for any state."""
    holder: str = ""
    """Whose they must be; empty for anyone's."""
    item: str = ""
    """What one of their lines must hold; empty for anything."""
    after: ListedReservation | None = None
    """Only those that come after this place."""
    limit: int = 1_000
    """The most reservations to return. Fewer may be returned, though there are more: of those that do not pass, a
    limited number is looked at for one page."""


@dataclass(frozen=True, slots=True)
class FoundReservations:
    """The answer to a FindReservations: each in the state that it was in at that moment."""

    revision: int
    """The namespace's, at that moment."""
    reservations: tuple[Reservation | DamagedLevel, ...]
    after: ListedReservation | None
    """The place after which the next page begins; None if this is the last."""


@dataclass(frozen=True, slots=True)
class ReadLedger(Query[Sequence[Entry]]):
    """Entries after a revision, the oldest first, or before one, the newest first: those of ``scripts_max`` scripts.

    What one script wrote is read whole, so that more entries may come than are asked for.
    """

    namespace: str
    after: int | None = None
    before: int | None = None
    scripts_max: int = 16


@dataclass(frozen=True, slots=True)
class FindStrayEntry(Query[str | None]):
    """The ID of the first entry of the ledger's stream that no script has given; None if there is none.

    Behind one, Redis takes no entry of the script, so that the namespace cannot be changed.
    """

    namespace: str


@dataclass(frozen=True, slots=True)
class ListNamespaces(Query[Sequence[str]]):
    """All namespaces that have ever been changed, in order."""


@dataclass(frozen=True, slots=True)
class PageTokenKey(Query[bytes | None]):
    """The key that seals page tokens, which the store keeps for all of its servers; None if it keeps none.

    It is the one query that may change something, and only what no caller sees: the store keeps the ``proposal``, if
    there is one, unless it keeps a key already.
    """

    proposal: bytes | None = None


@dataclass(frozen=True, slots=True)
class CountNamespace(Query["NamespaceCounts"]):
    """What a namespace holds at one moment: revision, oldest revision, stock levels, counters, active reservations.

    Counters and reservations whose time is up are not among them.
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
    """What is recorded under a request id, of one part of it."""

    namespace: str
    request_id: str
    part: int


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """The answer to a LookupRequest."""

    revision: int
    """The namespace's, at that moment."""
    record: "RequestRecord | None"
    """None if nothing is recorded."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """The record of one part of a request."""

    outcomes: tuple["RecordedOutcome", ...]
    total: int
    """How many mutations the whole batch has; 0 if it is no batch."""


@dataclass(frozen=True, slots=True)
class RecordedOutcome:
    """What became of one mutation: its revision, 0 if it was not applied, and the status that the script gave it."""

    status: str
    revision: int
    commit_time_ms: int
