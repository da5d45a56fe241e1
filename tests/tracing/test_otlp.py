"""The bytes of an export request: protobuf reads the spans in them as they were recorded."""

from collections.abc import Iterable, Sequence
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tallykeeper_server.tracing.otlp import Encoder
from tallykeeper_server.tracing.records import NO_STREAM, Batch, CallRecord, SpanIds, StoreRecord

BEHIND_NS = 1_700_000_000_000_000_000
CHILD: SpanIds = (b"\xff" * 24, b"\xff" * 7 + b"\xfe", "vendor=value")
ROOT: SpanIds = (bytes(15) + b"\x01" + bytes(7) + b"\x02", b"", "")
NOT_SENT: Batch = (0, [])
LONG: Final = "the store is away; " * 20
NOT_REMOTE, REMOTE = 0x101, 0x301
"""The flags of a sampled span or link, and those of a span whose parent is in another process."""


def a_call(
    ids: SpanIds, batch: Batch = NOT_SENT, *, code: str = "OK", message: str = "", responses: int = NO_STREAM
) -> CallRecord:
    reason = "" if code == "OK" else "STORE_UNAVAILABLE"
    kind = ("grpc", "a.B/C", "shop", code, reason, False)
    return (kind, ids, 1.5, 2.25, 0.0012345, batch, responses, message)


def a_store_call(ids: SpanIds, links: list[SpanIds], *, mutations: int = 0, reason: str = "") -> StoreRecord:
    return (ids, "EVALSHA", 0.5, 0.75, 300, mutations, links, reason)


def spans_of(*calls: CallRecord, store_calls: Sequence[StoreRecord] = ()) -> list[Span]:
    encoder = Encoder(service_instance="here", store={"server.address": "127.0.0.1", "server.port": 6379})
    request = ExportTraceServiceRequest.FromString(encoder.request([(BEHIND_NS, [*calls], [*store_calls])]))
    (of_resource,) = request.resource_spans
    (of_scope,) = of_resource.scope_spans
    assert of_scope.scope.name == "tallykeeper_server"
    assert of_scope.schema_url == "https://opentelemetry.io/schemas/1.45.0"
    assert attributes_of(of_resource.resource.attributes)["service.instance.id"] == "here"
    return list(of_scope.spans)


def attributes_of(attributes: Iterable[KeyValue]) -> dict[str, object]:
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes}


def test_a_span_without_a_parent_has_only_its_own_ids() -> None:
    (span,) = spans_of(a_call(ROOT))

    assert (span.trace_id, span.span_id) == (bytes(15) + b"\x01", bytes(7) + b"\x02")
    assert (span.parent_span_id, span.trace_state, span.flags) == (b"", "", NOT_REMOTE)
    assert (span.name, span.kind) == ("a.B/C", Span.SPAN_KIND_SERVER)
    assert span.start_time_unix_nano == BEHIND_NS + 1_500_000_000
    assert span.end_time_unix_nano == BEHIND_NS + 2_250_000_000
    assert not span.links
    assert "tallykeeper.batch.calls" not in attributes_of(span.attributes)


def test_a_span_with_a_parent_names_it_with_the_trace_state() -> None:
    call, store_call = spans_of(a_call(CHILD), store_calls=[a_store_call(CHILD, [])])

    assert (call.trace_id, call.span_id) == (b"\xff" * 16, b"\xff" * 8)
    assert call.parent_span_id == store_call.parent_span_id == b"\xff" * 7 + b"\xfe"
    assert call.trace_state == store_call.trace_state == "vendor=value"
    assert (call.flags, store_call.flags) == (REMOTE, NOT_REMOTE)


def test_links_lead_from_a_call_to_its_batch_and_back() -> None:
    calls: list[SpanIds] = [(number.to_bytes(16) + bytes(8), b"", "") for number in range(1, 301)]
    call, store_call = spans_of(a_call(CHILD, (300, [ROOT])), store_calls=[a_store_call(ROOT, calls, mutations=301)])

    (link,) = call.links
    assert (link.trace_id, link.span_id, link.flags) == (store_call.trace_id, store_call.span_id, NOT_REMOTE)
    assert [each.trace_id + each.span_id for each in store_call.links] == [ids for ids, _, _ in calls]
    assert attributes_of(call.attributes)["tallykeeper.lane.wait_ms"] == 1.234
    assert attributes_of(call.attributes)["tallykeeper.batch.calls"] == 300
    assert attributes_of(store_call.attributes)["tallykeeper.batch.mutations"] == 301


def test_an_error_has_its_message_beside_its_status() -> None:
    call, store_call = spans_of(
        a_call(ROOT, code="UNAVAILABLE", message=LONG),
        store_calls=[a_store_call(ROOT, [], reason="LOST")],
    )

    assert call.status == Status(code=Status.STATUS_CODE_ERROR, message=LONG)
    assert attributes_of(call.attributes)["error.type"] == "STORE_UNAVAILABLE"
    assert store_call.status == Status(code=Status.STATUS_CODE_ERROR)


def test_calls_of_one_batch_differ_in_kind_and_in_their_own_parts() -> None:
    batch: Batch = (4, [ROOT])
    root, child, failed, other = spans_of(
        a_call(ROOT, batch),
        a_call(CHILD, batch),
        a_call(ROOT, batch, code="UNAVAILABLE", message=LONG),
        a_call(ROOT, (5, [CHILD])),
    )

    assert [each.parent_span_id for each in (root, child, failed, other)] == [b"", CHILD[1], b"", b""]
    assert [each.status.message for each in (root, child, failed, other)] == ["", "", LONG, ""]
    assert [each.links[0].trace_id for each in (root, child, failed, other)] == [ROOT[0][:16]] * 3 + [CHILD[0][:16]]
    calls = [attributes_of(each.attributes)["tallykeeper.batch.calls"] for each in (root, child, failed, other)]
    assert calls == [4, 4, 4, 5]


def test_a_stream_counts_its_responses() -> None:
    streams = spans_of(a_call(ROOT, responses=0), a_call(CHILD, responses=70_000))

    assert [attributes_of(each.attributes)["tallykeeper.responses"] for each in streams] == [0, 70_000]
