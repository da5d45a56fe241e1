"""Turns records into OTLP: the messages of opentelemetry-proto, with the semantic conventions for RPC and databases.

A request is written as bytes. The bytes of two messages, one after the other, are the bytes of the merged message
(https://protobuf.dev/programming-guides/encoding/#last-one-wins), so that a span is its parts in a row. protobuf makes
the parts that many spans share, once. This module packs what each span has for itself: ids, times and links. Spans
that protobuf makes as a whole take three times as long, and those of the SDK many times (decision 22).
"""

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, SpanFlags, Status
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from tallykeeper_server.tracing.records import (
    SPAN_BYTES,
    TRACE_BYTES,
    Batch,
    CallKind,
    Chunk,
    Shared,
    SpanIds,
    StoreRecord,
)

SCOPE: Final = "tallykeeper_server"
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.45.0"
"""The version of the semantic conventions that the names of attributes follow."""
_ERRORS: Final = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""The codes that are errors of a server by the conventions. With the others, the caller has made the mistake."""
_FLAGS: Final = 1 | SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE_FLAGS: Final = _FLAGS | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_PARTS_KEPT_MAX: Final = 4_096
"""The number of combinations of method, namespace and outcome, for example, whose common part is kept."""
_CODE: Final = 3
"""The place of the code in the kind of a call."""
_NS: Final = 1_000_000_000
_US: Final = 1_000_000
_US_OF_MS: Final = 1_000


class Encoder:
    """Makes export requests of the spans of one worker."""

    def __init__(self, *, service_instance: str, store: Mapping[str, str | int]) -> None:
        """Take the name of this run of the worker, and the attributes of its store."""
        self._resource = ResourceSpans(
            resource=resource_pb2.Resource(attributes=_attributes(_resource_attributes(service_instance)))
        ).SerializeToString()
        self._scope = ScopeSpans(
            scope=common_pb2.InstrumentationScope(name=SCOPE, version=version("tallykeeper")), schema_url=_SCHEMA
        ).SerializeToString()
        self._store = store
        self._store_part = lru_cache(_PARTS_KEPT_MAX)(self._new_store_part)

    def request(self, chunks: Sequence[Chunk]) -> bytes:
        """Return the ExportTraceServiceRequest for some chunks, as bytes."""
        spans: list[bytes] = []
        for behind_ns, calls, store_calls in chunks:
            _add_calls(spans, calls, behind_ns)
            for record in store_calls:
                span = self._store_call(record, behind_ns)
                spans += (_SPANS, _varint(len(span)), span)
        spans_bytes = sum(map(len, spans))
        head = self._resource + _SCOPE_SPANS + _varint(len(self._scope) + spans_bytes) + self._scope
        return b"".join([_RESOURCE_SPANS, _varint(len(head) + spans_bytes), head, *spans])

    def _store_call(self, record: StoreRecord, behind_ns: int) -> bytes:
        ids, operation, began_at, ended_at, calls, mutations, links, reason = record
        parts = [
            self._store_part(operation, reason),
            _own(ids, began_at, ended_at, behind_ns),
            _parent(ids, _LOCAL),
            _number("tallykeeper.batch.calls", calls),
        ]
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


def _add_calls(spans: list[bytes], records: Sequence[Shared], behind_ns: int) -> None:
    """Add the spans of the calls in a chunk.

    The calls of a batch share its tuple, and calls of one kind share that of the kind. So the part that they share is
    looked up by the identity of both, and only the rest is packed for each call.
    """
    kind: Shared
    batch: Shared
    shared: dict[tuple[int, int], tuple[bytes, bytes]] = {}
    for kind, ids, began_at, ended_at, wait_seconds, batch, responses, message in records:
        own = _own(ids, began_at, ended_at, behind_ns, wait_seconds if batch[0] else None)
        both = id(kind), id(batch)
        found = shared.get(both)
        if found is None:
            part = _kind_part(kind) + _batch_part(batch)
            found = shared[both] = _SPANS + _varint(len(part) + len(own)), part
        head, part = found
        if ids[1] or responses >= 0 or message:
            rest = _rest(kind, ids, responses, message)
            spans += (_SPANS, _varint(len(part) + len(own) + len(rest)), part, own, rest)
        else:
            spans += (head, part, own)


def _rest(kind: CallKind, ids: SpanIds, responses: int, message: str) -> bytes:
    """Return the part of a call's span that few calls have."""
    parts = [_parent(ids, _REMOTE)]
    if responses >= 0:
        parts.append(_number("tallykeeper.responses", responses))
    if message and kind[_CODE] in _ERRORS:
        parts.append(Span(status=Status(message=message)).SerializeToString())
    return b"".join(parts)


