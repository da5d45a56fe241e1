"""The metrics of losses, delays and slow callers, as soon as these occur."""

from collections.abc import Iterator
from contextlib import ExitStack

import grpc
import pytest

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.ledger_pb2 import WatchRequest
from tests.faults.proxy import LossyProxy
from tests.server.metrics_page import COUNTERS, Scraper
from tests.support.client import Caller, Failure
from tests.support.server import ServerProcess
from tests.support.suspension import stopped

INCREMENT = {"service": COUNTERS, "method": "Increment"}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as exit_stack:
        yield exit_stack


def start(stack: ExitStack, store: str, *settings: str) -> tuple[Caller, Scraper]:
    """Start a server on a store, and return a caller and a reader of its metrics."""
    server = stack.enter_context(ServerProcess("--store", store, *settings))
    call = Caller(server.target)
    stack.callback(call.close)
    return call, Scraper(server)


def test_a_lost_reply_and_its_repeat_are_counted(own_store: str, stack: ExitStack) -> None:
    proxy = stack.enter_context(LossyProxy(own_store.removeprefix("unix://")))
    call, scraper = start(stack, proxy.url)
    call(IncrementRequest(counter="v"))
    proxy.cut_reply_to(b"EVALSHA")

    call(IncrementRequest(counter="v", request_id="r"))

    scraper.wait_for(1, "store_losses_total", lane="mutations", outcome="unknown")
    scraper.wait_for(1, "store_retries_total", lane="mutations")
    scraper.wait_for(1, "replays_total")
    scraper.wait_for(0, "store_losses_total", lane="mutations", outcome="unavailable")
    scraper.wait_for(3, "lane_wait_seconds_count", lane="mutations")


def test_a_lost_store_is_counted_with_the_errors_of_its_callers(own_store: str, stack: ExitStack) -> None:
    proxy = stack.enter_context(LossyProxy(own_store.removeprefix("unix://")))
    call, scraper = start(stack, proxy.url)
    call(IncrementRequest(counter="v"))
    proxy.cut_reply_to(b"EVALSHA")

    with pytest.raises(Failure):
        call(IncrementRequest(counter="v"))

    scraper.wait_for(1, "calls_total", **INCREMENT, code="UNKNOWN")
    scraper.wait_for(1, "refusals_total", reason="OUTCOME_UNKNOWN")
    scraper.wait_for(0, "store_retries_total", lane="mutations")


def test_the_page_shows_the_waiting_calls_while_the_store_does_not_answer(own_store: str, stack: ExitStack) -> None:
    call, scraper = start(stack, own_store)
    increment: grpc.UnaryUnaryMultiCallable[bytes, bytes] = call.channel.unary_unary(f"/{COUNTERS}/Increment")
    raw = IncrementRequest(counter="v").SerializeToString()
    call.send(IncrementRequest, raw)

    with stopped(own_store):
        under_way = increment.future(raw, timeout=60.0)
        scraper.wait_for(2, "lane_wait_seconds_count", lane="mutations")
        waiting = [increment.future(raw, timeout=60.0) for _ in range(3)]
        scraper.wait_for(3, "lane_depth", lane="mutations")
        waiting.pop().cancel()
        scraper.wait_for(1, "calls_total", **INCREMENT, code="CANCELLED")
        with pytest.raises(Failure):
            call.send(IncrementRequest, raw, timeout=0.2)
        scraper.wait_for(1, "calls_total", **INCREMENT, code="DEADLINE_EXCEEDED")

    for future in (under_way, *waiting):
        future.result(20.0)
    scraper.wait_for(4, "calls_total", **INCREMENT, code="OK")
    scraper.wait_for(6, "call_duration_seconds_count", **INCREMENT)
    scraper.wait_for(0, "lane_depth", lane="mutations")


def test_a_full_lane_is_counted_as_a_refusal(own_store: str, stack: ExitStack) -> None:
    call, scraper = start(stack, own_store, "--waiting-mutations-max", "1")
    increment: grpc.UnaryUnaryMultiCallable[bytes, bytes] = call.channel.unary_unary(f"/{COUNTERS}/Increment")
    raw = IncrementRequest(counter="v").SerializeToString()

    with stopped(own_store):
        futures = [increment.future(raw, timeout=60.0)]
        scraper.wait_for(
            1, "lane_batch_calls_count", lane="mutations"
        )  # it is in flight, and the lane has room for one call
        futures += [increment.future(raw, timeout=60.0) for _ in range(4)]
        scraper.wait_for(3, "refusals_total", reason="OVERLOADED")
        scraper.wait_for(3, "calls_total", **INCREMENT, code="RESOURCE_EXHAUSTED")

    assert sum(future.exception(20.0) is None for future in futures) == 2


def test_a_watcher_that_is_cut_off_is_counted(own_store: str, stack: ExitStack) -> None:
    call, scraper = start(stack, own_store, "--watch-buffer-entries-max", "1")
    operations = [Operation(increment=IncrementRequest(counter="v"))] * 5

    with call.stream(WatchRequest()) as responses:
        next(responses)
        call(ApplyRequest(operations=operations, mode=BATCH_MODE_INDEPENDENT))
        with pytest.raises(Failure) as raised:
            list(responses)

    assert raised.value.reason == "WATCHER_TOO_SLOW"
    scraper.wait_for(1, "watchers_cut_off_total")
    scraper.wait_for(0, "watchers")
    scraper.wait_for(0, "watch_entries_total")
