"""The spans of the Python client, blocking and for asyncio: their context travels with the call, with all retries."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tallykeeper.v1 import counter_pb2
from tallykeeper_client import AsyncClient, Client, InsufficientStock, ItemNotFound, Unavailable
from tests.support.server import PATIENCE_SECONDS, ServerProcess
from tests.tracing.backend import SERVER, Backend

Run = Callable[..., object]


class Program:
    """A program with a tracer provider, and the spans of its clients."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended."""
        return self.exporter.get_finished_spans()

    @property
    def only_span(self) -> ReadableSpan:
        """The only span that has ended."""
        (span,) = self.spans
        return span


@pytest.fixture
def program() -> Program:
    return Program()


def blocking(target: str, namespace: str, program: Program, method: str, *arguments: object) -> object:
    """Call a method of the blocking client. Return the response, or all that a method yields."""
    with Client(target, namespace=namespace, tracer_provider=program.provider) as client:
        result = getattr(client, method)(*arguments)
        return list(result) if isinstance(result, Iterator) else result


def awaited(target: str, namespace: str, program: Program, method: str, *arguments: object) -> object:
    """Call a method of the client for asyncio. Return as ``blocking`` does."""

    async def run() -> object:
        async with AsyncClient(target, namespace=namespace, tracer_provider=program.provider) as client:
            result = getattr(client, method)(*arguments)
            return [each async for each in result] if hasattr(result, "__aiter__") else await result

    return asyncio.run(run())


@pytest.fixture(params=[blocking, awaited])
def run(request: pytest.FixtureRequest) -> Run:
    """Either client."""
    runner: Run = request.param
    return runner


@contextmanager
def stand_in(increment: Callable[[object, grpc.ServicerContext], counter_pb2.IncrementResponse]) -> Iterator[str]:
    """Run a server that has Increment alone, and yield its address."""
    handler = grpc.unary_unary_rpc_method_handler(
        increment,
        request_deserializer=counter_pb2.IncrementRequest.FromString,
        response_serializer=counter_pb2.IncrementResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(4))
    handlers = grpc.method_handlers_generic_handler("tallykeeper.v1.CounterService", {"Increment": handler})
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(PATIENCE_SECONDS)


