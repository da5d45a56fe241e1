"""What a mutation or a read is refused with: exceptions that carry the levels, counters and reservations concerned.

All of them are `TallykeeperError`, and nothing was changed when one is raised.
"""
# ruff: noqa: N818 -- each class is called by the reason that the contract gives it

from collections.abc import Mapping
from typing import Final, NamedTuple

from tallykeeper_client._status_details import Failure, PreconditionViolation
from tallykeeper_client.errors import TallykeeperError

_LINES_TOLD_MAX: Final = 20
"""Of how many lines the contract tells the values; of more it tells the number."""


class ShortLine(NamedTuple):
    """A level of which fewer copies may be taken than ``requested``: ``available`` and ``backorder_limit`` more."""

    item: str
    location: str
    requested: int
    available: int
    backorder_limit: int


class ExcessLine(NamedTuple):
    """A level of which more copies were ``requested`` than the reservation has ``reserved``."""

    item: str
    location: str
    requested: int
    reserved: int


class CounterNotFound(TallykeeperError):
    """There is no such counter."""

    counter: str

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.counter = failure.metadata["counter"]


class ItemNotFound(TallykeeperError):
    """There is no such stock level; ``location`` is None if the item has none anywhere."""

    item: str
    location: str | None

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.item = failure.metadata["item"]
        self.location = failure.metadata.get("location")


class InsufficientStock(TallykeeperError):
    """Fewer copies may be taken than were ``requested``: ``available`` and ``backorder_limit`` more.

    All three are copies. ``available`` may be below 0. They are of the first level that is short; ``lines`` has all
    of them, up to 20, and ``short_line_count`` says how many there are. ``violations`` says the same in words.
    """

    item: str
    location: str
    requested: int
    available: int
    backorder_limit: int
    lines: tuple[ShortLine, ...]
    short_line_count: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.short_line_count = _line_count(failure.metadata)
        self.lines = tuple(
            ShortLine(
                failure.metadata[f"item{suffix}"],
                failure.metadata[f"location{suffix}"],
                int(failure.metadata[f"requested{suffix}"]),
                int(failure.metadata[f"available{suffix}"]),
                int(failure.metadata[f"backorder_limit{suffix}"]),
            )
            for suffix in _suffixes(self.short_line_count)
        )
        self.item, self.location, self.requested, self.available, self.backorder_limit = self.lines[0]
        self.violations = failure.precondition_violations


class StockBelowReserved(TallykeeperError):
    """With ``on_hand`` copies and ``backorder_limit`` more there would be fewer than are ``reserved``."""

    item: str
    location: str
    on_hand: int
    reserved: int
    backorder_limit: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.item = failure.metadata["item"]
        self.location = failure.metadata["location"]
        self.on_hand = int(failure.metadata["on_hand"])
        self.reserved = int(failure.metadata["reserved"])
        self.backorder_limit = int(failure.metadata["backorder_limit"])
        self.violations = failure.precondition_violations


class StockNotEmpty(TallykeeperError):
    """The level still has copies ``on_hand`` or ``reserved``, and so it cannot be deleted."""

    item: str
    location: str
    on_hand: int
    reserved: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.item = failure.metadata["item"]
        self.location = failure.metadata["location"]
        self.on_hand = int(failure.metadata["on_hand"])
        self.reserved = int(failure.metadata["reserved"])
        self.violations = failure.precondition_violations


class CounterBoundExceeded(TallykeeperError):
    """The counter would be outside its bounds, of which an absent one is None. Nothing was changed.

    ``value`` is the counter's own with the ``delta`` that it could not take; where a value was to be set or
    bounds to be configured, ``delta`` is None and ``value`` is what is outside them.
    """

    value: int
    delta: int | None
    min: int | None
    max: int | None

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.value = int(failure.metadata["value"])
        self.delta = _optional_integer(failure.metadata, "delta")
        self.min = _optional_integer(failure.metadata, "min")
        self.max = _optional_integer(failure.metadata, "max")


class ValueOverflow(TallykeeperError):
    """The result would be outside -(2^53-1) .. 2^53-1. Nothing was changed. ``metadata`` says of what."""


class ValueChanged(TallykeeperError):
    """The value was ``actual`` and not ``expected``. Nothing was changed."""

    actual: int
    expected: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.actual = int(failure.metadata["actual"])
        self.expected = int(failure.metadata["expected"])


class _OfReservation(TallykeeperError):
    """What concerns one reservation."""

    reservation_id: str

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.reservation_id = failure.metadata["reservation_id"]


class ReservationNotFound(_OfReservation):
    """There is no such reservation, or it ended so long ago that it is no longer kept."""


class ReservationExists(_OfReservation):
    """Another reservation has this id."""


class ReservationCommitted(_OfReservation):
    """The reservation is no longer active: its copies were taken."""


class ReservationReleased(_OfReservation):
    """The reservation is no longer active: its copies were given back."""


class ReservationExpired(_OfReservation):
    """The reservation is no longer active: its time was up, and its copies were given back."""


class ReservationLifetimeExceeded(_OfReservation):
    """The reservation would live for ``lifetime_ms`` from its beginning, and ``lifetime_ms_max`` is allowed."""

    lifetime_ms: int
    lifetime_ms_max: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.lifetime_ms = int(failure.metadata["lifetime_ms"])
        self.lifetime_ms_max = int(failure.metadata["lifetime_ms_max"])


class CommitExceedsReserved(TallykeeperError):
    """More copies were ``requested`` than the reservation has ``reserved``.

    These are of the first level concerned; ``lines`` has all of them, up to 20, and ``excess_line_count`` says how
    many there are. ``violations`` says the same in words.
    """

    item: str
    location: str
    requested: int
    reserved: int
    lines: tuple[ExcessLine, ...]
    excess_line_count: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.excess_line_count = _line_count(failure.metadata)
        self.lines = tuple(
            ExcessLine(
                failure.metadata[f"item{suffix}"],
                failure.metadata[f"location{suffix}"],
                int(failure.metadata[f"requested{suffix}"]),
                int(failure.metadata[f"reserved{suffix}"]),
            )
            for suffix in _suffixes(self.excess_line_count)
        )
        self.item, self.location, self.requested, self.reserved = self.lines[0]
        self.violations = failure.precondition_violations


def _optional_integer(metadata: Mapping[str, str], key: str) -> int | None:
    return int(metadata[key]) if key in metadata else None


def _line_count(metadata: Mapping[str, str]) -> int:
    return int(metadata.get("lines", "1"))


def _suffixes(line_count: int) -> list[str]:
    """Give what stands behind the names of the metadata of each line that is told: nothing, _2, _3 and so on."""
    return ["", *(f"_{number}" for number in range(2, min(line_count, _LINES_TOLD_MAX) + 1))]
