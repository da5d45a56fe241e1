"""What values are noted in while the server works. It costs well under a microsecond, and knows no names.

There are no locks: each recorder belongs to one event loop's thread, and is read in it too.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence


class Counter:
    """What only grows, and begins at 0."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, count: int = 1) -> None:
        """Add so many: 0 or more."""
        self.value += count


class Counts:
    """Counters that differ in one label. Its values must come from a fixed set, and never from a caller's text."""

    __slots__ = ("values",)

    def __init__(self, known: Sequence[str] = ()) -> None:
        """Begin with a counter of 0 for each of the label's values that are ``known`` to occur."""
        self.values = dict.fromkeys(known, 0)

    def add(self, label: str) -> None:
        """Add one to the counter of a value of the label."""
        self.values[label] = self.values.get(label, 0) + 1


class Histogram:
    """How many values fell between bounds, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Take the greatest value of each bucket but the last, which takes all that is greater; they ascend."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Note a value, in the unit of the bounds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Gauge:
    """What goes up and down: read when somebody wants to know, so that it costs nothing until then."""

    __slots__ = ("read",)

    def __init__(self) -> None:
        self.read: Callable[[], float | None] = lambda: None
        """Returns the value; None as long as there is none."""
