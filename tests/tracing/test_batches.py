"""Script calls that several traced calls share: links lead from the script call to each call and back."""

import asyncio

import pytest
from opentelemetry.sdk.trace import TracerProvider

from tallykeeper_client import AsyncClient
from tests.support.server import ServerProcess
from tests.tracing.backend import CLIENT, SERVER, Backend, Received
from tests.tracing.conftest import environment_for

CALLS = 40


async def increment_at_once(target: str, namespace: str) -> None:
    """Make calls that are in flight at the same time."""
    async with AsyncClient(target, namespace=namespace) as client:
        await client.increment("warm")
        await asyncio.gather(*(client.increment(f"c{number}") for number in range(CALLS)))


@pytest.fixture
def shared(backend: Backend, traced: ServerProcess, namespace: str) -> tuple[list[Received], list[Received]]:
    """The spans of calls that shared script calls, and the spans of these script calls."""
    asyncio.run(increment_at_once(traced.target, namespace))
    calls = backend.wait_for(
        lambda each: each.kind == SERVER and each.attributes.get("tallykeeper.namespace") == namespace, count=CALLS + 1
    )
    linked = {link for each in calls for link in each.links}
    scripts = backend.wait_for(lambda each: each.kind == CLIENT and each.context in linked, count=len(linked))
    return [each for each in calls if each.links], scripts


def test_links_lead_from_each_call_to_its_script_call_and_back(shared: tuple[list[Received], list[Received]]) -> None:
    calls, scripts = shared
    assert calls
    by_context = {each.context: each for each in scripts}

    for call in calls:
        (link,) = call.links
        assert call.context in by_context[link].links
    assert sum(len(each.links) for each in scripts) == len(calls)


def test_a_shared_script_call_belongs_to_no_trace_of_a_call(shared: tuple[list[Received], list[Received]]) -> None:
    calls, scripts = shared

    assert {each.parent_id for each in scripts} == {""}
    assert {each.trace_id for each in scripts} & {each.trace_id for each in calls} == set()


def test_the_calls_of_a_batch_are_counted_in_all_their_spans(shared: tuple[list[Received], list[Received]]) -> None:
    calls, scripts = shared
    by_context = {each.context: each for each in scripts}

    for call in calls:
        script = by_context[call.links[0]]
        assert call.attributes["tallykeeper.batch.calls"] == script.attributes["tallykeeper.batch.calls"]
        assert script.attributes["tallykeeper.batch.calls"] == len(script.links)
        assert script.attributes["tallykeeper.batch.mutations"] == len(script.links)
        assert call.start_ns < script.start_ns
        assert script.end_ns < call.end_ns


def test_of_a_batch_with_one_traced_call_the_script_call_is_the_child(
    own_backend: Backend, data: str, namespace: str
) -> None:
    environment = environment_for(own_backend, OTEL_TRACES_SAMPLER="parentbased_always_off")

    async def one_of_many(target: str) -> None:
        async with (
            AsyncClient(target, namespace=namespace) as plain,
            AsyncClient(target, namespace=namespace, tracer_provider=TracerProvider()) as traced,
        ):
            await asyncio.gather(plain.increment("warm"), traced.get_counter("warm"), return_exceptions=True)
            await asyncio.gather(*(plain.increment(f"c{n}") for n in range(CALLS)), traced.increment("traced"))

    with ServerProcess("--traces", "--data-dir", data, environment=environment) as server:
        asyncio.run(one_of_many(server.target))

    (call,) = [each for each in own_backend.spans if each.name.endswith("/Increment")]
    script = own_backend.store_span_of(call)
    assert (script.trace_id, script.links, call.links) == (call.trace_id, (), ())
    assert script.attributes["tallykeeper.batch.calls"] == call.attributes["tallykeeper.batch.calls"]
