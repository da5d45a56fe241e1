"""Metrics with several workers: one page for all of them, and no counter that goes backwards."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tests.server.metrics_page import COUNTERS, Scraper
from tests.support.client import OWN_CONNECTION, Caller
from tests.support.server import ServerProcess, wait_until

WORKERS = 3
CONNECTIONS = 20
INCREMENTS = {"service": COUNTERS, "method": "Increment", "code": "OK"}


@contextmanager
def served(directory: Path) -> Iterator[tuple[ServerProcess, Scraper]]:
    arguments = ("--data-dir", str(directory), "--log-level", "debug")
    with ServerProcess(*arguments, workers=WORKERS) as server:
        yield server, Scraper(server)


def increment(server: ServerProcess) -> None:
    """Increment a counter over many connections, so that each worker serves some of them."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            call = Caller(server.target, OWN_CONNECTION)
            stack.callback(call.close)
            call(IncrementRequest(counter="v"))


def test_the_counts_of_the_workers_are_added(tmp_path: Path) -> None:
    with served(tmp_path) as (server, scraper):
        increment(server)

        assert scraper.value("calls_total", **INCREMENTS) == CONNECTIONS
        assert scraper.value("call_duration_seconds_count", service=COUNTERS, method="Increment") == CONNECTIONS
        assert scraper.value("workers") == WORKERS
        assert scraper.value("worker_restarts_total") == 0


def test_no_counter_goes_backwards_when_a_worker_is_killed(tmp_path: Path) -> None:
    with served(tmp_path) as (server, scraper):
        increment(server)
        scraper.wait_for(CONNECTIONS, "calls_total", **INCREMENTS)

        os.kill(server.worker_ids[1], signal.SIGKILL)
        scraper.wait_for(1, "worker_restarts_total")

        assert scraper.value("calls_total", **INCREMENTS) == CONNECTIONS
        assert scraper.value("workers") == WORKERS
        increment(server)
        assert scraper.value("calls_total", **INCREMENTS) == 2 * CONNECTIONS


def test_no_counter_goes_backwards_when_the_workers_are_replaced(tmp_path: Path) -> None:
    with served(tmp_path) as (server, scraper):
        increment(server)
        scraper.wait_for(CONNECTIONS, "calls_total", **INCREMENTS)

        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: bool(server.events("the settings are in force")), what="the workers are replaced")

        assert scraper.value("calls_total", **INCREMENTS) == CONNECTIONS
        assert scraper.value("workers") == WORKERS
        assert scraper.value("worker_restarts_total") == 0


def _scraped(scraper: Scraper) -> float | None:
    """Return the increments on the page; None if the connection went to the worker that hangs."""
    try:
        return scraper.value("calls_total", **INCREMENTS)
    except OSError:
        return None


def test_the_page_answers_while_a_worker_hangs(tmp_path: Path) -> None:
    with served(tmp_path) as (server, scraper):
        increment(server)
        scraper.wait_for(CONNECTIONS, "calls_total", **INCREMENTS)

        os.kill(server.worker_ids[1], signal.SIGSTOP)
        try:
            scraper.timeout_seconds = 4.0  # longer than the supervisor waits for a worker's metrics
            wait_until(lambda: _scraped(scraper) == CONNECTIONS, what="a worker that runs shows the metrics")
        finally:
            os.kill(server.worker_ids[1], signal.SIGCONT)
