"""Lanes that note the batch of each call for its span. Everything else is as in the engine's lane."""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from typing import Any, ClassVar, TypeVar, cast

from tallykeeper_server.engine.lane import Backlog, Lane, LaneLimits
from tallykeeper_server.engine.lane_call import LaneCall
from tallykeeper_server.metrics.meters import LaneMeter
from tallykeeper_server.tracing.records import SpanIds
from tallykeeper_server.tracing.tracer import CURRENT_SPAN, CURRENT_STEP, Step, Tracer

Item = TypeVar("Item")
Result = TypeVar("Result")


class TracedLaneCall(LaneCall[Item, Result]):
    """A call in a lane that may belong to a span. Neither attribute exists until it is set."""

    __slots__ = ("ids", "step")

    ids: SpanIds
    """The ids of the span."""
    step: Step
    """The batch in which the call was sent last."""

    def __await__(self) -> Generator[Any, None, Result]:
        span = CURRENT_SPAN.get()
        if span is None or not span.is_open:
            return (yield from super().__await__())
        self.ids = span.ids
        try:
            return (yield from super().__await__())
        finally:
            with suppress(AttributeError):  # it was not sent
                span.add(self.step.sent_at - self.waiting_since, self.step)


class TracedLane(Lane[Item, Result]):
    """A lane whose calls may belong to spans."""

    call_class: ClassVar[type[LaneCall[Any, Any]]] = TracedLaneCall

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        limits: LaneLimits,
        weigh: Callable[[Item], int] = lambda _: 1,
        *,
        tracer: Tracer,
        meter: LaneMeter | None = None,
        backlog: Backlog | None = None,
    ) -> None:
        """Take the arguments of Lane, and the tracer that takes the spans of the store."""
        super().__init__(send, limits, weigh, meter=meter, backlog=backlog)
        self._tracer = tracer

    async def _run(self, batch: list[LaneCall[Item, Result]], load: int) -> None:
        step = Step(self._tracer, len(batch))
        add = step.ids.append
        # A coroutine that awaits several calls at once has set the ids of all calls before this task begins.
        for call in cast("list[TracedLaneCall[Item, Result]]", batch):
            try:
                add(call.ids)
            except AttributeError:
                continue  # the call has no span
            call.step = step
        CURRENT_STEP.set(step if step.ids else None)
        await super()._run(batch, load)
        self._tracer.flush_if_full()
