"""Lanes, each for what may share a batch: made when there is something for it, and dropped when it is idle."""

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from tallykeeper_server.engine.lane import Backlog, Lane
from tallykeeper_server.engine.lane_call import LaneCall

Item = TypeVar("Item")
Result = TypeVar("Result")

_KEPT_MAX: Final = 64
"""How many lanes there may be before idle ones are dropped: what one has learnt of its load is soon learnt again."""


class Lanes(Generic[Item, Result]):
    """Puts each call into the lane of those that it may travel with. What waits in all of them has one limit."""

    def __init__(
        self,
        lane_of: Callable[[Item], Hashable],
        make: Callable[[Hashable, Backlog], Lane[Item, Result]],
        *,
        waiting_items_max: int,
    ) -> None:
        """``lane_of`` names an item's lane, and ``make`` makes a lane of that name, which shares the backlog."""
        self._lane_of = lane_of
        self._make = make
        self.backlog = Backlog(waiting_items_max)
        """The calls that wait, in all lanes."""
        self._lanes: dict[Hashable, Lane[Item, Result]] = {}

    def submit(
        self, item: Item, *, deadline: float, may_resend: bool, is_begun: bool = False
    ) -> LaneCall[Item, Result]:
        """Take a call into its lane, as Lane.submit does.

        :raises OverloadedError: as many calls wait in all lanes as one may hold.
        """
        name = self._lane_of(item)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._add(name)
        return lane.submit(item, deadline=deadline, may_resend=may_resend, is_begun=is_begun)

    def _add(self, name: Hashable) -> Lane[Item, Result]:
        if len(self._lanes) >= _KEPT_MAX:
            self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.is_idle}
        lane = self._lanes[name] = self._make(name, self.backlog)
        return lane
