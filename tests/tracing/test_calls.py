"""The span of a call: its parent, its attributes and its child, for each kind of call and outcome."""

import json
from http.client import HTTPConnection

import pytest

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest, ListCountersRequest
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest, IncrementCopiesRequest
from tallykeeper.v1.ledger_pb2 import VerifyNamespaceRequest, WatchRequest
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tests.http.http_client import request
from tests.support.client import Caller, Failure
from tests.support.server import ServerProcess
from tests.tracing.backend import CLIENT, SERVER, UNSET, Backend
from tests.tracing.conftest import PARENT


def stock_up(traced: ServerProcess, namespace: str, copies: int = 5) -> None:
    """Put copies of an item on hand, in another trace."""
    caller = Caller(traced.target)
    caller(IncrementCopiesRequest(namespace=namespace, item="dune", copies=copies))
    caller.close()


def test_a_reserve_is_a_child_of_its_caller_and_the_script_call_is_a_child_of_it(
    call: Caller, backend: Backend, traced: ServerProcess, namespace: str, trace_id: str
) -> None:
    stock_up(traced, namespace)

    call(ReserveRequest(namespace=namespace, lines=[StockLine(item="dune", copies=2)], ttl={"seconds": 60}))

    reserve = backend.call_of(trace_id)
    assert (reserve.name, reserve.kind) == ("tallykeeper.v1.ReservationService/Reserve", SERVER)
    assert (reserve.parent_id, reserve.status, reserve.links) == (PARENT, UNSET, ())
    wait_ms = reserve.attributes.pop("tallykeeper.lane.wait_ms")
    assert reserve.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "tallykeeper.v1.ReservationService/Reserve",
        "rpc.status_code": "OK",
        "tallykeeper.namespace": namespace,
        "tallykeeper.batch.calls": 1,
    }
    script = backend.store_span_of(reserve)
    assert (script.name, script.kind, script.trace_id) == ("EVALSHA tallykeeper", CLIENT, trace_id)
    assert script.attributes.pop("server.address").endswith(".sock")
    assert script.attributes == {
        "db.system.name": "redis",
        "db.namespace": "0",
        "db.operation.name": "EVALSHA",
        "db.query.summary": "EVALSHA tallykeeper",
        "db.stored_procedure.name": "tallykeeper",
        "tallykeeper.batch.calls": 1,
        "tallykeeper.batch.mutations": 1,
    }
    assert reserve.start_ns < script.start_ns < script.end_ns < reserve.end_ns
    assert 0 <= wait_ms * 1e6 <= reserve.end_ns - reserve.start_ns
    assert reserve.scope == "tallykeeper_server"
    assert reserve.resource["service.name"] == "tallykeeper"
    assert reserve.resource["telemetry.sdk.language"] == "python"
    assert reserve.resource["service.instance.id"] == script.resource["service.instance.id"]


def test_a_refusal_has_its_reason_and_is_no_error_of_the_server(
    call: Caller, backend: Backend, namespace: str, trace_id: str
) -> None:
    with pytest.raises(Failure):
        call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=3))

    span = backend.call_of(trace_id)
    assert span.attributes["rpc.status_code"] == "NOT_FOUND"
    assert span.attributes["tallykeeper.reason"] == "ITEM_NOT_FOUND"
    assert "error.type" not in span.attributes
    assert (span.status, span.message) == (UNSET, "")
    assert backend.store_span_of(span).status == UNSET


def test_a_request_that_breaks_a_rule_has_a_span_without_a_use_of_the_store(
    call: Caller, backend: Backend, namespace: str, trace_id: str
) -> None:
    with pytest.raises(Failure):
        call(IncrementRequest(namespace=namespace, counter=""))

    span = backend.call_of(trace_id)
    assert span.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "tallykeeper.v1.CounterService/Increment",
        "rpc.status_code": "INVALID_ARGUMENT",
        "tallykeeper.namespace": namespace,
        "tallykeeper.reason": "INVALID_FIELD",
    }


