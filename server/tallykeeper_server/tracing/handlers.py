"""Handlers of methods that record a span for each call. Otherwise they do what those of `dispatch` do."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, Final, TypeAlias, cast

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper_server.domain.limits import DEFAULT_NAMESPACE, LABEL_CHARACTERS_MAX
from tallykeeper_server.engine.pending_result import Pending
from tallykeeper_server.metrics.meters import CallMeter, ExemplarCallMeter
from tallykeeper_server.rpc.admission import Admission, Call
from tallykeeper_server.rpc.calls.failures import ABANDONED, code_of_abandoned, failure_of
from tallykeeper_server.rpc.dispatch import Answer, Handlers, Unary
from tallykeeper_server.rpc.permissions import is_mutation
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.tracing.records import NO_STREAM, Batch, CallKind, Shared, SpanIds
from tallykeeper_server.tracing.streams import traced_streaming
from tallykeeper_server.tracing.tracer import CURRENT_SPAN, CallSpan, Tracer
from tallykeeper_server.transport.call import Call as TransportCall
from tallykeeper_server.transport.methods import DirectHandler, ResponseStreamHandler

_OK: Final = "OK"
_NOT_SENT: Final[Batch] = (0, [])
_KINDS_KEPT_MAX: Final = 1_024
"""The combinations of system, namespace and repeat, for each method, whose kind is one tuple for all calls."""
_Begun: TypeAlias = tuple[TransportCall, SpanIds, str, float]
"""The beginning of a call with a span: the call, the ids of its span, its namespace, and the time."""


class TracedHandlers(Handlers):
    """Makes handlers that record spans."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def unary(
        self,
        method: MethodDescriptor,
        admission: Admission,
        call: Callable[[Any, Call], Answer],
        meter: CallMeter,
        *,
        default_deadline_seconds: float,
    ) -> DirectHandler:
        """Return the handler of a method with one response."""
        seconds = default_deadline_seconds
        traced = TracedUnary(method, admission, call, meter, default_deadline_seconds=seconds, tracer=self._tracer)
        return cast("DirectHandler", traced.handle)

    def stream(
        self,
        method: MethodDescriptor,
        admission: Admission,
        call: Callable[[Any, Call], AsyncGenerator[Message, None]],
        meter: CallMeter,
    ) -> ResponseStreamHandler:
        """Return the handler of a method with several responses."""
        return traced_streaming(method, admission, call, meter, self._tracer)


class TracedUnary(Unary):
    """A method with one request and one response, each call of which may have a span.

    It repeats the steps of Unary in place of wrapping them, because a wrapper of the call would cost another 1 µs.
    """

    __slots__ = ("_begin", "_exemplars", "_in_namespace", "_is_mutation", "_kind_of", "_path", "_record")

    def __init__(
        self,
        method: MethodDescriptor,
        admission: Admission,
        call: Callable[[Any, Call], Answer],
        meter: CallMeter,
        *,
        default_deadline_seconds: float,
        tracer: Tracer,
    ) -> None:
        super().__init__(method, admission, call, meter, default_deadline_seconds=default_deadline_seconds)
        self._begin = tracer.begin
        self._record = tracer.record_call
        self._path = f"{method.containing_service.full_name}/{method.name}"
        self._kind_of: Callable[[str, str, bool], Shared] = lru_cache(_KINDS_KEPT_MAX)(self._new_kind)
        self._in_namespace = "namespace" in method.input_type.fields_by_name
        self._is_mutation = is_mutation(method)
        self._exemplars = cast("ExemplarCallMeter", meter)

    def handle(self, raw: bytes, context: Any) -> None:  # noqa: ANN401  # a Call of the transport
        """Begin a call, with a span if the sampler chooses it."""
        ids = self._begin(context)
        if ids is None:
            super().handle(raw, context)
            return
        began_at = perf_counter()
        deadline = context.deadline
        if deadline == math.inf:
            deadline = self._loop.time() + self._default_seconds
        namespace = ""
        try:
            request, caller = self._enter(raw, context)
            if self._in_namespace:
                namespace = request.namespace[:LABEL_CHARACTERS_MAX] or DEFAULT_NAMESPACE
            pending = self._call(request, Call(deadline, caller))
        except Exception as error:  # noqa: BLE001  # every defect becomes a status, and its trace is logged
            self._end_by_error(error, (context, ids, namespace, began_at), 0.0, _NOT_SENT)
            return
        begun = (context, ids, namespace, began_at)
        if isinstance(pending, Pending):
            lane_call = pending.call
            lane_call.ids = ids  # type: ignore[attr-defined]  # the lanes make TracedLaneCalls
            context.cancel_if_abandoned(lane_call)
            lane_call.when_done(partial(self._finish_pending, pending, begun))
            return
        span = CallSpan(ids)
        token = CURRENT_SPAN.set(span)
        task = self._loop.create_task(pending)  # it has a copy of the context variables of this moment
        CURRENT_SPAN.reset(token)
        context.cancel_if_abandoned(task)
        task.add_done_callback(partial(self._finish_task, task, begun, span))

    def _new_kind(self, system: str, namespace: str, replayed: bool) -> CallKind:  # noqa: FBT001  # a value of the record
        """Return the kind of the calls that succeed."""
        return (system, self._path, namespace, _OK, "", replayed)

    def _finish_pending(self, pending: Pending[Message], begun: _Begun, lane_call: Any) -> None:  # noqa: ANN401  # a TracedLaneCall of any item
        try:
            step = lane_call.step
        except AttributeError:
            self._end(pending, begun, 0.0, _NOT_SENT)
        else:
            self._end(pending, begun, step.sent_at - lane_call.waiting_since, step.batch)

    def _finish_task(self, task: asyncio.Task[Message], begun: _Begun, span: CallSpan, _: object) -> None:
        span.is_open = False
        self._end(task, begun, span.wait_seconds, (span.calls, span.store_spans))

    def _end(self, work: Any, begun: _Begun, wait_seconds: float, batch: Shared) -> None:  # noqa: ANN401  # Pending or task
        """Send the response or the error of a call whose work has ended, and record its span."""
        context, ids, namespace, began_at = begun
        try:
            response = work.result()
            message = self._serialize(response)
        except asyncio.CancelledError:
            code = code_of_abandoned(context, self._loop.time())
            self._exemplars.failed_in(ids[0], began_at, perf_counter(), code)
            context.fail(ABANDONED)
            kind: Shared = (context.system, self._path, namespace, code, "", False)
            self._record((kind, ids, began_at, perf_counter(), wait_seconds, batch, NO_STREAM, ""))
        except Exception as error:  # noqa: BLE001  # every defect becomes a status
            self._end_by_error(error, begun, wait_seconds, batch)
        else:
            ended_at = perf_counter()
            self._exemplars.succeeded_in(ids[0], began_at, ended_at)
            context.reply(message)
            kind = self._kind_of(context.system, namespace, self._is_mutation and response.replayed)
            self._record((kind, ids, began_at, ended_at, wait_seconds, batch, NO_STREAM, ""))

    def _end_by_error(self, error: Exception, begun: _Begun, wait_seconds: float, batch: Shared) -> None:
        context, ids, namespace, began_at = begun
        failure = failure_of(self._method, error)
        status = status_of(failure)
        code, reason = status.code.name, failure.reason
        ended_at = perf_counter()
        self._exemplars.failed_in(ids[0], began_at, ended_at, code, reason)
        context.fail(status)
        kind = (context.system, self._path, namespace, code, reason, False)
        self._record((kind, ids, began_at, ended_at, wait_seconds, batch, NO_STREAM, failure.message))
