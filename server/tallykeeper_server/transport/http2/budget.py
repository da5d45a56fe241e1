"""The number of bytes held for peers, for one connection and for the process."""


class Budget:
    """A number of bytes in use. If there is a ``whole``, the bytes count there too."""

    __slots__ = ("bytes", "bytes_max", "whole")

    def __init__(self, bytes_max: int, whole: "Budget | None" = None) -> None:
        self.bytes = 0
        self.bytes_max = bytes_max
        self.whole = whole

    def add(self, change: int) -> None:
        """Add bytes. A negative number gives bytes back."""
        self.bytes += change
        if self.whole is not None:
            self.whole.bytes += change

    @property
    def exceeded(self) -> bool:
        """True if more bytes are in use than allowed, here or in the whole."""
        return self.bytes > self.bytes_max or (self.whole is not None and self.whole.bytes > self.whole.bytes_max)
