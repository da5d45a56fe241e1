"""What is counted: the names of counters and stock levels, and what they hold.

How they are stored is the store's to know, and how they are sent the rpc's.
"""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class CounterName:
    """A counter within its namespace."""

    counter: str

    @property
    def facts(self) -> dict[str, str]:
        """What an error about the counter tells of it."""
        return {"counter": self.counter}


@dataclass(frozen=True, slots=True)
class StockName:
    """A stock level within its namespace: an item at a location."""

    item: str
    location: str

    @property
    def facts(self) -> dict[str, str]:
        """What an error about the level tells of it."""
        return {"item": self.item, "location": self.location}


@dataclass(frozen=True, slots=True)
class Counter:
    """What a counter holds. ``expire_at_ms`` is in milliseconds since 1970, None if it never expires."""

    name: CounterName
    value: int
    min: int | None = None
    max: int | None = None
    expire_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StockLevel:
    """How many copies of an item a location has, and how many of them may be taken."""

    name: StockName
    on_hand: int
    reserved: int = 0
    safety_stock: int = 0
    backorder_limit: int = 0
    low_stock_threshold: int = 0

    @property
    def available(self) -> int:
        """Copies that are neither reserved nor kept back; below 0 when there are too few for that."""
        return self.on_hand - self.reserved - self.safety_stock


LevelName: TypeAlias = CounterName | StockName
Level: TypeAlias = Counter | StockLevel
