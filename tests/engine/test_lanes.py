"""Lanes by name: the calls that share a lane, the limit that lanes share, and the end of idle lanes."""

import asyncio
from collections.abc import Hashable

import pytest

from tallykeeper_server.domain.errors import OverloadedError
from tallykeeper_server.engine.lane import Backlog, Lane, LaneLimits, Lanes
from tallykeeper_server.engine.lane_call import LaneCall
from tests.engine.fake_store import FakeStore
from tests.engine.turns import let_lanes_send

LIMITS = LaneLimits(batch_items_max=8, waiting_items_max=3, pause_seconds=0.0, second_batch_min=100)


class Made:
    """Lanes by the first letter of an item, and the number of lanes that were made."""

    def __init__(self) -> None:
        self.store: FakeStore[str, str] = FakeStore(lambda item: item)
        self.store.hold()
        self.names: list[Hashable] = []
        self.lanes = Lanes(lambda item: item[0], self._make, waiting_items_max=LIMITS.waiting_items_max)

    def _make(self, name: Hashable, backlog: Backlog) -> Lane[str, str]:
        self.names.append(name)
        return Lane(self.store.send, LIMITS, backlog=backlog)

    def submit(self, *items: str) -> list[LaneCall[str, str]]:
        deadline = asyncio.get_running_loop().time() + 10.0
        return [self.lanes.submit(item, deadline=deadline, may_resend=False) for item in items]


async def test_only_calls_of_one_lane_travel_together() -> None:
    made = Made()
    calls = made.submit("a1", "b1")
    await let_lanes_send()
    calls += made.submit("a2", "b2", "a3")
    made.store.release()

    assert await asyncio.gather(*calls) == ["a1", "b1", "a2", "b2", "a3"]
    assert sorted(made.store.batches) == [["a1"], ["a2", "a3"], ["b1"], ["b2"]]


async def test_what_waits_in_all_lanes_has_one_limit() -> None:
    made = Made()
    calls = made.submit("a1", "b1")
    await let_lanes_send()
    calls += made.submit("a2", "b2", "b3")

    with pytest.raises(OverloadedError):
        made.submit("c1")

    made.store.release()
    await asyncio.gather(*calls)
    assert await asyncio.gather(*made.submit("c1")) == ["c1"]


async def test_the_rest_of_what_is_begun_is_taken_however_many_wait() -> None:
    made = Made()
    calls = made.submit("a1", "b1")
    await let_lanes_send()
    made.lanes.backlog.check_room()
    calls += made.submit("a2", "b2", "b3")

    with pytest.raises(OverloadedError):
        made.lanes.backlog.check_room()
    deadline = asyncio.get_running_loop().time() + 10.0
    calls.append(made.lanes.submit("c1", deadline=deadline, may_resend=False, is_begun=True))

    made.store.release()
    assert await asyncio.gather(*calls) == ["a1", "b1", "a2", "b2", "b3", "c1"]


async def test_idle_lanes_are_dropped_and_busy_ones_kept() -> None:
    made = Made()
    held = made.submit("a1")
    await let_lanes_send()
    made.store.release()
    letters = [chr(ord("b") + number) for number in range(200)]
    for letter in letters:
        await asyncio.gather(*made.submit(letter))
    await asyncio.gather(*held)

    made.submit("a2")

    assert made.names.count("a") == 2
    assert len(made.names) == 202
