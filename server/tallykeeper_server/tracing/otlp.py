"""Turns records into OTLP: the messages of opentelemetry-proto, with the semantic conventions for RPC and databases.

A request is written as bytes. The bytes of two messages, one after the other, are the bytes of the merged message
(https://protobuf.dev/programming-guides/encoding/#last-one-wins), so that a span is its parts in a row. protobuf makes
the parts that many spans share, once. This module packs what each span has for itself: ids, times and links. Spans
that protobuf makes as a whole take three times as long, and those of the SDK many times (decision 22).
"""

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final, cast

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, SpanFlags, Status
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from tallykeeper_server.tracing.records import CALL, CallRecord, Record, SpanIds, StoreRecord

SCOPE: Final = "tallykeeper_server"
_ERRORS: Final = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""The codes that are errors of a server by the conventions. With the others, the caller has made the mistake."""
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_FLAGS: Final = 1 | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE_FLAGS: Final = _FLAGS | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_PARTS_KEPT_MAX: Final = 4_096
"""The number of combinations of method, namespace and outcome, for example, whose common part is kept."""
_BATCHES_KEPT_MAX: Final = 64
_NS: Final = 1_000_000_000
_US: Final = 1_000_000
_US_OF_MS: Final = 1_000
_PARENT_ID: Final = 2
"""The place of the parent's id in the ids of a span."""


class Encoder:
    """Makes export requests of the spans of one worker."""

    def __init__(self, *, service_instance: str, store: Mapping[str, str | int]) -> None:
        """Take the name of this run of the worker, and the attributes of its store."""
        self._resource = ResourceSpans(
            resource=resource_pb2.Resource(attributes=_attributes(_resource_attributes(service_instance)))
        ).SerializeToString()
        self._scope = ScopeSpans(
            scope=common_pb2.InstrumentationScope(name=SCOPE, version=version("tallykeeper"))
        ).SerializeToString()
        self._store = store
        self._store_part = lru_cache(_PARTS_KEPT_MAX)(self._new_store_part)

    def request(self, chunks: Iterable[tuple[int, Iterable[Record]]]) -> bytes:
        """Return the ExportTraceServiceRequest for some chunks, as bytes.

        A chunk is the calendar's time at the zero of its times, in nanoseconds, and its records.
        """
        spans: list[bytes] = []
        for behind_ns, records in chunks:
            for record in records:
                if record[0] == CALL:
                    span = _call(cast("CallRecord", record), behind_ns)
                else:
                    span = self._store_call(cast("StoreRecord", record), behind_ns)
                spans += (_SPANS, _varint(len(span)), span)
        spans_bytes = sum(map(len, spans))
        head = self._resource + _SCOPE_SPANS + _varint(len(self._scope) + spans_bytes) + self._scope
        return b"".join([_RESOURCE_SPANS, _varint(len(head) + spans_bytes), head, *spans])

    def _store_call(self, record: StoreRecord, behind_ns: int) -> bytes:
        _, ids, operation, began_at, ended_at, calls, mutations, links, reason = record
        parts = [
            self._store_part(operation, reason),
            _own(ids, began_at, ended_at, behind_ns),
            _number("tallykeeper.batch.calls", calls),
        ]
        if ids[_PARENT_ID]:
            parts.append(_parent(ids, _LOCAL))
        if mutations:
            parts.append(_number("tallykeeper.batch.mutations", mutations))
        parts += map(_link, links)
        return b"".join(parts)

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


def _call(record: CallRecord, behind_ns: int) -> bytes:
    """Return the span of a call."""
    _, ids, system, method, namespace, began_at, ended_at, lane, code, reason, message, replayed, responses = record
    wait_seconds, calls, store_spans = lane
    parts = [
        _call_part((system, method, namespace, code, reason, replayed)),
        _own(ids, began_at, ended_at, behind_ns),
    ]
    if ids[_PARENT_ID]:
        parts.append(_parent(ids, _REMOTE))
    if calls:
        wait_ms = int(wait_seconds * _US) / _US_OF_MS
        parts += (_number("tallykeeper.batch.calls", calls), _WAIT.pack(_WAIT_HEAD, wait_ms))
    if store_spans:
        parts += map(_link_of_batch, store_spans)
    if responses >= 0:
        parts.append(_number("tallykeeper.responses", responses))
    if code in _ERRORS and message:
        parts.append(Span(status=Status(message=message)).SerializeToString())
    return b"".join(parts)


