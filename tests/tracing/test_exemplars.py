"""Exemplars: the histogram of call durations names a trace for each bucket, in OpenMetrics and with traces alone."""

import re
import time
from urllib.request import Request, urlopen

import pytest
from prometheus_client.core import Exemplar as PrometheusExemplar
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest
from tallykeeper_server.metrics import families
from tallykeeper_server.metrics.meters import CallMeters, ExemplarCallMeter
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.metrics.snapshots import Exemplar, Sample, Snapshot, merge
from tests.support.client import Caller, Failure
from tests.support.server import PATIENCE_SECONDS, ServerProcess

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def page(server: ServerProcess, accept: str) -> str:
    """Return the page of the metrics in a format."""
    request = Request(f"{server.http_url}/metrics", headers={"Accept": accept})  # noqa: S310  # http, on this machine
    with urlopen(request, timeout=PATIENCE_SECONDS) as response:  # noqa: S310  # on loopback
        return str(response.read().decode())


def exemplars(server: ServerProcess, method: str) -> dict[str, PrometheusExemplar]:
    """Return the exemplars of a method's durations, by their trace ids."""
    families_on_page = text_string_to_metric_families(page(server, OPENMETRICS))  # type: ignore[no-untyped-call]  # it has no types
    found = (sample for family in families_on_page for sample in family.samples if sample.exemplar)
    return {
        each.exemplar.labels["trace_id"]: each.exemplar
        for each in found
        if each.name == "tallykeeper_call_duration_seconds_bucket" and each.labels["method"] == method
    }


def test_a_bucket_names_the_last_call_in_it(call: Caller, traced: ServerProcess, namespace: str, trace_id: str) -> None:
    call(IncrementRequest(namespace=namespace, counter="v"))

    exemplar = exemplars(traced, "Increment")[trace_id]
    assert 0 < exemplar.value < 60
    assert exemplar.timestamp is not None
    assert abs(float(exemplar.timestamp) - time.time()) < 60
    assert re.fullmatch("[0-9a-f]{16}", exemplar.labels["span_id"])


def test_a_failed_call_is_an_exemplar_too(call: Caller, traced: ServerProcess, namespace: str, trace_id: str) -> None:
    with pytest.raises(Failure):
        call(DecrementCopiesRequest(namespace=namespace, item="dune"))

    assert trace_id in exemplars(traced, "DecrementCopies")


def test_the_text_format_has_no_exemplars(call: Caller, traced: ServerProcess, namespace: str) -> None:
    call(IncrementRequest(namespace=namespace, counter="v"))

    text = page(traced, "text/plain")
    assert "tallykeeper_call_duration_seconds_bucket" in text
    assert "trace_id" not in text


def test_without_traces_there_are_none(data: str, namespace: str) -> None:
    with ServerProcess("--data-dir", data) as server:
        caller = Caller(server.target)
        caller(IncrementRequest(namespace=namespace, counter="v"))
        caller.close()
        text = page(server, OPENMETRICS)

    assert "tallykeeper_call_duration_seconds_bucket" in text
    assert "trace_id" not in text
    assert "tallykeeper_spans" not in text


def test_calls_with_and_without_a_span_are_counted_in_the_same_histogram() -> None:
    metrics = Metrics("one")
    meter = CallMeters(metrics, meter_class=ExemplarCallMeter).of("S", "M", streams=False)
    assert isinstance(meter, ExemplarCallMeter)

    meter.succeeded(time.perf_counter())
    meter.succeeded_in(b"\x0a" * 24, 1.0, 1.3)
    meter.failed_in(b"\x0c" * 16 + b"\x0d" * 8, 1.0, 1.4, "NOT_FOUND", "ITEM_NOT_FOUND")

    (sample,) = metrics.snapshot()["samples"][families.CALL_DURATION.name]
    assert sum(sample["numbers"][:-1]) == 3
    (exemplar,) = sample["exemplars"].values()
    assert (exemplar["trace_id"], exemplar["span_id"]) == ("0c" * 16, "0d" * 8)
    assert exemplar["value"] == pytest.approx(0.4)
    codes = metrics.snapshot()["samples"][families.CALLS.name]
    assert {tuple(each["labels"]): each["numbers"] for each in codes} == {
        ("S", "M", "OK"): [2],
        ("S", "M", "NOT_FOUND"): [1],
    }


def test_of_several_processes_the_newest_exemplar_of_each_bucket_stays() -> None:
    def snapshot(process: str, **exemplars: Exemplar) -> Snapshot:
        numbers = [1.0] * (len(families.CALL_DURATION.bounds) + 2)
        sample = Sample(labels=["S", "M"], numbers=numbers, exemplars=exemplars)
        return Snapshot(process=process, samples={families.CALL_DURATION.name: [sample]})

    def exemplar(trace_id: str, at: float) -> Exemplar:
        return Exemplar(value=0.1, time=at, trace_id=trace_id, span_id="s")

    first = snapshot("one", **{"0": exemplar("old", 1.0), "1": exemplar("new", 4.0)})
    second = snapshot("two", **{"0": exemplar("new", 2.0), "1": exemplar("old", 3.0), "2": exemplar("only", 1.0)})

    (merged,) = merge([first, second])["samples"][families.CALL_DURATION.name]
    assert {bucket: each["trace_id"] for bucket, each in merged["exemplars"].items()} == {
        "0": "new",
        "1": "new",
        "2": "only",
    }
