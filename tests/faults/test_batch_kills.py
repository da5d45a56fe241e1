"""An independent batch that is interrupted. Its repeat applies the rest, and each operation counts once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, ApplyResponse, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.ledger_pb2 import (
    LookupRequestRequest,
    LookupRequestResponse,
    RequestOutcome,
)
from tallykeeper_server.store.embedded.valkey import find_binary
from tests.faults.proxy import LossyProxy
from tests.support.client import Caller, Failure
from tests.support.ledger import entries_of
from tests.support.server import ServerProcess, store_process, wait_until

OPERATIONS = 1_000
EVALSHA = b"EVALSHA"


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[str]:
    """The URL of this test's own store."""
    with store_process(find_binary(None), tmp_path) as url:
        yield url


def batch(namespace: str) -> ApplyRequest:
    """Return a thousand increments: alternately of a new counter and of one shared counter."""
    operations = [
        Operation(increment=IncrementRequest(counter=f"counter-{number // 2}" if number % 2 else "all"))
        for number in range(OPERATIONS)
    ]
    return ApplyRequest(namespace=namespace, request_id="r1", operations=operations, mode=BATCH_MODE_INDEPENDENT)


def look_up(call: Caller, namespace: str) -> LookupRequestResponse:
    """Return the outcome of the batch."""
    response: LookupRequestResponse = call(LookupRequestRequest(namespace=namespace, request_id="r1"))
    return response


def compare(call: Caller, namespace: str, response: ApplyResponse) -> None:
    """Check that each operation was applied exactly once, and that the results say so."""
    revisions = [result.increment.revision for result in response.results]
    assert (response.failed_count, sorted(revisions)) == (0, list(range(1, OPERATIONS + 1)))
    entries = entries_of(call, namespace, request_id="r1")
    by_revision = {entry.revision: entry.lines[0] for entry in entries}
    assert len(entries) == len(by_revision) == OPERATIONS
    assert [by_revision[revision].counter.after for revision in revisions] == [
        result.increment.counter for result in response.results
    ]
    assert max(line.counter.after.value for line in by_revision.values()) == OPERATIONS // 2
    found = look_up(call, namespace)
    assert (found.outcome, found.applied_count) == (RequestOutcome.REQUEST_OUTCOME_APPLIED, OPERATIONS)
    assert call.verify(namespace).clean


def start_and_hold(proxy: LossyProxy, call: Caller, namespace: str) -> tuple[threading.Thread, list[Any]]:
    """Start the batch. Return as soon as a part of it was applied and the next part is held back."""
    ends: list[Any] = []

    def apply() -> None:
        try:
            ends.append(call(batch(namespace), timeout=60.0))
        except Failure as failure:
            ends.append(failure)

    proxy.hold_back(EVALSHA, after=1)
    caller = threading.Thread(target=apply)
    caller.start()
    assert proxy.holds.wait(30.0)
    return caller, ends


def test_a_repeat_completes_a_batch_whose_server_was_killed(own_store: str, namespace: str) -> None:
    with ExitStack() as stack:
        proxy = stack.enter_context(LossyProxy(own_store.removeprefix("unix://")))
        lost = stack.enter_context(ServerProcess("--store", proxy.url))
        next_one = Caller(stack.enter_context(ServerProcess("--store", own_store)).target)
        stack.callback(next_one.close)
        caller, ends = start_and_hold(proxy, Caller(lost.target), namespace)
        lost.process.kill()
        caller.join()
        wait_until(lambda: look_up(next_one, namespace).applied_count > 0, what="the first part is applied")
        cut_short = look_up(next_one, namespace)

        response = next_one(batch(namespace), timeout=60.0)
        again = next_one(batch(namespace), timeout=60.0)

        assert isinstance(ends[0], Failure)
        assert cut_short.outcome == RequestOutcome.REQUEST_OUTCOME_INCOMPLETE
        assert 0 < cut_short.applied_count == cut_short.revision < OPERATIONS
        assert (response.replayed, again.replayed) == (False, True)
        compare(next_one, namespace, response)
        compare(next_one, namespace, again)


def test_a_repeat_completes_a_batch_whose_store_was_killed(tmp_path: Path, namespace: str) -> None:
    with ExitStack() as stack:
        first_life = stack.enter_context(ExitStack())
        url = first_life.enter_context(store_process(find_binary(None), tmp_path))
        proxy = stack.enter_context(LossyProxy(url.removeprefix("unix://")))
        call = Caller(stack.enter_context(ServerProcess("--store", proxy.url)).target)
        stack.callback(call.close)
        caller, _ = start_and_hold(proxy, call, namespace)
        _kill(url)
        first_life.close()
        stack.enter_context(store_process(find_binary(None), tmp_path))
        proxy.let_pass()
        caller.join()

        responses: list[ApplyResponse] = []
        wait_until(lambda: _succeeds(call, namespace, responses), what="the batch is completed")

        compare(call, namespace, responses[0])


def _kill(url: str) -> None:
    with redis.Redis.from_url(url) as connection:
        os.kill(int(connection.info("server")["process_id"]), signal.SIGKILL)


def _succeeds(call: Caller, namespace: str, responses: list[ApplyResponse]) -> bool:
    try:
        responses.append(call(batch(namespace)))
    except Failure as failure:
        assert failure.reason in {"STORE_UNAVAILABLE", "OUTCOME_UNKNOWN", ""}  # noqa: PT017  # any other is a defect
        return False
    return True