def test_a_message_that_cannot_be_read_has_a_span(call: Caller, backend: Backend, trace_id: str) -> None:
    with pytest.raises(Failure):
        call.send(GetCounterRequest, b"\xff")

    assert backend.call_of(trace_id).attributes["tallykeeper.reason"] == "INVALID_FIELD"


def test_a_namespace_that_is_too_long_is_cut_off(call: Caller, backend: Backend, trace_id: str) -> None:
    with pytest.raises(Failure):
        call(IncrementRequest(namespace="n" * 100_000, counter="v"))

    assert len(backend.call_of(trace_id).attributes["tallykeeper.namespace"]) < 100


def test_a_call_without_a_namespace_is_in_the_default_one(call: Caller, backend: Backend, trace_id: str) -> None:
    call(ListCountersRequest(prefix="no such prefix"))

    assert backend.call_of(trace_id).attributes["tallykeeper.namespace"] == "default"


def test_a_repeat_is_marked(call: Caller, backend: Backend, namespace: str, trace_id: str) -> None:
    for _ in range(2):
        call(IncrementRequest(namespace=namespace, counter="v", request_id="r"))

    spans = backend.wait_for(lambda each: each.trace_id == trace_id and each.kind == SERVER, count=2)
    first, second = sorted(spans, key=lambda each: each.start_ns)
    assert "tallykeeper.replayed" not in first.attributes
    assert second.attributes["tallykeeper.replayed"] is True


def test_a_batch_has_one_span_and_its_script_call_counts_the_mutations(
    call: Caller, backend: Backend, namespace: str, trace_id: str
) -> None:
    operations = [Operation(increment=IncrementRequest(counter=f"c{number}")) for number in range(7)]

    call(ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_INDEPENDENT))

    span = backend.call_of(trace_id)
    assert span.name == "tallykeeper.v1.BatchService/Apply"
    assert span.attributes["tallykeeper.batch.calls"] == 1
    assert backend.store_span_of(span).attributes["tallykeeper.batch.mutations"] == 7


def test_a_large_batch_has_a_span_for_each_of_its_script_calls(
    call: Caller, backend: Backend, namespace: str, trace_id: str
) -> None:
    operations = [Operation(increment=IncrementRequest(counter=f"c{number}")) for number in range(600)]

    call(ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_INDEPENDENT))

    span = backend.call_of(trace_id)
    scripts = backend.wait_for(lambda each: each.parent_id == span.span_id, count=3)
    assert sorted(each.attributes["tallykeeper.batch.mutations"] for each in scripts) == [100, 250, 250]


def test_a_read_has_a_span_of_its_pipeline(call: Caller, backend: Backend, namespace: str, trace_id: str) -> None:
    with pytest.raises(Failure):
        call(GetCounterRequest(namespace=namespace, counter="v"))

    span = backend.call_of(trace_id)
    assert span.attributes["tallykeeper.reason"] == "COUNTER_NOT_FOUND"
    read = backend.store_span_of(span)
    assert (read.name, read.attributes["db.operation.name"]) == ("PIPELINE", "PIPELINE")
    assert "tallykeeper.batch.mutations" not in read.attributes


def test_a_stream_has_one_span_with_the_number_of_its_responses(
    call: Caller, backend: Backend, namespace: str, trace_id: str
) -> None:
    call(IncrementRequest(namespace=namespace, counter="v"))
    call.verify(namespace)

    (span,) = backend.wait_for(lambda each: each.trace_id == trace_id and each.name.endswith("/VerifyNamespace"))
    assert span.attributes["tallykeeper.namespace"] == namespace
    assert span.attributes["rpc.status_code"] == "OK"
    assert span.attributes["tallykeeper.responses"] >= 2
    assert span.attributes["tallykeeper.lane.wait_ms"] >= 0
    assert backend.wait_for(lambda each: each.parent_id == span.span_id and each.kind == CLIENT)
    assert VerifyNamespaceRequest.DESCRIPTOR.name in span.name + "Request"


