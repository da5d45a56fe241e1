"""The page of the metrics, as an ASGI application, and the common page of several processes."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tallykeeper_server.metrics import families, snapshots
from tallykeeper_server.metrics.endpoint import metrics_page
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.metrics.snapshots import Gather, Snapshot, merged


async def get(gather: Gather, accept: bytes = b"*/*") -> tuple[int, bytes, bytes]:
    """Return the status, the content type and the body."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    headers = [(b"accept", accept)]
    scope = {"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "headers": headers}
    await metrics_page(merged(gather))(scope, receive, send)
    start, *bodies = sent
    content_type = {name.lower(): value for name, value in start["headers"]}[b"content-type"]
    return start["status"], content_type, b"".join(event["body"] for event in bodies)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(process="p")


async def test_the_page_shows_the_sum_of_all_processes(metrics: Metrics) -> None:
    metrics.counter(families.REPLAYS).add(3)

    async def gather() -> Sequence[Snapshot]:
        return [metrics.snapshot(), {**metrics.snapshot(), "process": "q"}]

    status, content_type, body = await get(gather)

    assert (status, content_type.split(b";")[0]) == (200, b"text/plain")
    found = [each for each in text_string_to_metric_families(body.decode()) if each.name == "tallykeeper_replays"]
    assert found[0].samples[0].value == 6


async def test_a_client_gets_open_metrics_if_it_asks_for_them(metrics: Metrics) -> None:
    _, content_type, body = await get(metrics.gather, b"application/openmetrics-text; version=1.0.0")

    assert content_type.startswith(b"application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


async def test_processes_that_do_not_answer_in_time_are_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "GATHER_SECONDS", 0.05)

    async def gather() -> Sequence[Snapshot]:
        await asyncio.Event().wait()
        return []

    assert (await get(gather))[0] == 503
