"""A lane: sends calls that wait at the same time as one batch (group commit).

The lane decides which calls share a batch, when it is sent, and whether it is sent again. It does not know what is
sent.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

from tallykeeper_server.domain.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    OverloadedError,
    StoreUnavailableError,
    TallyError,
)
from tallykeeper_server.engine.lane_call import LaneCall
from tallykeeper_server.metrics.meters import LaneMeter
from tallykeeper_server.metrics.registry import Metrics

Item = TypeVar("Item")
Result = TypeVar("Result")

_BATCHES_MAX: Final = 4
_SHARES: Final = 2
"""The batches that share the expected callers. More are sent if they are full."""
_RETRY_FIRST_SECONDS: Final = 0.05
_RETRY_MAX_SECONDS: Final = 0.5
_LANES_KEPT_MAX: Final = 64
"""The number of lanes from which on idle lanes are dropped. A new lane soon learns its load again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimits:
    """The limits of a lane, in items as the lane weighs them."""

    batch_items_max: int
    """The most items in one batch."""
    waiting_items_max: int
    """The most items that wait."""
    pause_seconds: float
    """The longest wait for more callers; 0 never waits."""
    second_batch_min: int = 16
    """The fewest items that are worth a second batch while a first one is under way."""


@dataclass(slots=True)
class Backlog:
    """The items that wait, in one lane or in several lanes that share a limit."""

    items_max: int
    load: int = 0

    @property
    def is_full(self) -> bool:
        """Whether no more items may wait."""
        return self.load >= self.items_max

    def check_room(self) -> None:
        """Return if another item may wait.

        :raises OverloadedError: the backlog is full.
        """
        if self.is_full:
            raise self.refusal()

    def refusal(self) -> OverloadedError:
        """Return the refusal of a call for which the backlog has no room."""
        return OverloadedError(f"{self.load} calls are waiting for the store already; try again later")


