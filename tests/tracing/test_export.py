"""The export of spans: a backend that refuses or hangs, a queue that is full, the end of a server, a killed process."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tests.server.metrics_page import Scraper
from tests.support.client import Caller
from tests.support.server import PATIENCE_SECONDS, ServerProcess, runs, wait_until
from tests.tracing.backend import SERVER, Backend, held
from tests.tracing.conftest import environment_for

MODULE = "tallykeeper_server.tracing.export_process"


@contextmanager
def serving(backend: Backend, data: str, **variables: str) -> Iterator[tuple[ServerProcess, Caller, Scraper]]:
    """Run a server for this test alone, with its caller and the reader of its metrics."""
    with ServerProcess("--traces", "--data-dir", data, environment=environment_for(backend, **variables)) as server:
        caller = Caller(server.target)
        yield server, caller, Scraper(server)
        caller.close()


def increment(call: Caller, namespace: str, times: int = 1) -> None:
    """Make calls, each with two spans: its own, and that of its script call."""
    for _ in range(times):
        call(IncrementRequest(namespace=namespace, counter="v"))


def exporter_of(server: ServerProcess) -> int | None:
    """Return the id of the process that exports the spans of a server of one process."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    found = [int(each) for each in children if MODULE.encode() in Path(f"/proc/{each}/cmdline").read_bytes()]
    return found[0] if found else None


def test_exported_spans_are_counted(own_backend: Backend, data: str, namespace: str) -> None:
    with serving(own_backend, data) as (_, call, scraper):
        increment(call, namespace, 3)

        scraper.wait_for(6, "spans_total", outcome="exported")
        scraper.wait_for(0, "spans_waiting")
        assert len(own_backend.spans) == 6


def test_a_backend_that_refuses_harms_no_call_and_is_logged_once(
    own_backend: Backend, data: str, namespace: str
) -> None:
    own_backend.refuses = grpc.StatusCode.PERMISSION_DENIED
    with serving(own_backend, data) as (server, call, scraper):
        increment(call, namespace)
        scraper.wait_for(2, "spans_total", outcome="failed")
        increment(call, namespace)
        scraper.wait_for(4, "spans_total", outcome="failed")
        (line,) = server.events("spans are not exported")
        assert "PERMISSION_DENIED: the backend refuses, as the test asks" in line["error"]

        own_backend.refuses = None
        increment(call, namespace)
        scraper.wait_for(2, "spans_total", outcome="exported")
        wait_until(lambda: bool(server.events("spans are exported again")), what="the log says so")


def test_an_export_is_repeated_while_the_backend_is_away(own_backend: Backend, data: str, namespace: str) -> None:
    own_backend.refuses = grpc.StatusCode.UNAVAILABLE
    with serving(own_backend, data) as (_, call, scraper):
        increment(call, namespace)
        wait_until(lambda: bool(own_backend.metadata), what="an export has failed")
        own_backend.refuses = None

        scraper.wait_for(2, "spans_total", outcome="exported")
        assert scraper.value("spans_total", outcome="failed") == 0


def test_only_the_spans_that_the_backend_rejects_are_counted_as_failed(
    own_backend: Backend, data: str, namespace: str
) -> None:
    own_backend.rejected_spans = 1
    with serving(own_backend, data) as (server, call, scraper):
        increment(call, namespace)

        scraper.wait_for(1, "spans_total", outcome="failed")
        assert scraper.value("spans_total", outcome="exported") == 1
        assert "rejected 1 spans" in server.events("spans are not exported")[0]["error"]


def test_while_a_backend_hangs_spans_beyond_the_queue_are_dropped_and_counted(
    own_backend: Backend, data: str, namespace: str
) -> None:
    with (
        serving(own_backend, data, OTEL_BSP_MAX_QUEUE_SIZE="10") as (server, call, scraper),
        held(own_backend),
    ):
        increment(call, namespace, 2)
        scraper.wait_for(4, "spans_waiting")
        increment(call, namespace, 200)

        wait_until(
            lambda: scraper.value("spans_total", outcome="dropped") + scraper.value("spans_waiting") == 404,
            what="every span is dropped or waits",
        )
        assert scraper.value("spans_waiting") <= 10
        assert scraper.value("spans_total", outcome="dropped") >= 394
        assert server.events("spans are dropped because too many wait for their export")
        own_backend.released.set()
        scraper.wait_for(0, "spans_waiting")


