"""Turns records into OTLP: the messages of opentelemetry-proto, with the semantic conventions for RPC and databases.

The SDK's own spans and its exporter would take three times as long (decision 22). The parts that many spans share are
made once: a span then copies them, and gets its ids, times and numbers.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final, cast

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from tallykeeper_server.tracing.records import CALL, CallRecord, Record, SpanIds, StoreRecord

SCOPE: Final = "tallykeeper_server"
_OK: Final = "OK"
_ERRORS: Final = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""The codes that are errors of a server by the conventions. With the others, the caller has made the mistake."""
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_FLAGS: Final = 1 | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE_FLAGS: Final = _FLAGS | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_KINDS_KEPT_MAX: Final = 4_096
"""The number of combinations of method, namespace and outcome whose common part is kept."""
_NS: Final = 1_000_000_000
_MS: Final = 1_000


class Encoder:
    """Makes export requests of the spans of one worker."""

    def __init__(self, *, service_instance: str, store: Mapping[str, str | int]) -> None:
        """Take the name of this run of the worker, and the attributes of its store."""
        self._resource = resource_pb2.Resource(attributes=_attributes(_resource_attributes(service_instance)))
        self._version = version("tallykeeper")
        self._store = store
        self._call_part = lru_cache(_KINDS_KEPT_MAX)(_call_part)
        self._store_part = lru_cache(_KINDS_KEPT_MAX)(self._new_store_part)

    def request(self, chunks: Iterable[tuple[int, Iterable[Record]]]) -> ExportTraceServiceRequest:
        """Return the request for some chunks: the calendar's time at the zero of their times, and their records."""
        request = ExportTraceServiceRequest()
        of_resource = request.resource_spans.add()
        of_resource.resource.CopyFrom(self._resource)
        of_scope = of_resource.scope_spans.add()
        of_scope.scope.name = SCOPE
        of_scope.scope.version = self._version
        add = of_scope.spans.add
        for behind_ns, records in chunks:
            for record in records:
                if record[0] == CALL:
                    self._fill_call(add(), cast("CallRecord", record), behind_ns)
                else:
                    self._fill_store_call(add(), cast("StoreRecord", record), behind_ns)
        return request

    def _fill_call(self, span: Span, record: CallRecord, behind_ns: int) -> None:
        _, ids, system, method, namespace, began_at, ended_at, lane, code, reason, message, replayed, responses = record
        wait_seconds, calls, store_spans = lane
        span.MergeFromString(self._call_part((system, method, namespace, code, reason, replayed)))
        _fill(span, ids, behind_ns, began_at, ended_at, flags=_REMOTE_FLAGS)
        if calls:
            shared = span.attributes.add()
            shared.key = "tallykeeper.batch.calls"
            shared.value.int_value = calls
            wait = span.attributes.add()
            wait.key = "tallykeeper.lane.wait_ms"
            wait.value.double_value = round(wait_seconds * _MS, 3)
        if responses >= 0:
            span.attributes.append(_attribute("tallykeeper.responses", responses))
        if code in _ERRORS and message:
            span.status.message = message
        for linked in store_spans:
            _link(span, linked)

    def _fill_store_call(self, span: Span, record: StoreRecord, behind_ns: int) -> None:
        _, ids, operation, began_at, ended_at, calls, mutations, links, reason = record
        span.MergeFromString(self._store_part(operation, reason))
        _fill(span, ids, behind_ns, began_at, ended_at, flags=_FLAGS)
        span.attributes.append(_attribute("tallykeeper.batch.calls", calls))
        if mutations:
            span.attributes.append(_attribute("tallykeeper.batch.mutations", mutations))
        for linked in links:
            _link(span, linked)

    def _new_store_part(self, operation: str, reason: str) -> bytes:
        """Return the common part of the spans of calls to the store."""
        script = operation == "EVALSHA"
        attributes: dict[str, object] = {
            "db.system.name": "redis",
            "db.operation.name": operation,
            "db.query.summary": f"{operation} tallykeeper" if script else operation,
            **({"db.stored_procedure.name": "tallykeeper"} if script else {}),
            **self._store,
            **({"error.type": reason} if reason else {}),
        }
        status = Status(code=Status.STATUS_CODE_ERROR) if reason else None
        name = str(attributes["db.query.summary"])
        span = Span(name=name, kind=Span.SPAN_KIND_CLIENT, attributes=_attributes(attributes), status=status)
        return span.SerializeToString()


def _call_part(kind: tuple[str, str, str, str, str, bool]) -> bytes:
    """Return the part of a span that calls share: of one system, method, namespace, code and reason, repeats or not."""
    system, method, namespace, code, reason, replayed = kind
    failed = code in _ERRORS
    attributes: dict[str, object] = {
        "rpc.system.name": system,
        "rpc.method": method,
        "rpc.response.status_code": code,
        **({"error.type": reason or code} if failed else {}),
        **({"tallykeeper.namespace": namespace} if namespace else {}),
        **({"tallykeeper.reason": reason} if reason else {}),
        **({"tallykeeper.replayed": True} if replayed else {}),
    }
    status = Status(code=Status.STATUS_CODE_ERROR) if failed else None
    span = Span(name=method, kind=Span.SPAN_KIND_SERVER, attributes=_attributes(attributes), status=status)
    return span.SerializeToString()


def _fill(span: Span, ids: SpanIds, behind_ns: int, began_at: float, ended_at: float, *, flags: int) -> None:
    trace_id, span_id, parent_id, state = ids
    span.trace_id = trace_id.to_bytes(_TRACE_BYTES)
    span.span_id = span_id.to_bytes(_SPAN_BYTES)
    if parent_id:
        span.parent_span_id = parent_id.to_bytes(_SPAN_BYTES)
        span.flags = flags
    else:
        span.flags = _FLAGS
    if state:
        span.trace_state = state
    span.start_time_unix_nano = behind_ns + int(began_at * _NS)
    span.end_time_unix_nano = behind_ns + int(ended_at * _NS)


def _link(span: Span, ids: SpanIds) -> None:
    link = span.links.add()
    link.trace_id = ids[0].to_bytes(_TRACE_BYTES)
    link.span_id = ids[1].to_bytes(_SPAN_BYTES)
    link.flags = _FLAGS


def _resource_attributes(service_instance: str) -> dict[str, object]:
    """Return the attributes of the resource. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence."""
    defaults = {
        "service.name": "tallykeeper",
        "service.version": version("tallykeeper"),
        "service.instance.id": service_instance,
    }
    return dict(Resource.create({**defaults, **OTELResourceDetector().detect().attributes}).attributes)


def _attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    return [_attribute(key, value) for key, value in values.items()]


def _attribute(key: str, value: object) -> KeyValue:
    return KeyValue(key=key, value=_any_value(value))


def _any_value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, (list, tuple)):
        return AnyValue(array_value=ArrayValue(values=[_any_value(each) for each in value]))
    return AnyValue(string_value=str(value))