class Lane(Generic[Item, Result]):
    """Sends the calls that wait as one batch, in the order in which they came.

    A lane decides once in each turn of the event loop, when all calls of the turn have arrived. An idle lane then
    sends. A busy lane gathers until the reply has arrived and then, under load, a little longer: until its share waits,
    or until ``pause_seconds`` are over since it sent the batch before. So it serves callers together that wait for
    their replies before they call again. A caller alone never waits.

    The share is the number of items that lately waited or were under way. If that is worth two batches, the share is
    half of it, and two batches are under way: the store carries out one while Python answers and reads the calls of the
    other. Two more may be under way if they are full: then waiting gains nothing, and the store has enough to do while
    Python reads large calls.
    """

    call_class: ClassVar[type[LaneCall[Any, Any]]] = LaneCall
    """The class of the calls. A lane that records spans has a different class."""

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        limits: LaneLimits,
        weigh: Callable[[Item], int] = lambda _: 1,
        *,
        meter: LaneMeter | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        """Make a lane for a ``send`` that returns for each item its result, or the exception to raise to its caller.

        ``weigh`` returns the weight of an item. An item that is heavier than a whole batch is sent alone. ``send``
        raises StoreUnavailableError or OutcomeUnknownError when the store is lost, or returns the error for the items
        for which it is lost. The lane raises any other error of ``send`` to every caller of the batch. The ``meter``
        records how long calls wait, how many are sent together, and what is lost. Lanes that share a ``backlog`` share
        its limit.
        """
        self._send = send
        self._meter = meter or LaneMeter(Metrics(), "")
        self._backlog = backlog or Backlog(limits.waiting_items_max)
        self._meter.depth.read = lambda: self._backlog.load
        self._limits = limits
        self._weigh = weigh
        self._load = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[LaneCall[Item, Result]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._load_under_way = 0
        self._timer: asyncio.TimerHandle | None = None
        self._decides = False
        self._share = 1
        self._replied_at = 0.0
        self._sent_at = 0.0
        self._retry_seconds = 0.0

    def submit(
        self, item: Item, *, deadline: float, may_resend: bool, is_begun: bool = False
    ) -> LaneCall[Item, Result]:
        """Take a call into the lane. ``deadline`` is in the event loop's time.

        A call that ``is_begun`` is the rest of a batch of which a part has been done. The lane takes it even if the
        backlog is full.

        The call is done at the latest when the deadline has passed and the batch that is then under way has ended. A
        caller that stops waiting withdraws its call if it has not been sent, and otherwise changes nothing. If the
        store is lost, a call that ``may_resend`` is sent again until its deadline.

        :raises OverloadedError: the backlog is full.
        """
        if not is_begun:
            self._backlog.check_room()
        weight = self._weigh(item)
        call: LaneCall[Item, Result] = self.call_class(
            item, weight, deadline, may_resend=may_resend, waiting_since=perf_counter()
        )
        self._waiting.append(call)
        self._load += weight
        self._backlog.load += weight
        if not self._decides:
            self._decides = True
            self._loop.call_soon(self._decide)
        return call

    @property
    def is_idle(self) -> bool:
        """Whether no call waits and no batch is under way."""
        return not (self._waiting or self._under_way)

    def _count(self, weight: int) -> None:
        """Add a weight to the items that wait, or subtract it if it is negative."""
        self._load += weight
        self._backlog.load += weight

    def _decide(self) -> None:
        self._decides = False
        self._send_or_wait()

    def _send_or_wait(self) -> None:
        """Send as many batches as are due. If calls still wait, a timer or the awaited reply sends them."""
        while self._waiting and self._is_due():
            self._send_now()

    def _is_due(self) -> bool:
        """Return whether to send a batch now. If not, and no reply is awaited, set a timer."""
        if self._under_way:
            limits = self._limits
            enough = max(self._share, limits.second_batch_min) if len(self._under_way) == 1 else limits.batch_items_max
            return self._load >= enough and len(self._under_way) < _BATCHES_MAX and not self._retry_seconds
        send_at = self._replied_at + self._retry_seconds
        if not self._retry_seconds:
            send_at = self._sent_at + self._limits.pause_seconds
            if self._load >= self._share or self._loop.time() >= send_at:
                return True
        self._send_at(send_at)
        return False

    def _send_at(self, time: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_at(time, self._send_now)

    def _send_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = self._take()
        if batch:
            self._note(batch)
            self._sent_at = self._loop.time()
            load = sum([call.weight for call in batch])
            self._load_under_way += load
            self._under_way.add(self._loop.create_task(self._run(batch, load)))

    def _take(self) -> list[LaneCall[Item, Result]]:
        """Take the next batch out of the calls that wait, and drop the calls whose callers have left."""
        batch: list[LaneCall[Item, Result]] = []
        room = self._limits.batch_items_max
        if len(self._under_way) < _SHARES:
            room = min(max(self._share, self._limits.second_batch_min), room)
        now = self._loop.time()
        while self._waiting and (not batch or self._waiting[0].weight <= room):
            call = self._waiting.popleft()
            self._count(-call.weight)
            if call.done():
                continue
            if call.deadline > now:
                batch.append(call)
                room -= call.weight
            elif call.maybe_applied:
                call.fail(_outcome_unknown(is_safe_to_repeat=call.may_resend))
            else:
                call.fail(DeadlineExceededError("the deadline passed before the call was sent to the store"))
        return batch

    def _note(self, batch: list[LaneCall[Item, Result]]) -> None:
        now = perf_counter()
        self._meter.batches.observe(len(batch))
        for call in batch:
            self._meter.waits.observe(now - call.waiting_since)

    async def _run(self, batch: list[LaneCall[Item, Result]], load: int) -> None:
        try:
            results = await self._send([call.item for call in batch])
        except (StoreUnavailableError, OutcomeUnknownError) as error:
            self._after_loss([(call, error) for call in batch])
        except Exception as error:  # noqa: BLE001  # no caller may wait forever: each makes a status of the error
            for call in batch:
                call.fail(error)
        else:
            self._settle(batch, results)
        finally:
            self._note_reply(load)

    def _settle(self, batch: list[LaneCall[Item, Result]], results: Sequence[Result | Exception]) -> None:
        """Give each call its result. Calls for which the store was lost are kept or fail, as in _after_loss."""
        lost: list[tuple[LaneCall[Item, Result], TallyError]] = []
        for call, result in zip(batch, results, strict=True):
            if not isinstance(result, Exception):
                call.resolve(result)
            elif isinstance(result, (StoreUnavailableError, OutcomeUnknownError)):
                lost.append((call, result))
            else:
                call.fail(result)
        if lost:
            self._after_loss(lost)
        else:
            self._retry_seconds = 0.0

    def _note_reply(self, load: int) -> None:
        """Note that the batch of this task is done, and send the calls that wait."""
        self._replied_at = self._loop.time()
        expected_callers = self._load_under_way + self._load
        limits = self._limits
        if expected_callers >= _SHARES * limits.second_batch_min:
            expected_callers //= _SHARES
        self._share = max(1, min(expected_callers, limits.batch_items_max))
        self._load_under_way -= load
        self._under_way.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        self._send_or_wait()

    def _after_loss(self, lost: Sequence[tuple[LaneCall[Item, Result], TallyError]]) -> None:
        """Keep the calls that may be sent again in time, at the head of the lane, and fail the others."""
        self._retry_seconds = min(max(2 * self._retry_seconds, _RETRY_FIRST_SECONDS), _RETRY_MAX_SECONDS)
        next_try = self._loop.time() + self._retry_seconds
        for unknown in {isinstance(error, OutcomeUnknownError) for _, error in lost}:
            self._meter.losses.add("unknown" if unknown else "unavailable")
        for call, error in reversed(lost):
            call.maybe_applied |= isinstance(error, OutcomeUnknownError)
            if call.may_resend and call.deadline > next_try:
                call.waiting_since = perf_counter()
                self._meter.retries.add()
                self._waiting.appendleft(call)
                self._count(call.weight)
            elif call.maybe_applied:
                call.fail(_outcome_unknown(is_safe_to_repeat=call.may_resend))
            else:
                call.fail(error)


class Lanes(Generic[Item, Result]):
    """Puts each call into the lane that its item belongs to. The calls that wait in all lanes have one limit."""

    def __init__(
        self,
        lane_of: Callable[[Item], Hashable],
        make: Callable[[Hashable, Backlog], Lane[Item, Result]],
        *,
        waiting_items_max: int,
    ) -> None:
        """Take ``lane_of``, which names an item's lane, and ``make``, which makes a lane that shares the backlog."""
        self._lane_of = lane_of
        self._make = make
        self.backlog = Backlog(waiting_items_max)
        """The calls that wait, in all lanes."""
        self._lanes: dict[Hashable, Lane[Item, Result]] = {}

    def submit(
        self, item: Item, *, deadline: float, may_resend: bool, is_begun: bool = False
    ) -> LaneCall[Item, Result]:
        """Take a call into its lane, as Lane.submit does.

        :raises OverloadedError: the backlog of all lanes is full.
        """
        name = self._lane_of(item)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._add(name)
        return lane.submit(item, deadline=deadline, may_resend=may_resend, is_begun=is_begun)

    def _add(self, name: Hashable) -> Lane[Item, Result]:
        if len(self._lanes) >= _LANES_KEPT_MAX:
            self._lanes = {name: lane for name, lane in self._lanes.items() if not lane.is_idle}
        lane = self._lanes[name] = self._make(name, self.backlog)
        return lane


def _outcome_unknown(*, is_safe_to_repeat: bool) -> OutcomeUnknownError:
    remedy = (
        "send it again with the same request id to find out"
        if is_safe_to_repeat
        else "it has no request id, so read the current values before you send it again"
    )
    return OutcomeUnknownError(
        f"the store was lost before it answered: the change may have been made; {remedy}",
        is_safe_to_repeat=is_safe_to_repeat,
    )
