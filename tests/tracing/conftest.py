"""A server whose every call is traced, and the backend that takes its spans."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.client import Caller
from tests.support.server import ServerProcess
from tests.tracing.backend import Backend


def environment_for(backend: Backend, **variables: str) -> Mapping[str, str]:
    """Return the environment of a server that sends its spans to a backend."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**others, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{backend.target}", **variables}


@pytest.fixture(scope="package")
def backend() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture(scope="package")
def traced(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that records a span of each call."""
    data = tmp_path_factory.mktemp("data")
    with ServerProcess("--traces", "--data-dir", str(data), environment=environment_for(backend)) as server:
        yield server


@pytest.fixture
def own_backend() -> Iterator[Backend]:
    """A backend for this test alone, which may refuse."""
    with Backend() as backend:
        yield backend


@pytest.fixture
def data(tmp_path: Path) -> str:
    """The data directory for a server that only this test uses."""
    return str(tmp_path / "data")


@pytest.fixture
def trace_id() -> str:
    """The id of a trace that only this test uses."""
    return os.urandom(16).hex()


@pytest.fixture
def call(traced: ServerProcess, trace_id: str) -> Iterator[Caller]:
    """A caller whose calls belong to the trace of the test."""
    caller = Caller(traced.target, metadata=[("traceparent", f"00-{trace_id}-{PARENT}-01")])
    yield caller
    caller.close()


PARENT = "00f067aa0ba902b7"
"""The id of the caller's span."""
