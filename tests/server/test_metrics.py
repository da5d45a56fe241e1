"""Metrics of a real server: each changes with the events that it counts."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest, IncrementCopiesRequest
from tallykeeper.v1.ledger_pb2 import WatchRequest
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tests.server.metrics_page import COUNTERS, INVENTORY, Scraper
from tests.support.client import Caller, Failure
from tests.support.server import ServerProcess, wait_until

LEDGER = "tallykeeper.v1.LedgerService"


@pytest.fixture(scope="module")
def served_metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Caller, Scraper]]:
    """A server with metrics, as its caller and the reader of its metrics."""
    data = tmp_path_factory.mktemp("data")
    with ServerProcess("--data-dir", str(data), "--sweep-seconds", "0.02") as server:
        call = Caller(server.target)
        yield call, Scraper(server)
        call.close()


@pytest.fixture
def call(served_metrics: tuple[Caller, Scraper]) -> Caller:
    return served_metrics[0]


@pytest.fixture
def scraper(served_metrics: tuple[Caller, Scraper]) -> Scraper:
    return served_metrics[1]


@contextmanager
def grows(scraper: Scraper, by: float, name: str, **labels: str) -> Iterator[None]:
    """Check that a value has grown by an amount at the end."""
    before = scraper.value(name, **labels)
    yield
    scraper.wait_for(before + by, name, **labels)


def test_a_call_is_counted_by_method_and_code_and_its_time_is_kept(
    call: Caller, scraper: Scraper, namespace: str
) -> None:
    method = {"service": COUNTERS, "method": "Increment"}
    with ExitStack() as stack:
        stack.enter_context(grows(scraper, 2, "calls_total", **method, code="OK"))
        stack.enter_context(grows(scraper, 1, "calls_total", **method, code="INVALID_ARGUMENT"))
        stack.enter_context(grows(scraper, 3, "call_duration_seconds_count", **method))
        stack.enter_context(grows(scraper, 3, "call_duration_seconds_bucket", **method, le="+Inf"))

        for name in ("v", "v", ""):
            with suppress(Failure):
                call(IncrementRequest(namespace=namespace, counter=name))

    assert 0 < scraper.value("call_duration_seconds_sum", **method) < 60


def test_an_undecodable_message_is_counted(call: Caller, scraper: Scraper) -> None:
    with (
        grows(scraper, 1, "calls_total", service=COUNTERS, method="GetCounter", code="INVALID_ARGUMENT"),
        grows(scraper, 1, "refusals_total", reason="INVALID_FIELD"),
        pytest.raises(Failure),
    ):
        call.send(GetCounterRequest, b"\xff")


def test_refusals_are_counted_by_reason_also_within_batches(call: Caller, scraper: Scraper, namespace: str) -> None:
    short = DecrementCopiesRequest(item="dune", copies=5)
    call(IncrementCopiesRequest(namespace=namespace, item="dune"))

    with grows(scraper, 1, "refusals_total", reason="INSUFFICIENT_STOCK"), pytest.raises(Failure):
        call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=5))
    with (
        grows(scraper, 2, "refusals_total", reason="INSUFFICIENT_STOCK"),
        grows(scraper, 1, "calls_total", service="tallykeeper.v1.BatchService", method="Apply", code="OK"),
    ):
        call(
            ApplyRequest(
                namespace=namespace, operations=[Operation(decrement_copies=short)] * 2, mode=BATCH_MODE_INDEPENDENT
            )
        )


def test_replays_are_counted(call: Caller, scraper: Scraper, namespace: str) -> None:
    with grows(scraper, 2, "replays_total"):
        for _ in range(3):
            call(IncrementRequest(namespace=namespace, counter="v", request_id="r"))


def test_scripts_are_counted_with_their_mutations_and_their_time(
    call: Caller, scraper: Scraper, namespace: str
) -> None:
    operations = [Operation(increment=IncrementRequest(counter=f"c{place}")) for place in range(7)]
    with ExitStack() as stack:
        for name, count in (("script_duration_seconds", 1), ("script_mutations", 1)):
            stack.enter_context(grows(scraper, count, f"{name}_count"))
        stack.enter_context(grows(scraper, 7, "script_mutations_sum"))
        stack.enter_context(grows(scraper, 1, "script_mutations_bucket", le="8.0"))
        stack.enter_context(grows(scraper, 0, "script_mutations_bucket", le="4.0"))

        call(ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_INDEPENDENT))


@pytest.mark.parametrize(
    ("lane", "request_of"),
    [
        ("mutations", lambda namespace: IncrementRequest(namespace=namespace, counter="v")),
        ("queries", lambda namespace: GetCounterRequest(namespace=namespace, counter="v")),
    ],
)
def test_waits_in_a_lane_are_recorded_and_the_lane_is_empty_again(
    call: Caller,
    scraper: Scraper,
    namespace: str,
    lane: str,
    request_of: Callable[[str], IncrementRequest | GetCounterRequest],
) -> None:
    with (
        grows(scraper, 1, "lane_wait_seconds_count", lane=lane),
        grows(scraper, 1, "lane_batch_calls_count", lane=lane),
        suppress(Failure),
    ):
        call(request_of(namespace))

    assert scraper.series()["tallykeeper_lane_depth", frozenset({("lane", lane)})] == 0


def test_the_store_is_checked_regularly_and_the_time_recorded(scraper: Scraper) -> None:
    before = scraper.value("store_round_trip_seconds_count")

    wait_until(lambda: scraper.value("store_round_trip_seconds_count") > before, what="the store is asked")

    assert scraper.value("store_round_trip_seconds_sum") > 0


def test_reservations_are_counted_while_they_are_open_and_when_they_expire(
    call: Caller, scraper: Scraper, namespace: str
) -> None:
    call(IncrementCopiesRequest(namespace=namespace, item="dune", copies=10))
    reserve = ReserveRequest(namespace=namespace, lines=[StockLine(item="dune")])
    reserve.ttl.FromSeconds(60)

    with grows(scraper, 2, "reservations_open"):
        for reservation_id in "ab":
            reserve.reservation_id = reservation_id
            call(reserve)
    with grows(scraper, 1, "reservations_expired_total"), grows(scraper, 0, "reservations_open"):
        reserve.reservation_id = "short"
        reserve.ttl.FromMilliseconds(1_000)
        call(reserve)


def test_watchers_and_their_entries_are_counted(call: Caller, scraper: Scraper, namespace: str) -> None:
    with grows(scraper, 3, "watch_entries_total"), grows(scraper, 0, "watchers"):
        before = scraper.value("watchers")
        with call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
            for _ in range(3):
                call(IncrementRequest(namespace=namespace, counter="v"))
            given = 0
            while given < 3:
                given += len(next(responses).entries)
            scraper.wait_for(before + 1, "watchers")


def test_a_stream_is_counted_at_its_end_and_has_no_duration(call: Caller, scraper: Scraper, namespace: str) -> None:
    method = {"service": LEDGER, "method": "Watch"}

    with (
        grows(scraper, 1, "calls_total", **method, code="CANCELLED"),
        call.stream(WatchRequest(namespace=namespace)) as responses,
    ):
        next(responses)
    with grows(scraper, 1, "calls_total", **method, code="OUT_OF_RANGE"), pytest.raises(Failure):
        call(WatchRequest(namespace=namespace, after_revision=5))

    assert ("tallykeeper_call_duration_seconds_count", frozenset(method.items())) not in scraper.series()


def test_a_stream_that_its_caller_leaves_unread_is_counted(call: Caller, scraper: Scraper, namespace: str) -> None:
    operations = [Operation(increment=IncrementRequest(counter="v", reference="x" * 256))] * 1_000
    for _ in range(3):
        call(ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_INDEPENDENT))
    given = scraper.value("watch_entries_total")

    with (
        grows(scraper, 1, "calls_total", service=LEDGER, method="Watch", code="CANCELLED"),
        grows(scraper, 0, "watchers"),
        call.stream(WatchRequest(namespace=namespace, after_revision=0)),
    ):
        wait_until(lambda: scraper.value("watch_entries_total") > given, what="an entry is sent")


def test_an_unknown_method_is_not_counted_by_name(call: Caller, scraper: Scraper) -> None:
    series = scraper.series().keys()

    for path in (f"/{COUNTERS}/Explode", "/no.such.Service/Explode"):
        unknown: grpc.UnaryUnaryMultiCallable[bytes, bytes] = call.channel.unary_unary(path)
        with pytest.raises(grpc.RpcError):
            unknown(b"", timeout=20.0)

    assert scraper.series().keys() == series
    assert not any("Explode" in str(key) for key in series)


def test_every_method_and_every_reason_begins_at_zero(scraper: Scraper) -> None:
    series = scraper.series()

    for service, method in ((INVENTORY, "MoveCopies"), (LEDGER, "Watch")):
        labels = frozenset({"service": service, "method": method, "code": "OK"}.items())
        assert series["tallykeeper_calls_total", labels] == 0
    assert series["tallykeeper_refusals_total", frozenset({("reason", "STORE_OUT_OF_MEMORY")})] == 0


def test_the_page_shows_the_version_and_the_resources_in_use(scraper: Scraper) -> None:
    series = scraper.series()

    (build,) = [dict(labels) for name, labels in series if name == "tallykeeper_build_info"]
    assert build.keys() == {"version", "python"}
    if Path("/proc/self/stat").exists():
        assert series["process_resident_memory_bytes", frozenset()] > 1_000_000


def test_the_page_can_be_read_by_many_at_once(scraper: Scraper) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(len(scraper.series()))) for _ in range(6)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 6
