"""A lane: calls that wait at the same time travel together (group commit).

The lane decides who shares a call, when it is sent, and whether it is sent again. What is sent is not its
concern.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from tallykeeper_server.domain.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    OverloadedError,
    StoreUnavailableError,
    TallyError,
)

Item = TypeVar("Item")
Result = TypeVar("Result")

_RETRY_FIRST_SECONDS: Final = 0.05
_RETRY_MAX_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimits:
    """How much a lane takes, in items as it weighs them.

    ``pause_seconds`` is the longest wait for company; 0 never waits.
    """

    batch_items_max: int
    waiting_items_max: int
    pause_seconds: float


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Result]):
    """One call in the lane."""

    item: Item
    future: asyncio.Future[Result]
    weight: int
    deadline: float
    may_resend: bool
    maybe_applied: bool = False

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Lane(Generic[Item, Result]):
    """Sends what waits as one batch, one batch at a time, in the order in which it came.

    An idle lane sends at once. A busy one gathers until the reply has arrived, and then, under load, a
    little longer: until as many calls wait as were lately under way, but no longer than the pause. Callers
    that wait for their replies before they call again are so served together and not in two halves. A
    caller alone never waits.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        limits: LaneLimits,
        weigh: Callable[[Item], int] = lambda _: 1,
    ) -> None:
        """Make a lane for a ``send`` that returns for each item its result, or what to raise to its caller.

        ``weigh`` says for how many an item counts; one that is heavier than a whole batch is sent alone. ``send``
        raises StoreUnavailableError or OutcomeUnknownError when the store is lost. What else it raises is raised to
        every caller of the batch.
        """
        self._send = send
        self._limits = limits
        self._weigh = weigh
        self._load = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._batch: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._company = 1
        self._replied_at = 0.0
        self._retry_seconds = 0.0

    def submit(self, item: Item, *, deadline: float, may_resend: bool) -> asyncio.Future[Result]:
        """Take a call into the lane. ``deadline`` is in the event loop's time.

        The future is done at the latest when the deadline has passed and the send that is then under way has
        ended. A caller that stops waiting withdraws its call if it has not been sent, and else changes
        nothing. If the store is lost, a call that ``may_resend`` is sent again until its deadline.

        :raises OverloadedError: as many calls wait as the lane may hold.
        """
        if self._load >= self._limits.waiting_items_max:
            message = f"{self._load} calls are waiting for the store already; try again later"
            raise OverloadedError(message)
        future: asyncio.Future[Result] = self._loop.create_future()
        weight = self._weigh(item)
        self._waiting.append(_Waiting(item, future, weight, deadline, may_resend))
        self._load += weight
        if self._batch is None:
            self._send_or_pause()
        return future

    def _send_or_pause(self) -> None:
        """Send what waits, or set a timer for it. Nothing is under way."""
        if self._retry_seconds:
            self._send_at(self._replied_at + self._retry_seconds)
            return
        company = min(self._company, self._limits.batch_items_max)
        send_at = self._replied_at + self._limits.pause_seconds
        if len(self._waiting) >= company or self._loop.time() >= send_at:
            self._send_now()
        else:
            self._send_at(send_at)

    def _send_at(self, time: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_at(time, self._send_now)

    def _send_now(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch = self._take()
        if batch:
            self._batch = self._loop.create_task(self._run(batch))

    def _take(self) -> list[_Waiting[Item, Result]]:
        """Take the next batch, without the calls that nobody waits for any more."""
        batch: list[_Waiting[Item, Result]] = []
        room = self._limits.batch_items_max
        now = self._loop.time()
        while self._waiting and (not batch or self._waiting[0].weight <= room):
            call = self._waiting.popleft()
            self._load -= call.weight
            if call.future.done():
                continue
            if call.deadline > now:
                batch.append(call)
                room -= call.weight
            elif call.maybe_applied:
                call.fail(_outcome_unknown())
            else:
                call.fail(DeadlineExceededError("the deadline passed before the call was sent to the store"))
        return batch

    async def _run(self, batch: list[_Waiting[Item, Result]]) -> None:
        try:
            results = await self._send([call.item for call in batch])
        except (StoreUnavailableError, OutcomeUnknownError) as error:
            self._after_loss(batch, error)
        except Exception as error:  # noqa: BLE001  # nobody may wait forever: each caller makes a status of it
            for call in batch:
                call.fail(error)
        else:
            self._retry_seconds = 0.0
            for call, result in zip(batch, results, strict=True):
                if isinstance(result, Exception):
                    call.fail(result)
                elif not call.future.done():
                    call.future.set_result(result)
        finally:
            self._batch = None
            self._replied_at = self._loop.time()
            self._company = len(batch) + len(self._waiting)
            if self._waiting:
                self._send_or_pause()

    def _after_loss(self, batch: list[_Waiting[Item, Result]], error: TallyError) -> None:
        """Keep the calls that may be sent again in time, at the head of the lane, and fail the others."""
        self._retry_seconds = min(max(2 * self._retry_seconds, _RETRY_FIRST_SECONDS), _RETRY_MAX_SECONDS)
        next_try = self._loop.time() + self._retry_seconds
        for call in reversed(batch):
            call.maybe_applied |= isinstance(error, OutcomeUnknownError)
            if call.may_resend and call.deadline > next_try:
                self._waiting.appendleft(call)
                self._load += call.weight
            elif call.maybe_applied:
                call.fail(_outcome_unknown())
            else:
                call.fail(error)


def _outcome_unknown() -> OutcomeUnknownError:
    return OutcomeUnknownError(
        "the store was lost before it answered: the change may have been made; "
        "send it again with the same request id to find out"
    )