def test_a_watch_that_its_caller_leaves_is_cancelled(
    call: Caller, backend: Backend, namespace: str, trace_id: str
) -> None:
    call(IncrementRequest(namespace=namespace, counter="v"))
    with call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        next(responses)

    (span,) = backend.wait_for(lambda each: each.trace_id == trace_id and each.name.endswith("/Watch"))
    assert span.attributes["rpc.status_code"] == "CANCELLED"
    assert span.attributes["tallykeeper.responses"] == 1


def test_a_stream_that_is_refused_has_its_reason(call: Caller, backend: Backend, namespace: str, trace_id: str) -> None:
    with pytest.raises(Failure), call.stream(WatchRequest(namespace=namespace, after_revision=1 << 60)) as responses:
        next(responses)

    assert backend.call_of(trace_id).attributes["tallykeeper.reason"] == "INVALID_FIELD"


def test_a_call_over_http_has_a_span(traced: ServerProcess, backend: Backend, namespace: str, trace_id: str) -> None:
    address = traced.http_url.removeprefix("http://")
    headers = {"traceparent": f"00-{trace_id}-{PARENT}-01", "tracestate": "shop=a1"}

    answer = request(
        address, "/tallykeeper.v1.CounterService/Increment", {"namespace": namespace, "counter": "v"}, headers
    )

    assert answer.status == 200
    span = backend.call_of(trace_id)
    assert (span.parent_id, span.state) == (PARENT, "shop=a1")
    assert span.attributes["rpc.system.name"] == "connectrpc"
    assert span.attributes["tallykeeper.namespace"] == namespace
    assert backend.store_span_of(span).state == "shop=a1"


def test_an_event_stream_over_http_has_a_span(
    traced: ServerProcess, backend: Backend, namespace: str, trace_id: str
) -> None:
    address = traced.http_url.removeprefix("http://")
    request(address, "/tallykeeper.v1.CounterService/Increment", {"namespace": namespace, "counter": "v"})
    host, _, port = address.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=30)
    connection.request(
        "GET",
        f"/v1/watch?namespace={namespace}&after_revision=0",
        headers={"traceparent": f"00-{trace_id}-{PARENT}-01"},
    )
    response = connection.getresponse()
    lines = [response.readline() for _ in range(3)]
    assert json.loads(lines[2].removeprefix(b"data: "))["revision"] == "1"
    response.close()
    connection.close()

    span = backend.call_of(trace_id)
    assert span.name == "tallykeeper.v1.LedgerService/Watch"
    assert span.attributes["rpc.system.name"] == "connectrpc"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "no traceparent",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-" + "4bf92f3577b34da6a3ce929d0e0e4736" * 100,
    ],
)
def test_a_bad_traceparent_is_ignored(header: str, traced: ServerProcess, backend: Backend, namespace: str) -> None:
    caller = Caller(traced.target, metadata=[("traceparent", header), ("tracestate", "shop=a1")])
    caller(IncrementRequest(namespace=namespace, counter="v"))
    caller.close()

    (span,) = backend.wait_for(
        lambda each: each.attributes.get("tallykeeper.namespace") == namespace and each.kind == SERVER
    )
    assert (span.parent_id, span.state) == ("", "")
    assert span.trace_id not in {"4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32}


def test_a_trace_that_its_caller_does_not_sample_has_no_spans(
    traced: ServerProcess, backend: Backend, namespace: str, trace_id: str
) -> None:
    unsampled = Caller(traced.target, metadata=[("traceparent", f"00-{trace_id}-{PARENT}-00")])
    unsampled(IncrementRequest(namespace=namespace, counter="v"))
    with unsampled.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        next(responses)
    unsampled.close()
    sampled = Caller(traced.target)
    sampled(IncrementRequest(namespace=namespace, counter="after"))
    sampled.close()

    backend.wait_for(lambda each: each.attributes.get("tallykeeper.namespace") == namespace)
    assert not [each for each in backend.spans if each.trace_id == trace_id]
