"""Memory of a process: what was freed is given back to the system."""

import ctypes
import resource
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = resource.getpagesize()
_MMAP_THRESHOLD: Final = -3
"""M_MMAP_THRESHOLD of malloc.h."""
_MMAP_THRESHOLD_BYTES: Final = 128 << 10
"""What is larger, such as a large request, goes back to the system as soon as it is freed. It is so at first; without
being told, glibc raises this to 32 MiB as it sees such requests, and 300 of a MiB left 640 MiB behind."""
_GROWTH_BYTES: Final = 32 << 20
"""How much more memory must be in use than at the least, so that it is worth the trouble."""
_WORTH_BYTES: Final = 4 << 20
"""How much must have been given back, so that it is tried again the next time."""
_PAUSE_MAX: Final = 11
"""How often it is left out at most where there was little to give back: of what is in use, most is needed."""


class Memory:
    """Memory that was freed, and that glibc keeps for what may come.

    After a flood of 60 connections that each sent headers without end, it kept 240 MiB that malloc_trim gives back.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._trim = getattr(library, "malloc_trim", None)
        if self._trim is not None:
            library.mallopt(_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
        self._least = _resident_bytes()
        self._pause = self._left_out = 0

    def give_back(self) -> None:
        """Give back what is free, if the process has grown. To be called every few seconds.

        It is tried again as long as it helps: the first time may be while a flood of calls still needs what it took.
        """
        used = _resident_bytes()
        if self._trim is None or used <= self._least + _GROWTH_BYTES:
            return
        if self._left_out < self._pause:
            self._left_out += 1
            return
        self._trim(0)
        left = _resident_bytes()
        self._pause = 0 if used - left >= _WORTH_BYTES else min(2 * self._pause + 1, _PAUSE_MAX)
        self._left_out = 0
        self._least = min(self._least, left)


def _resident_bytes() -> int:
    """Return how much memory this process has in use; 0 where the system does not say."""
    try:
        return int(_STATUS.read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