def test_an_export_that_takes_too_long_is_given_up(own_backend: Backend, data: str, namespace: str) -> None:
    with (
        serving(own_backend, data, OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="0.2") as (server, call, scraper),
        held(own_backend),
    ):
        increment(call, namespace)

        scraper.wait_for(2, "spans_total", outcome="failed")
        assert "DEADLINE_EXCEEDED" in server.events("spans are not exported")[0]["error"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_last_spans_are_exported_before_a_server_ends(
    workers: int, own_backend: Backend, data: str, namespace: str
) -> None:
    environment = environment_for(own_backend)
    with ServerProcess("--traces", "--data-dir", data, environment=environment, workers=workers) as server:
        caller = Caller(server.target)
        increment(caller, namespace, 5)
        caller.close()
        assert server.stop() == 0

    assert len([each for each in own_backend.spans if each.kind == SERVER]) == 5


def test_a_backend_that_hangs_does_not_keep_a_server_from_ending(
    own_backend: Backend, data: str, namespace: str
) -> None:
    with serving(own_backend, data) as (server, call, _), held(own_backend):
        increment(call, namespace)
        exporter = exporter_of(server)
        assert exporter is not None

        assert server.stop() == 0
        wait_until(lambda: not runs(exporter), what="the exporter has ended")


def test_a_killed_exporter_harms_no_call_and_runs_again(own_backend: Backend, data: str, namespace: str) -> None:
    with serving(own_backend, data) as (server, call, scraper):
        increment(call, namespace)
        scraper.wait_for(2, "spans_total", outcome="exported")
        killed = exporter_of(server)
        assert killed is not None
        with held(own_backend):
            increment(call, namespace)
            scraper.wait_for(2, "spans_waiting")
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: bool(server.events("the process that exports traces ended")), what="it is noticed")
        increment(call, namespace)
        wait_until(lambda: bool(server.events("the process that exports traces runs again")), what="it runs again")
        before = scraper.value("spans_total", outcome="exported")
        increment(call, namespace)

        wait_until(
            lambda: scraper.value("spans_total", outcome="exported") >= before + 2, what="later spans are exported"
        )
        assert scraper.value("spans_total", outcome="lost") == 2
        assert exporter_of(server) not in {None, killed}


def test_the_exporter_of_a_killed_server_ends(own_backend: Backend, data: str, namespace: str) -> None:
    with serving(own_backend, data) as (server, call, _):
        increment(call, namespace)
        exporter = exporter_of(server)
        assert exporter is not None
        server.process.kill()
        server.process.wait(PATIENCE_SECONDS)

        wait_until(lambda: not runs(exporter), what="the exporter has ended")
    with serving(own_backend, data):
        pass  # the next server ends the store that the killed one has left


def test_headers_service_and_resource_come_from_the_environment(
    own_backend: Backend, data: str, namespace: str
) -> None:
    variables = {
        "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%20b, tenant=shop",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "stock",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with serving(own_backend, data, **variables) as (_, call, __):
        increment(call, namespace)
        spans = own_backend.wait_for(lambda each: each.kind == SERVER)

    assert own_backend.metadata[0].items() >= {"api-key": "a b", "tenant": "shop"}.items()
    assert spans[0].resource["service.name"] == "stock"
    assert spans[0].resource["deployment.environment.name"] == "test"


def test_the_exporter_gives_way_to_others(traced: ServerProcess) -> None:
    exporter = exporter_of(traced)
    assert exporter is not None

    assert os.getpriority(os.PRIO_PROCESS, exporter) == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
