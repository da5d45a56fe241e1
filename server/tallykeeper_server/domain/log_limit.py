"""Limits the log lines that strangers can cause, so that bad connections or bad credentials cannot fill a disk."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Final

LINES_PER_SECOND_MAX: Final = 10


class LogLimit:
    """Passes on 10 lines within a second, and counts the other lines."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` gives seconds and never goes back."""
        self._clock = clock
        self._began_at = -math.inf
        self._logged = self._unlogged = 0

    def admit(self) -> Mapping[str, int] | None:
        """Return the fields to add to a line: ``unlogged``, the number of lines left out before it, if there are any.

        Return None if the line must be left out, and count it.
        """
        now = self._clock()
        if now - self._began_at >= 1.0:
            self._began_at, self._logged = now, 0
        if self._logged >= LINES_PER_SECOND_MAX:
            self._unlogged += 1
            return None
        unlogged = {"unlogged": self._unlogged} if self._unlogged else {}
        self._logged, self._unlogged = self._logged + 1, 0
        return unlogged
