"""The contents of a namespace, and the changes of mutations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from google.protobuf.message import Message

from tests.model.counters import Counter
from tests.model.reservation import Reservation
from tests.model.stock import Stock

Level = Counter | Stock


@dataclass(frozen=True, slots=True)
class CounterKey:
    """The name of a counter."""

    counter: str

    @property
    def stored(self) -> str:
        """The name in the form of the store's keys."""
        return f"counter:{self.counter}"


@dataclass(frozen=True, slots=True)
class StockKey:
    """The name of a stock level."""

    item: str
    location: str

    @property
    def stored(self) -> str:
        """The name in the form of the store's keys."""
        return f"stock:{self.location}:{self.item}"


Key = CounterKey | StockKey


@dataclass(frozen=True, slots=True)
class Change:
    """A mutation's result: the levels that it names, in order, its reservation, and its reply."""

    levels: Mapping[Key, Level | None]
    """The reservation, or None if it is gone."""
    reply: Mapping[str, Message | int]
    reservation: Reservation | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """Levels and reservations by name."""

    levels: dict[Key, Level] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)

    def copy(self) -> Self:
        """Return an independent copy of the contents."""
        return type(self)(dict(self.levels), dict(self.reservations))

    def stock(self, item: str, location: str) -> Stock | None:
        """Return a stock level, or None if it does not exist."""
        level = self.levels.get(StockKey(item, location))
        return level if isinstance(level, Stock) else None

    def take_over(self, change: Change) -> None:
        """Replace the contents by a mutation's result."""
        for key, after in change.levels.items():
            if after is None:
                self.levels.pop(key, None)
            else:
                self.levels[key] = after
        if change.reservation is not None:
            self.reservations[change.reservation.reservation_id] = change.reservation
