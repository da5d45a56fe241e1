"""A limited rate of events."""


class Rate:
    """A counter of the events within the present second, with a limit."""

    __slots__ = ("_count", "_max", "_since")

    def __init__(self, per_second_max: int) -> None:
        """``per_second_max`` is the maximum number of events within one second."""
        self._max = per_second_max
        self._count = 0
        self._since = 0.0

    def exceeded(self, now: float) -> bool:
        """Count an event at a time in seconds. Return True if it exceeds the limit."""
        if now - self._since >= 1.0:
            self._since = now
            self._count = 0
        self._count += 1
        return self._count > self._max

    def forgive(self) -> None:
        """Forget the events so far."""
        self._count = 0
