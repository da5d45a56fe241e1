"""Recorders: the objects in which the server records values while it works, at less than a microsecond each.

They need no lock, because only the event loop's thread writes and reads them.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeAlias

TracedValue: TypeAlias = tuple[float, bytes, float]
"""A value, the ids of the trace (16 bytes) and of the span (8 bytes) in one, and a time of ``perf_counter``."""


class Counter:
    """A number that only grows. It begins at 0."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, count: int = 1) -> None:
        """Add an amount, which is 0 or more."""
        self.value += count


class Counts:
    """Counters that differ in one label. The label's values come from a fixed set, never from a caller's text."""

    __slots__ = ("values",)

    def __init__(self, known: Sequence[str] = ()) -> None:
        """Begin with a counter of 0 for each ``known`` value of the label."""
        self.values = dict.fromkeys(known, 0)

    def add(self, label: str) -> None:
        """Add 1 to the counter of a value of the label."""
        self.values[label] = self.values.get(label, 0) + 1


class Histogram:
    """The number of values in each bucket, and the sum of all values."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Take the upper bounds of all buckets but the last, in ascending order. The last bucket has no bound."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Record a value in the unit of the bounds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Gauge:
    """A number that goes up and down. It is computed only when it is read."""

    __slots__ = ("read",)

    def __init__(self) -> None:
        self.read: Callable[[], float | None] = lambda: None
        """The function that returns the value; None if there is no value yet."""


class ExemplarHistogram(Histogram):
    """A histogram that remembers the last traced value of each bucket."""

    __slots__ = ("exemplars",)

    def __init__(self, bounds: Sequence[float]) -> None:
        super().__init__(bounds)
        self.exemplars: dict[int, TracedValue] = {}
        """The last value with a span in each bucket, by the index of the bucket."""

    def observe_traced(self, value: float, span: bytes, at: float) -> None:
        """Record a value, with the span that it belongs to and the time."""
        index = bisect_left(self.bounds, value)
        self.counts[index] += 1
        self.sum += value
        self.exemplars[index] = (value, span, at)
