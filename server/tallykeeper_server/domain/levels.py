"""Counters, stock levels and reservations: their names, and what they hold.

The store decides how they are stored, and the rpc package how they are sent.
"""

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NamedTuple, TypeAlias


@dataclass(frozen=True, slots=True)
class CounterName:
    """A counter within its namespace."""

    counter: str

    @property
    def text(self) -> str:
        """The name in one text, which no other name of its kind has."""
        return self.counter

    @property
    def facts(self) -> dict[str, str]:
        """The values about the counter in an error."""
        return {"counter": self.counter}


@dataclass(frozen=True, slots=True)
class StockName:
    """A stock level within its namespace: an item at a location."""

    item: str
    location: str
    text: str = field(init=False, repr=False, compare=False)
    """The name in one text, which no other name of its kind has, because a location holds no colon."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", f"{self.location}:{self.item}")

    @property
    def facts(self) -> dict[str, str]:
        """The values about the level in an error."""
        return {"item": self.item, "location": self.location}


class Counter(NamedTuple):
    """A counter's value and bounds. ``expire_at_ms`` is in milliseconds since 1970, None if it never expires."""

    name: CounterName
    value: int
    min: int | None = None
    max: int | None = None
    expire_at_ms: int | None = None


class StockLevel(NamedTuple):
    """The copies of an item at a location, and the numbers that limit how many may be taken."""

    name: StockName
    on_hand: int
    reserved: int = 0
    safety_stock: int = 0
    backorder_limit: int = 0
    low_stock_threshold: int = 0

    @property
    def available(self) -> int:
        """The copies that are neither reserved nor safety stock; below 0 when there are too few for both."""
        return self.on_hand - self.reserved - self.safety_stock

    @property
    def short_copies(self) -> int:
        """Copies that are reserved and covered neither by those on hand nor by the backorder limit."""
        return min(self.reserved, max(0, self.reserved - self.on_hand - self.backorder_limit))


class ReservationState(Enum):
    """The state of a reservation."""

    ACTIVE = "ACTIVE"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class ReservationName:
    """A reservation within its namespace."""

    reservation_id: str

    @property
    def text(self) -> str:
        """The name in one text, which no other name of its kind has."""
        return self.reservation_id

    @property
    def facts(self) -> dict[str, str]:
        """The values about the reservation in an error."""
        return {"reservation_id": self.reservation_id}


@dataclass(frozen=True, slots=True)
class ReservationLine:
    """The copies that a reservation holds of one level, and those of them that were taken when it was committed."""

    name: StockName
    copies: int
    committed: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Copies that are held for a holder. Times are in milliseconds since 1970."""

    name: ReservationName
    state: ReservationState
    created_at_ms: int
    expire_at_ms: int
    resolved_at_ms: int | None
    holder: str
    lines: tuple[ReservationLine, ...] = ()


LevelName: TypeAlias = CounterName | StockName | ReservationName
Level: TypeAlias = Counter | StockLevel | Reservation


@dataclass(frozen=True, slots=True)
class DamagedLevel:
    """A level whose stored text the script did not write, so that only its name is known."""

    name: LevelName
    damage: str
    """The fault of the text, in words."""


ReadLevel: TypeAlias = Level | DamagedLevel
"""A level that was read. A damaged level does not keep others from being read."""


def level_at(level: ReadLevel, now_ms: int) -> ReadLevel | None:
    """Return a level as it is at a time: None for a counter whose time is up, and expired for such a reservation."""
    if isinstance(level, Counter):
        return None if level.expire_at_ms is not None and level.expire_at_ms <= now_ms else level
    if isinstance(level, Reservation) and level.state is ReservationState.ACTIVE and level.expire_at_ms <= now_ms:
        return replace(level, state=ReservationState.EXPIRED)
    return level