def _batch_part(batch: Batch) -> bytes:
    """Return the part of a span that the calls of a batch share; nothing if the call was not sent."""
    calls, store_spans = batch
    return b"".join([_number("tallykeeper.batch.calls", calls), *map(_link, store_spans)]) if calls else b""


@lru_cache(_PARTS_KEPT_MAX)
def _kind_part(kind: CallKind) -> bytes:
    """Return the part of a span that calls of one kind share."""
    system, method, namespace, code, reason, replayed = kind
    failed = code in _ERRORS
    attributes: dict[str, object] = {
        "rpc.system.name": system,
        "rpc.method": method,
        "rpc.status_code": code,
        **({"error.type": reason or code} if failed else {}),
        **({"tallykeeper.namespace": namespace} if namespace else {}),
        **({"tallykeeper.reason": reason} if reason else {}),
        **({"tallykeeper.replayed": True} if replayed else {}),
    }
    status = Status(code=Status.STATUS_CODE_ERROR) if failed else None
    span = Span(name=method, kind=Span.SPAN_KIND_SERVER, attributes=_attributes(attributes), status=status)
    return span.SerializeToString()


def _own(ids: SpanIds, began_at: float, ended_at: float, behind_ns: int, wait_seconds: float | None = None) -> bytes:
    """Return the ids and the times of a span."""
    own = ids[0]
    began_ns, ended_ns = behind_ns + int(began_at * _NS), behind_ns + int(ended_at * _NS)
    if wait_seconds is None:
        return _OWN.pack(_TRACE_ID, own[:TRACE_BYTES], _SPAN_ID, own[TRACE_BYTES:], _BEGAN, began_ns, _ENDED, ended_ns)
    wait_ms = int(wait_seconds * _US) / _US_OF_MS
    return _OWN_WAIT.pack(
        _TRACE_ID,
        own[:TRACE_BYTES],
        _SPAN_ID,
        own[TRACE_BYTES:],
        _BEGAN,
        began_ns,
        _ENDED,
        ended_ns,
        _WAIT_HEAD,
        wait_ms,
    )


def _parent(ids: SpanIds, flags: bytes) -> bytes:
    """Return the part of a span that names its parent; nothing if it has none."""
    _, parent_id, state = ids
    return b"%b%b%b%b" % (_PARENT, parent_id, flags, _state(state)) if parent_id else b""


def _link(ids: SpanIds) -> bytes:
    """Return the part of a span that links it to another."""
    other = ids[0]
    return _LINK.pack(_LINK_HEAD, _TRACE_ID, other[:TRACE_BYTES], _SPAN_ID, other[TRACE_BYTES:], _LINK_FLAGS)


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


_TRACE_ID: Final = Span(trace_id=bytes(TRACE_BYTES)).SerializeToString()[:-TRACE_BYTES]
_SPAN_ID: Final = Span(span_id=bytes(SPAN_BYTES)).SerializeToString()[:-SPAN_BYTES]
_LOCAL: Final = Span(flags=_FLAGS).SerializeToString()
_REMOTE: Final = Span(flags=_REMOTE_FLAGS).SerializeToString()
_BEGAN: Final = _LOCAL + Span(start_time_unix_nano=1).SerializeToString()[:1]
_ENDED: Final = Span(end_time_unix_nano=1).SerializeToString()[:1]
_OWN: Final = struct.Struct("<2s16s2s8s7sQsQ")
_PARENT: Final = Span(parent_span_id=bytes(SPAN_BYTES)).SerializeToString()[:-SPAN_BYTES]
_EMPTY_LINK: Final = Span.Link(trace_id=bytes(TRACE_BYTES), span_id=bytes(SPAN_BYTES), flags=_FLAGS)
_LINK_HEAD: Final = Span(links=[_EMPTY_LINK]).SerializeToString()[: -_EMPTY_LINK.ByteSize()]
_LINK_FLAGS: Final = Span.Link(flags=_FLAGS).SerializeToString()
_LINK: Final = struct.Struct("<2s2s16s2s8s5s")
_WAIT_HEAD: Final = Span(attributes=_attributes({"tallykeeper.lane.wait_ms": 0.0})).SerializeToString()[:-8]
_OWN_WAIT: Final = struct.Struct(f"<2s16s2s8s7sQsQ{len(_WAIT_HEAD)}sd")
_SPANS: Final = ScopeSpans(spans=[Span()]).SerializeToString()[:-1]
_SCOPE_SPANS: Final = ResourceSpans(scope_spans=[ScopeSpans()]).SerializeToString()[:-1]
_RESOURCE_SPANS: Final = ExportTraceServiceRequest(resource_spans=[ResourceSpans()]).SerializeToString()[:-1]
