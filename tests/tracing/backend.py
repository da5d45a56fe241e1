"""A small backend for traces: it takes spans by OTLP over gRPC, and can refuse or delay them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.server import PATIENCE_SECONDS, wait_until

SERVER = trace_pb2.Span.SPAN_KIND_SERVER
CLIENT = trace_pb2.Span.SPAN_KIND_CLIENT
ERROR = trace_pb2.Status.STATUS_CODE_ERROR
UNSET = trace_pb2.Status.STATUS_CODE_UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A span that has arrived. Ids are hexadecimal; ``parent_id`` is empty for a root."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    start_ns: int
    end_ns: int
    status: int
    message: str
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    resource: dict[str, Any]
    scope: str

    @property
    def context(self) -> tuple[str, str]:
        """The trace id and the span id, as in a link."""
        return self.trace_id, self.span_id


class Backend(TraceServiceServicer):
    """The receiver. ``target`` is its address."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        """Without credentials, it takes spans in plaintext."""
        self._lock = threading.Lock()
        self._spans: list[Received] = []
        self.metadata: list[dict[str, str]] = []
        self.refuses: grpc.StatusCode | None = None
        self.refusals: list[tuple[grpc.StatusCode, bytes]] = []
        """The codes and the details with which the next exports are refused, one after another."""
        self.rejected_spans = 0
        self.released = threading.Event()
        """Exports wait for this event."""
        self.released.set()
        self._server = grpc.server(ThreadPoolExecutor(8))
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]  # generated without types
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self.target = f"127.0.0.1:{port}"

    def Export(self, request: ExportTraceServiceRequest, context: grpc.ServicerContext) -> ExportTraceServiceResponse:  # noqa: N802  # OTLP's
        """Take spans."""
        self.released.wait(PATIENCE_SECONDS)
        self.metadata.append({str(name): str(value) for name, value in context.invocation_metadata()})
        if self.refuses is not None:
            context.abort(self.refuses, "the backend refuses, as the test asks")
        if self.refusals:
            code, details = self.refusals.pop(0)
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(code, "the backend refuses once, as the test asks")
        received = list(_spans_of(request))
        with self._lock:
            self._spans += received
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = self.rejected_spans
        return response

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.stop(None).wait(PATIENCE_SECONDS)

    @property
    def spans(self) -> list[Received]:
        """All spans that have arrived."""
        with self._lock:
            return list(self._spans)

    def wait_for(
        self, condition: Callable[[Received], bool], *, count: int = 1, what: str = "a span"
    ) -> list[Received]:
        """Return the spans for which a condition holds, as soon as there are ``count``."""
        found: list[Received] = []

        def enough() -> bool:
            found[:] = filter(condition, self.spans)
            return len(found) >= count

        wait_until(enough, what=f"{count} times {what} arrives")
        return found

    def call_of(self, trace_id: str) -> Received:
        """Return the span of the only call in a trace."""
        (span,) = self.wait_for(lambda each: each.trace_id == trace_id and each.kind == SERVER)
        return span

    def store_span_of(self, call: Received) -> Received:
        """Return the span of the call to the store that is the child of a call."""
        (span,) = self.wait_for(lambda each: each.parent_id == call.span_id and each.kind == CLIENT)
        return span


@contextmanager
def held(backend: Backend) -> Iterator[None]:
    """Let exports wait within this context."""
    backend.released.clear()
    try:
        yield
    finally:
        backend.released.set()


def _spans_of(request: ExportTraceServiceRequest) -> Iterator[Received]:
    for of_resource in request.resource_spans:
        resource = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _received(span, resource, of_scope.scope.name)


def _received(span: trace_pb2.Span, resource: dict[str, Any], scope: str) -> Received:
    return Received(
        name=span.name,
        kind=span.kind,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        state=span.trace_state,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=span.status.code,
        message=span.status.message,
        attributes=_values(span.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        resource=resource,
        scope=scope,
    )


def _values(attributes: Any) -> dict[str, Any]:  # noqa: ANN401  # protobuf's list
    pairs: list[KeyValue] = list(attributes)
    assert len({pair.key for pair in pairs}) == len(pairs), "an attribute stands twice"
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    assert kind is not None
    return getattr(value, kind)
