"""Memory of a process: what was freed is given back to the system."""

import ctypes
import resource
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = resource.getpagesize()
_GROWTH_BYTES: Final = 32 << 20
"""How much more memory must be in use than after the last time, so that it is worth the trouble."""


class Memory:
    """Memory that was freed, and that glibc keeps for what may come.

    After a flood of 60 connections that each sent headers without end, it kept 240 MiB that malloc_trim gives back.
    """

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._used = _resident_bytes()

    def give_back(self) -> None:
        """Give back what is free, if the process has grown since the last time."""
        if self._trim is not None and _resident_bytes() > self._used + _GROWTH_BYTES:
            self._trim(0)
            self._used = _resident_bytes()


def _resident_bytes() -> int:
    """Return how much memory this process has in use; 0 where the system does not say."""
    try:
        return int(_STATUS.read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