def hexadecimal(span: ReadableSpan) -> tuple[str, str]:
    """Return the trace id and the span id of a span."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def test_a_call_has_a_span_and_the_server_continues_its_trace(
    run: Run, program: Program, traced: ServerProcess, backend: Backend, namespace: str
) -> None:
    run(traced.target, namespace, program, "increment", "visitors")

    span = program.only_span
    host, _, port = traced.target.rpartition(":")
    assert (span.name, span.kind) == ("tallykeeper.v1.CounterService/Increment", SpanKind.CLIENT)
    assert span.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "tallykeeper.v1.CounterService/Increment",
        "rpc.status_code": "OK",
        "server.address": host,
        "server.port": int(port),
        "tallykeeper.namespace": namespace,
    }
    assert span.instrumentation_scope is not None
    assert span.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.45.0"
    trace_id, span_id = hexadecimal(span)
    call = backend.call_of(trace_id)
    assert call.parent_id == span_id
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.start_time < call.start_ns < call.end_ns < span.end_time


def test_the_span_is_a_child_of_the_current_one(
    run: Run, program: Program, traced: ServerProcess, namespace: str
) -> None:
    with program.provider.get_tracer("shop").start_as_current_span("checkout") as checkout:
        run(traced.target, namespace, program, "increment", "visitors")

    span, _ = program.spans
    assert span.parent is not None
    assert span.parent.span_id == checkout.get_span_context().span_id


def test_a_refusal_is_an_error_of_the_client_with_its_reason(
    run: Run, program: Program, traced: ServerProcess, namespace: str
) -> None:
    with pytest.raises((InsufficientStock, ItemNotFound)):
        run(traced.target, namespace, program, "decrement_copies", "dune")

    span = program.only_span
    assert span.attributes is not None
    assert span.attributes["rpc.status_code"] == "NOT_FOUND"
    assert span.attributes["error.type"] == span.attributes["tallykeeper.reason"] == "ITEM_NOT_FOUND"
    assert span.status.status_code is StatusCode.ERROR


def test_the_attempts_of_a_call_are_one_span_and_have_the_same_parent(
    run: Run, program: Program, namespace: str
) -> None:
    parents: list[str] = []

    def increment(_: object, context: grpc.ServicerContext) -> counter_pb2.IncrementResponse:
        parents.extend(str(value) for name, value in context.invocation_metadata() if name == "traceparent")
        if len(parents) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the store is away")
        return counter_pb2.IncrementResponse()

    with stand_in(increment) as target:
        run(target, namespace, program, "increment", "visitors")

    trace_id, span_id = hexadecimal(program.only_span)
    assert [each[: -len("-01")] for each in parents] == [f"00-{trace_id}-{span_id}"] * 3


def test_a_call_that_finds_no_server_has_a_span_with_its_error(run: Run, program: Program, namespace: str) -> None:
    def increment(_: object, context: grpc.ServicerContext) -> counter_pb2.IncrementResponse:
        context.abort(grpc.StatusCode.UNAVAILABLE, "the server stops")

    with stand_in(increment) as target, pytest.raises(Unavailable):
        run(target, namespace, program, "increment", "visitors")

    assert program.only_span.status.status_code is StatusCode.ERROR


def test_each_page_of_a_list_and_a_verification_have_a_span(
    run: Run, program: Program, traced: ServerProcess, namespace: str
) -> None:
    run(traced.target, namespace, program, "iterate_counters")
    run(traced.target, namespace, program, "verify_responses")

    assert [each.name.partition("/")[2] for each in program.spans] == ["ListCounters", "VerifyNamespace"]
    assert {each.status.status_code for each in program.spans} == {StatusCode.UNSET}


def test_a_watch_has_a_span_that_ends_with_it(
    program: Program, traced: ServerProcess, backend: Backend, namespace: str
) -> None:
    with Client(traced.target, namespace=namespace, tracer_provider=program.provider) as client:
        client.increment("visitors")
        with closing(client.watch(after_revision=0)) as entries:
            next(entries)
            assert len(program.spans) == 1

    watch = program.spans[-1]
    assert watch.name == "tallykeeper.v1.LedgerService/Watch"
    assert watch.status.status_code is StatusCode.UNSET
    trace_id, _ = hexadecimal(watch)
    (call,) = backend.wait_for(lambda each: each.trace_id == trace_id and each.kind == SERVER)
    assert call.attributes["rpc.status_code"] == "CANCELLED"


def test_a_watch_for_asyncio_has_a_span_that_ends_with_it(
    program: Program, traced: ServerProcess, namespace: str
) -> None:
    async def watch() -> None:
        async with AsyncClient(traced.target, namespace=namespace, tracer_provider=program.provider) as client:
            await client.increment("visitors")
            entries = client.watch(after_revision=0)
            await anext(entries)
            await entries.aclose()

    asyncio.run(watch())

    assert [each.name.partition("/")[2] for each in program.spans] == ["Increment", "Watch"]


def test_the_token_and_the_context_are_both_sent(program: Program, namespace: str) -> None:
    sent: dict[str, str] = {}

    def increment(_: object, context: grpc.ServicerContext) -> counter_pb2.IncrementResponse:
        sent.update((str(name), str(value)) for name, value in context.invocation_metadata())
        return counter_pb2.IncrementResponse()

    with (
        stand_in(increment) as target,
        Client(target, namespace=namespace, token="secret", tracer_provider=program.provider) as client,  # noqa: S106  # a token of this test
    ):
        client.increment("visitors")

    assert sent["authorization"] == "Bearer secret"
    assert "traceparent" in sent
    attributes = program.only_span.attributes
    assert attributes is not None
    assert "secret" not in map(str, attributes.values())


def test_a_client_without_a_provider_sends_no_context(namespace: str) -> None:
    sent: dict[str, str] = {}

    def increment(_: object, context: grpc.ServicerContext) -> counter_pb2.IncrementResponse:
        sent.update((str(name), str(value)) for name, value in context.invocation_metadata())
        return counter_pb2.IncrementResponse()

    with stand_in(increment) as target, Client(target, namespace=namespace) as client:
        client.increment("visitors")

    assert "traceparent" not in sent
