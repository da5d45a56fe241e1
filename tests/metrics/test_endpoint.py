"""The endpoint of the metrics: its answers, its limits and its end."""

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from typing import NamedTuple

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from tallykeeper_server.metrics import endpoint, families
from tallykeeper_server.metrics.endpoint import metrics_served
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.metrics.snapshots import Snapshot

HOST = "127.0.0.1"
PATIENCE_SECONDS = 20.0


class Answer(NamedTuple):
    """A response."""

    status: int
    content_type: str
    body: bytes


def get(port: int, path: str = "/metrics", *, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
    connection = HTTPConnection(HOST, port, timeout=PATIENCE_SECONDS)
    connection.request(method, path, headers=dict(headers or {}))
    response = connection.getresponse()
    answer = Answer(response.status, response.headers.get("Content-Type", ""), response.read())
    connection.close()
    return answer


async def ask(port: int, path: str = "/metrics", **options: str) -> Answer:
    return await asyncio.to_thread(get, port, path, headers=options)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(process="p")


async def test_the_page_shows_the_merged_values_of_the_processes(metrics: Metrics) -> None:
    metrics.counter(families.REPLAYS).add(3)

    async def gather() -> Sequence[Snapshot]:
        return [metrics.snapshot(), {**metrics.snapshot(), "process": "q"}]

    async with metrics_served(HOST, 0, gather) as port:
        answer = await ask(port)

    assert (answer.status, answer.content_type.split(";")[0]) == (200, "text/plain")
    (replays,) = [
        family
        for family in text_string_to_metric_families(answer.body.decode())
        if family.name == "tallykeeper_replays"
    ]
    assert replays.samples[0].value == 6


async def test_the_page_is_open_metrics_on_request(metrics: Metrics) -> None:
    async with metrics_served(HOST, 0, metrics.gather) as port:
        answer = await ask(port, Accept="application/openmetrics-text; version=1.0.0")

    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metric", "/favicon.ico"])
async def test_there_is_nothing_at_any_other_path(metrics: Metrics, path: str) -> None:
    async with metrics_served(HOST, 0, metrics.gather) as port:
        assert (await ask(port, path)).status == 404


async def test_the_page_can_only_be_read(metrics: Metrics) -> None:
    async with metrics_served(HOST, 0, metrics.gather) as port:
        assert (await asyncio.to_thread(get, port, method="POST")).status == 405


async def test_an_invalid_request_is_refused_and_the_next_is_answered(metrics: Metrics) -> None:
    async with metrics_served(HOST, 0, metrics.gather) as port:
        with socket.create_connection((HOST, port), PATIENCE_SECONDS) as connection:
            connection.sendall(b"rubbish that is no request\r\n\r\n")
            response = await asyncio.to_thread(connection.recv, 1_000)
        assert b"400" in response
        assert (await ask(port)).status == 200


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110  # another thread makes it true
            await asyncio.sleep(0.01)


async def test_a_silent_client_is_cut_off(metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint._Handler, "timeout", 0.05)  # noqa: SLF001  # so that the test is short
    async with metrics_served(HOST, 0, metrics.gather) as port:
        with socket.create_connection((HOST, port), PATIENCE_SECONDS) as connection:
            assert await asyncio.to_thread(connection.recv, 1_000) == b""


@pytest.mark.parametrize("begun", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\nslow: "])
@pytest.mark.parametrize("count", [8, 200])
async def test_slow_clients_do_not_keep_a_scrape_from_being_answered(
    metrics: Metrics, count: int, begun: bytes
) -> None:
    async with metrics_served(HOST, 0, metrics.gather) as port:
        slow = [socket.create_connection((HOST, port), PATIENCE_SECONDS) for _ in range(count)]
        try:
            for connection in slow:
                with suppress(OSError):  # the client has been cut off
                    connection.sendall(begun)
            statuses = [(await ask(port)).status for _ in range(5)]
        finally:
            for connection in slow:
                connection.close()

    assert statuses == [200] * 5


async def test_clients_that_send_a_byte_at_a_time_or_read_nothing_are_cut_off(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(endpoint, "_CONNECTION_SECONDS", 0.2)
    async with metrics_served(HOST, 0, metrics.gather) as port:
        for request in (b"GET /metrics HTTP/1.1\r\n", b"GET /metrics HTTP/1.1\r\n\r\n" * 2):
            with socket.create_connection((HOST, port), PATIENCE_SECONDS) as connection:
                connection.sendall(request)

                def drip(connection: socket.socket = connection) -> bool:
                    """Send another byte. Return True if the connection has been cut off."""
                    connection.settimeout(0.02)
                    try:
                        connection.sendall(b"a")
                        return connection.recv(100_000) == b""
                    except TimeoutError:
                        return False
                    except OSError:
                        return True

                async with asyncio.timeout(PATIENCE_SECONDS):
                    while not await asyncio.to_thread(drip):
                        pass


async def test_processes_that_do_not_answer_in_time_are_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "GATHER_SECONDS", 0.05)

    async def gather() -> Sequence[Snapshot]:
        await asyncio.Event().wait()
        return []

    async with metrics_served(HOST, 0, gather) as port:
        assert (await ask(port)).status == 503


async def test_a_defect_is_a_500_without_details() -> None:
    async def gather() -> Sequence[Snapshot]:
        message = "secret"
        raise ValueError(message)

    with structlog.testing.capture_logs() as logs:
        async with metrics_served(HOST, 0, gather) as port:
            answer = await ask(port)

    assert answer.status == 500
    assert b"secret" not in answer.body
    assert [entry["event"] for entry in logs] == ["metrics could not be gathered"]


async def test_a_stopped_endpoint_does_not_listen_and_leaves_no_thread(metrics: Metrics) -> None:
    async with metrics_served(HOST, 0, metrics.gather) as port:
        await ask(port)

    with pytest.raises(ConnectionRefusedError):
        get(port)
    await until(lambda: not any(thread.name == "metrics" for thread in threading.enumerate()))


async def test_a_request_during_the_stop_is_answered(metrics: Metrics) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def gather() -> Sequence[Snapshot]:
        asked.set()
        await go_on.wait()
        return [metrics.snapshot()]

    async with metrics_served(HOST, 0, gather) as port:
        answer = asyncio.create_task(ask(port))
        await asked.wait()
        asyncio.get_running_loop().call_later(0.2, go_on.set)

    assert (await answer).status == 200


async def test_a_port_in_use_is_not_shared(metrics: Metrics) -> None:
    async with metrics_served(HOST, 0, metrics.gather) as port:
        with pytest.raises(OSError, match="in use"):
            async with metrics_served(HOST, port, metrics.gather):
                pass


async def test_the_endpoint_listens_on_ipv6(metrics: Metrics) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with metrics_served("::1", 0, metrics.gather) as port:
        with socket.create_connection(("::1", port), PATIENCE_SECONDS) as connection:
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert b" 200 " in await asyncio.to_thread(connection.recv, 100)
