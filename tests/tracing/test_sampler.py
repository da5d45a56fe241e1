"""The samplers decide as those of OpenTelemetry's SDK, and a server uses the one that its environment names."""

import os
import random

import pytest
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper_server.tracing.sampler import NAMES, Sampler
from tests.support.client import Caller
from tests.support.server import ServerProcess
from tests.tracing.backend import SERVER, Backend
from tests.tracing.conftest import environment_for

RATIO = 0.25
SDK: dict[str, sampling.Sampler] = {
    "always_on": ALWAYS_ON,
    "always_off": ALWAYS_OFF,
    "traceidratio": TraceIdRatioBased(RATIO),
    "parentbased_always_on": ParentBased(ALWAYS_ON),
    "parentbased_always_off": ParentBased(ALWAYS_OFF),
    "parentbased_traceidratio": ParentBasedTraceIdRatio(RATIO),
}


def decision_of(sampler: sampling.Sampler, trace_id: int, flag: bool | None) -> bool:  # noqa: FBT001  # a parameter
    """Return the decision of a sampler of the SDK."""
    context = None
    if flag is not None:
        flags = TraceFlags(TraceFlags.SAMPLED if flag else TraceFlags.DEFAULT)
        remote = SpanContext(trace_id, 1, is_remote=True, trace_flags=flags)
        context = set_span_in_context(NonRecordingSpan(remote))
    return sampler.should_sample(context, trace_id, "call").decision is Decision.RECORD_AND_SAMPLE


def test_every_sampler_has_its_counterpart() -> None:
    assert set(NAMES) == set(SDK)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flag", [None, True, False])
def test_a_sampler_decides_as_the_sdk_does(name: str, flag: bool | None) -> None:  # noqa: FBT001  # a parameter
    ours, chosen = Sampler.of(name, RATIO), random.Random(name)  # noqa: S311  # the same in each run

    for _ in range(2_000):
        trace_id = chosen.getrandbits(128)
        assert ours.samples(trace_id, flag) == decision_of(SDK[name], trace_id, flag)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_the_ends_of_the_ratio_are_all_or_nothing(ratio: float) -> None:
    sampler = Sampler.of("traceidratio", ratio)

    assert {sampler.samples(trace_id, None) for trace_id in (1, (1 << 64) - 1, (1 << 128) - 1)} == {bool(ratio)}


def test_a_server_records_the_traces_that_its_ratio_chooses(own_backend: Backend, data: str, namespace: str) -> None:
    environment = environment_for(own_backend, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG=str(RATIO))
    trace_ids = [os.urandom(16).hex() for _ in range(60)]
    chosen = {each for each in trace_ids if Sampler.of("traceidratio", RATIO).samples(int(each, 16), None)}

    with ServerProcess("--traces", "--data-dir", data, environment=environment) as server:
        for trace_id in trace_ids:
            caller = Caller(server.target, metadata=[("traceparent", f"00-{trace_id}-00f067aa0ba902b7-01")])
            caller(IncrementRequest(namespace=namespace, counter="v"))
            caller.close()

    assert {each.trace_id for each in own_backend.spans if each.kind == SERVER} == chosen


def test_a_sampler_that_is_off_records_nothing(own_backend: Backend, data: str, namespace: str) -> None:
    environment = environment_for(own_backend, OTEL_TRACES_SAMPLER="always_off")

    with ServerProcess("--traces", "--data-dir", data, environment=environment) as server:
        caller = Caller(server.target)
        caller(IncrementRequest(namespace=namespace, counter="v"))
        caller.close()

    assert own_backend.spans == []
