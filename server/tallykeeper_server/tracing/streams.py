"""Handlers of methods that stream responses, with one span for each stream."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import perf_counter
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper_server.domain.limits import DEFAULT_NAMESPACE, LABEL_CHARACTERS_MAX
from tallykeeper_server.metrics.meters import CallMeter
from tallykeeper_server.rpc.admission import Admission, Call
from tallykeeper_server.rpc.calls.streams import streaming
from tallykeeper_server.tracing.tracer import CURRENT_SPAN, CallSpan, Tracer
from tallykeeper_server.transport.call import Call as TransportCall
from tallykeeper_server.transport.methods import ResponseStreamHandler

_OK: Final = "OK"


class _StreamMeter:
    """The meter of one stream: it records the span of the stream when the stream ends."""

    def __init__(self, meter: CallMeter, span: CallSpan, tracer: Tracer, context: TransportCall, path: str) -> None:
        self._meter = meter
        self._span = span
        self._tracer = tracer
        self._context = context
        self._path = path

    def succeeded(self, began_at: float) -> None:
        """Record the end of a stream without an error."""
        self._meter.succeeded(began_at)
        self._end(began_at, _OK, "")

    def failed(self, began_at: float, code: str, reason: str = "") -> None:
        """Record the end of a stream that failed."""
        self._meter.failed(began_at, code, reason)
        self._end(began_at, code, reason)

    def _end(self, began_at: float, code: str, reason: str) -> None:
        span, context = self._span, self._context
        span.is_open = False
        kind = (context.system, self._path, span.namespace, code, reason, False)
        batch = (span.calls, span.store_spans)
        self._tracer.record_call(
            (kind, span.ids, began_at, perf_counter(), span.wait_seconds, batch, span.responses, "")
        )


def traced_streaming(
    method: MethodDescriptor,
    admission: Admission,
    call: Callable[[Any, Call], AsyncGenerator[Message, None]],
    meter: CallMeter,
    tracer: Tracer,
) -> ResponseStreamHandler:
    """Return the handler of a method that streams responses. It records a span of each stream that is sampled."""
    plain = streaming(method, admission, call, meter)
    path = f"{method.containing_service.full_name}/{method.name}"

    async def stream(raw: bytes, context: TransportCall) -> AsyncGenerator[bytes, None]:
        ids = tracer.begin(context)
        if ids is None:
            handler = plain
            span = None
        else:
            span = CallSpan(ids)
            span.responses = 0
            CURRENT_SPAN.set(span)  # the stream has its own task
            handler = streaming(
                method, admission, _noting(call, span), _StreamMeter(meter, span, tracer, context, path)
            )
        async with aclosing(handler(raw, context)) as responses:
            async for response in responses:
                if span is not None:
                    span.responses += 1
                yield response

    return stream


def _noting(
    call: Callable[[Any, Call], AsyncGenerator[Message, None]], span: CallSpan
) -> Callable[[Any, Call], AsyncGenerator[Message, None]]:
    """Return a method that notes the namespace of its request in a span."""

    def noted(request: Any, about: Call) -> AsyncGenerator[Message, None]:  # noqa: ANN401  # any request
        span.namespace = request.namespace[:LABEL_CHARACTERS_MAX] or DEFAULT_NAMESPACE
        return call(request, about)

    return noted
