"""The rate at which a peer does something that costs the server work and brings no call."""


class Rate:
    """Counts events by the second."""

    __slots__ = ("_count", "_max", "_since")

    def __init__(self, per_second_max: int) -> None:
        """``per_second_max``: how many events within one second are allowed."""
        self._max = per_second_max
        self._count = 0
        self._since = 0.0

    def exceeded(self, now: float) -> bool:
        """Count an event at a time in seconds. Return whether it is one too many."""
        if now - self._since >= 1.0:
            self._since = now
            self._count = 0
        self._count += 1
        return self._count > self._max

    def forgive(self) -> None:
        """Forget the events so far."""
        self._count = 0
