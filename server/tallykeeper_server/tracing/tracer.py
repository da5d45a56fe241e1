"""Begins spans: chooses their ids, by the caller's trace context, and decides which calls get one."""

import random
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from typing import Final

from tallykeeper_server.tracing.recorder import Recorder
from tallykeeper_server.tracing.records import STORE, Record, SpanIds
from tallykeeper_server.tracing.sampler import LOW_BITS, Sampler
from tallykeeper_server.tracing.trace_context import TRACEPARENT, Headers, parent_of

_STORE_SPANS_MAX: Final = 128
"""The maximum number of links of a span. It is the limit of OpenTelemetry's SDK."""


class Tracer:
    """Begins the spans of one worker, and takes them when they end."""

    def __init__(self, sampler: Sampler, recorder: Recorder) -> None:
        """Take the recorder, which takes each span that has ended."""
        self._sampler = sampler
        self._bound = sampler.bound
        self.record: Callable[[Record], None] = recorder.add
        self.flush_if_full = recorder.flush_if_full
        # The ids must differ. Guessing an id gives no access to anything.
        self.new_id = random.Random().getrandbits  # noqa: S311  # no secret

    def begin(self, headers: Headers) -> SpanIds | None:
        """Return the ids of a call's span; None if the call gets no span."""
        if headers.first(TRACEPARENT) is None or (parent := parent_of(headers)) is None:
            trace_id = self.new_id(128)
            return (trace_id, self.new_id(64), 0, "") if trace_id & LOW_BITS < self._bound else None
        if not self._sampler.samples(parent.trace_id, parent.is_sampled):
            return None
        return (parent.trace_id, self.new_id(64), parent.span_id, parent.state)


class CallSpan:
    """The span of a call that runs in a task, and so may use the store several times."""

    __slots__ = ("calls", "ids", "is_open", "namespace", "responses", "store_spans", "wait_seconds")

    def __init__(self, ids: SpanIds) -> None:
        self.ids = ids
        self.is_open = True
        self.namespace = ""
        self.responses = -1
        self.wait_seconds = 0.0
        """The seconds for which the call waited in lanes, of all its uses of the store."""
        self.calls = 0
        """The calls in its largest batch."""
        self.store_spans: list[SpanIds] = []

    def add(self, wait_seconds: float, step: "Step") -> None:
        """Add one use of the store."""
        self.wait_seconds += wait_seconds
        self.calls = max(self.calls, step.calls)
        if len(self.store_spans) < _STORE_SPANS_MAX:
            self.store_spans += step.shared_spans


class Step:
    """A batch of a lane while it is under way. It makes the spans of the calls to the store for this batch.

    If one traced call is in the batch, the span of the store is its child, and its trace shows both. If several share
    the batch, the span belongs to none of their traces: it begins its own trace, and links lead both ways.
    """

    __slots__ = ("_tracer", "calls", "ids", "mutations", "sent_at", "shared_spans")

    def __init__(self, tracer: Tracer, calls: int) -> None:
        """Take the number of calls in the batch."""
        self._tracer = tracer
        self.ids: list[SpanIds] = []
        """The ids of the traced calls in the batch."""
        self.calls = calls
        self.mutations = 0
        self.sent_at = perf_counter()
        self.shared_spans: list[SpanIds] = []

    def end_store_call(self, operation: str, began_at: float, reason: str) -> None:
        """Record a call to the store that ends now. ``reason`` is that of its error; empty if it succeeded."""
        ids, links = self._new_ids()
        record = (STORE, ids, operation, began_at, perf_counter(), self.calls, self.mutations, links, reason)
        self._tracer.record(record)

    def _new_ids(self) -> tuple[SpanIds, list[SpanIds]]:
        new_id = self._tracer.new_id
        if len(self.ids) == 1:
            ((trace_id, parent_id, _, state),) = self.ids
            return (trace_id, new_id(64), parent_id, state), []
        ids = (new_id(128), new_id(64), 0, "")
        self.shared_spans.append(ids)
        return ids, self.ids


CURRENT_SPAN: ContextVar[CallSpan | None] = ContextVar("tallykeeper_span", default=None)
"""The span of the call that this task serves."""
CURRENT_STEP: ContextVar[Step | None] = ContextVar("tallykeeper_step", default=None)
"""The batch that this task carries out; None if no call in it is traced."""
