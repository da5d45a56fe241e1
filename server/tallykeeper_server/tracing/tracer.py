"""Begins spans: chooses their ids, by the caller's trace context, and decides which calls get one."""

import random
import struct
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from itertools import chain, repeat
from time import perf_counter
from typing import Final

from tallykeeper_server.tracing.recorder import Recorder
from tallykeeper_server.tracing.records import SPAN_BYTES, TRACE_BYTES, CallRecord, Shared, SpanIds, StoreRecord
from tallykeeper_server.tracing.sampler import LOW_BITS, Sampler
from tallykeeper_server.tracing.trace_context import TRACEPARENT, Headers, parent_of

_STORE_SPANS_MAX: Final = 128
"""The maximum number of links of a span. It is the limit of OpenTelemetry's SDK."""
_IDS_AT_ONCE: Final = 256


class Tracer:
    """Begins the spans of one worker, and takes them when they end."""

    def __init__(self, sampler: Sampler, recorder: Recorder) -> None:
        """Take the recorder, which takes each span that has ended."""
        self._sampler = sampler
        self._samples_all = sampler.bound > LOW_BITS
        self.record_call: Callable[[CallRecord], None] = recorder.add_call
        self.record_store_call: Callable[[StoreRecord], None] = recorder.add_store_call
        self.flush_if_full = recorder.flush_if_full
        self.new_ids: Callable[[], bytes] = _random_bytes(TRACE_BYTES + SPAN_BYTES).__next__
        """Returns a new trace id with a new span id."""

    def begin(self, headers: Headers) -> SpanIds | None:
        """Return the ids of a call's span; None if the call gets no span."""
        new = self.new_ids()
        if headers.first(TRACEPARENT) is None or (parent := parent_of(headers)) is None:
            return (new, b"", "") if self._samples_all or self._sampler.samples(_trace_id(new), None) else None
        if not self._sampler.samples(_trace_id(parent.trace_id), parent.is_sampled):
            return None
        return (parent.trace_id + new[TRACE_BYTES:], parent.span_id, parent.state)


def _trace_id(ids: bytes) -> int:
    return int.from_bytes(ids[:TRACE_BYTES])


def _random_bytes(length: int) -> Iterator[bytes]:
    """Yield random bytes of a length for ever. They come from a large block, which takes a third of the time for each.

    The ids must differ. Guessing an id gives no access to anything.
    """
    blocks = map(random.Random().randbytes, repeat(_IDS_AT_ONCE * length))  # noqa: S311  # no secret
    parts = map(struct.Struct(f"{length}s").iter_unpack, blocks)
    return chain.from_iterable(chain.from_iterable(parts))


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
        calls, shared_spans = step.batch
        self.wait_seconds += wait_seconds
        self.calls = max(self.calls, calls)
        if len(self.store_spans) < _STORE_SPANS_MAX:
            self.store_spans += shared_spans


class Step:
    """A batch of a lane while it is under way. It makes the spans of the calls to the store for this batch.

    If one traced call is in the batch, the span of the store is its child, and its trace shows both. If several share
    the batch, the span belongs to none of their traces: it begins its own trace, and links lead both ways.
    """

    __slots__ = ("_tracer", "batch", "ids", "mutations", "sent_at")

    def __init__(self, tracer: Tracer, calls: int) -> None:
        """Take the number of calls in the batch."""
        self._tracer = tracer
        self.ids: list[SpanIds] = []
        """The ids of the traced calls in the batch."""
        self.batch: Shared = (calls, [])
        """The `Batch` of all calls in it."""
        self.mutations = 0
        self.sent_at = perf_counter()

    def end_store_call(self, operation: str, began_at: float, reason: str) -> None:
        """Record a call to the store that ends now. ``reason`` is that of its error; empty if it succeeded."""
        ids, links = self._new_ids()
        record = (ids, operation, began_at, perf_counter(), self.batch[0], self.mutations, links, reason)
        self._tracer.record_store_call(record)

    def _new_ids(self) -> tuple[SpanIds, list[SpanIds]]:
        new = self._tracer.new_ids()
        if len(self.ids) == 1:
            ((parent, _, state),) = self.ids
            return (parent[:TRACE_BYTES] + new[TRACE_BYTES:], parent[TRACE_BYTES:], state), []
        ids = (new, b"", "")
        _, shared_spans = self.batch
        shared_spans.append(ids)
        return ids, self.ids


CURRENT_SPAN: ContextVar[CallSpan | None] = ContextVar("tallykeeper_span", default=None)
"""The span of the call that this task serves."""
CURRENT_STEP: ContextVar[Step | None] = ContextVar("tallykeeper_step", default=None)
"""The batch that this task carries out; None if no call in it is traced."""
