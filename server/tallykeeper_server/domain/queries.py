"""Questions that change nothing."""

from dataclasses import dataclass
from enum import Enum

from tallykeeper_server.domain.levels import LevelName


class Kind(Enum):
    """The two kinds of level, each with an index of its own."""

    COUNTER = "counter"
    STOCK = "stock"


@dataclass(frozen=True, slots=True)
class GetLevels:
    """Levels by name, as they are at one moment. The answer has None for each that does not exist."""

    namespace: str
    names: tuple[LevelName, ...]


@dataclass(frozen=True, slots=True)
class ListNames:
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


Query = GetLevels | ListNames