@lru_cache(_PARTS_KEPT_MAX)
def _call_part(kind: tuple[str, str, str, str, str, bool]) -> bytes:
    """Return the part of a span that calls share: of one system, method, namespace, outcome, repeats or not."""
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


def _own(ids: SpanIds, began_at: float, ended_at: float, behind_ns: int) -> bytes:
    """Return the ids and the times of a span."""
    trace_id, span_id = ids[0].to_bytes(_TRACE_BYTES), ids[1].to_bytes(_SPAN_BYTES)
    began_ns, ended_ns = behind_ns + int(began_at * _NS), behind_ns + int(ended_at * _NS)
    return _OWN.pack(_TRACE_ID, trace_id, _SPAN_ID, span_id, _LOCAL, _BEGAN, began_ns, _ENDED, ended_ns)


def _parent(ids: SpanIds, flags: bytes) -> bytes:
    """Return the part of a span that names its parent."""
    _, _, parent_id, state = ids
    return b"%b%b%b%b" % (_PARENT, parent_id.to_bytes(_SPAN_BYTES), flags, _state(state))


def _link(ids: SpanIds) -> bytes:
    """Return the part of a span that links it to another."""
    trace_id, span_id = ids[0].to_bytes(_TRACE_BYTES), ids[1].to_bytes(_SPAN_BYTES)
    return _LINK.pack(_LINK_HEAD, _TRACE_ID, trace_id, _SPAN_ID, span_id, _LINK_FLAGS)


_link_of_batch: Final = lru_cache(_BATCHES_KEPT_MAX)(_link)
"""Link a call to a call of the store. All calls of its batch have the same link."""


@lru_cache(_PARTS_KEPT_MAX)
def _number(key: str, value: int) -> bytes:
    """Return the part of a span with one attribute."""
    return Span(attributes=[_attribute(key, value)]).SerializeToString()


@lru_cache(_PARTS_KEPT_MAX)
def _state(state: str) -> bytes:
    return Span(trace_state=state).SerializeToString()


@lru_cache(_PARTS_KEPT_MAX)
def _varint(number: int) -> bytes:
    """Return a number above 0 as the length of a field is written: protobuf writes a field, and its tag is left out."""
    return Span(dropped_links_count=number).SerializeToString()[1:]


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


_TRACE_ID: Final = Span(trace_id=bytes(_TRACE_BYTES)).SerializeToString()[:-_TRACE_BYTES]
_SPAN_ID: Final = Span(span_id=bytes(_SPAN_BYTES)).SerializeToString()[:-_SPAN_BYTES]
_LOCAL: Final = Span(flags=_FLAGS).SerializeToString()
_REMOTE: Final = Span(flags=_REMOTE_FLAGS).SerializeToString()
_BEGAN: Final = Span(start_time_unix_nano=1).SerializeToString()[:1]
_ENDED: Final = Span(end_time_unix_nano=1).SerializeToString()[:1]
_OWN: Final = struct.Struct("<2s16s2s8s6scQcQ")
_PARENT: Final = Span(parent_span_id=bytes(_SPAN_BYTES)).SerializeToString()[:-_SPAN_BYTES]
_EMPTY_LINK: Final = Span.Link(trace_id=bytes(_TRACE_BYTES), span_id=bytes(_SPAN_BYTES), flags=_FLAGS)
_LINK_HEAD: Final = Span(links=[_EMPTY_LINK]).SerializeToString()[: -_EMPTY_LINK.ByteSize()]
_LINK_FLAGS: Final = Span.Link(flags=_FLAGS).SerializeToString()
_LINK: Final = struct.Struct("<2s2s16s2s8s5s")
_WAIT_HEAD: Final = Span(attributes=_attributes({"tallykeeper.lane.wait_ms": 0.0})).SerializeToString()[:-8]
_WAIT: Final = struct.Struct(f"<{len(_WAIT_HEAD)}sd")
_SPANS: Final = ScopeSpans(spans=[Span()]).SerializeToString()[:-1]
_SCOPE_SPANS: Final = ResourceSpans(scope_spans=[ScopeSpans()]).SerializeToString()[:-1]
_RESOURCE_SPANS: Final = ExportTraceServiceRequest(resource_spans=[ResourceSpans()]).SerializeToString()[:-1]
