"""When freed memory is given back: as long as that helps, and seldom where it does not."""

import pytest

from tallykeeper_server import memory
from tallykeeper_server.memory import Memory

MIB = 1 << 20


class Process:
    """A process whose memory is told, and of which a trim gives back what is free."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.needed, self.free, self.trims = 80 * MIB, 0, 0
        monkeypatch.setattr(memory, "_resident_bytes", lambda: self.needed + self.free)
        monkeypatch.setattr("ctypes.CDLL", lambda _: self)

    def mallopt(self, _: int, __: int) -> None:
        pass

    def malloc_trim(self, _: int) -> None:
        self.trims += 1
        self.free = 0


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Process:
    """A process without anything to give back."""
    return Process(monkeypatch)


def test_what_a_flood_leaves_is_given_back_though_it_was_tried_while_it_lasted(process: Process) -> None:
    watched = Memory()
    process.needed, process.free = 300 * MIB, 10 * MIB
    watched.give_back()
    process.needed, process.free = 80 * MIB, 230 * MIB

    watched.give_back()

    assert (process.trims, process.free) == (2, 0)


def test_a_process_that_has_not_grown_is_left_alone(process: Process) -> None:
    watched = Memory()
    process.free = 30 * MIB
    for _ in range(10):
        watched.give_back()

    assert process.trims == 0


def test_where_all_is_needed_it_is_tried_ever_more_seldom_and_never_given_up(process: Process) -> None:
    watched = Memory()
    process.needed = 300 * MIB
    for _ in range(100):
        watched.give_back()
    assert process.trims == 11  # the first, third, seventh and fifteenth time, and then each twelfth

    process.free = 100 * MIB
    for _ in range(12):
        watched.give_back()
    assert process.free == 0
