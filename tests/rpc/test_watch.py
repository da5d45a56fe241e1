"""Watch: the new entries of the ledger in order, without a gap or a repeat."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import Counter, IncrementRequest
from tallykeeper.v1.inventory_pb2 import IncrementCopiesRequest, MoveCopiesRequest, SetStockRequest, StockLevel
from tallykeeper.v1.ledger_pb2 import Entry, ListEntriesRequest, WatchRequest, WatchResponse
from tallykeeper.v1.reservation_pb2 import ReleaseRequest, ReserveRequest, StockLine
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.valkey import find_binary
from tests.support.batches import mode_of
from tests.support.client import Caller, Failure
from tests.support.clock import await_time, later
from tests.support.server import ThreadedServer, store_process, wait_until


def through(responses: Iterator[WatchResponse], revision: int) -> list[Entry]:
    """Return the entries that are sent up to a revision. The revisions must rise."""
    entries: list[Entry] = []
    sent = 0
    for response in responses:
        assert response.revision >= sent
        assert all(sent < entry.revision <= response.revision for entry in response.entries)
        sent = response.revision
        entries += response.entries
        if sent >= revision:
            return entries
    pytest.fail("the watch ended by itself")


def first_entries(responses: Iterator[WatchResponse]) -> list[Entry]:
    """Return the entries of the first response with entries. The others only say how far the watch has come."""
    return next(list(response.entries) for response in responses if response.entries)


def count(call: Caller, namespace: str, counter: str = "visits") -> int:
    """Increment a counter, and return the revision."""
    return int(call(IncrementRequest(namespace=namespace, counter=counter)).revision)


def failed_watch(call: Caller, request: WatchRequest) -> Failure:
    """Return the failure of a watch."""
    with pytest.raises(Failure) as caught, call.stream(request) as responses:
        for _ in responses:
            pass
    return caught.value


def test_it_sends_what_there_is_and_then_what_is_made(call: Caller, namespace: str) -> None:
    for _ in range(3):
        count(call, namespace)

    with call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        before = through(responses, 3)
        meanwhile = []
        for _ in range(3):
            meanwhile += through(responses, count(call, namespace))

    listed = call(ListEntriesRequest(namespace=namespace)).entries
    assert before + meanwhile == list(listed)


def test_it_begins_after_the_revision(call: Caller, namespace: str) -> None:
    last = [count(call, namespace) for _ in range(5)][-1]

    with call.stream(WatchRequest(namespace=namespace, after_revision=3)) as responses:
        assert [entry.revision for entry in through(responses, last)] == [4, 5]


def test_without_a_revision_it_begins_with_what_is_made_from_now_on(call: Caller, namespace: str) -> None:
    before = count(call, namespace)
    received: list[Entry] = []

    with call.stream(WatchRequest(namespace=namespace)) as responses:
        reader = threading.Thread(target=lambda: received.extend(first_entries(responses)))
        reader.start()
        wait_until(lambda: count(call, namespace) > 0 and not reader.is_alive(), what="the watch sends something")

    assert received[0].revision > before


def test_a_namespace_that_does_not_exist_yet_can_be_watched(call: Caller, namespace: str) -> None:
    with call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        assert [entry.revision for entry in through(responses, count(call, namespace))] == [1]


def test_it_sends_nothing_of_another_namespace(call: Caller, namespace: str) -> None:
    with call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        count(call, f"{namespace}.b", "other")
        count(call, namespace, "own")
        entries = through(responses, 1)

    assert [entry.lines[0].counter.counter for entry in entries] == ["own"]


@pytest.mark.parametrize("atomic", [False, True])
def test_a_large_batch_is_sent_entry_by_entry(call: Caller, namespace: str, *, atomic: bool) -> None:
    operations = [Operation(increment=IncrementRequest(counter="visits"))] * 1_000

    with call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        call(ApplyRequest(namespace=namespace, operations=operations, mode=mode_of(atomic=atomic)))
        entries = through(responses, 1_000)

    assert [entry.revision for entry in entries] == list(range(1, 1_001))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"items": ["dune"]}, [2, 4, 5, 6]),
        ({"items": ["emma"]}, [3]),
        ({"items": ["dune", "emma"], "locations": ["annex"]}, [3, 4]),
        ({"items": ["dune"], "locations": ["main", "annex"]}, [2, 4, 5, 6]),
        ({"counters": ["visits"]}, [1, 8]),
        ({"counters": ["dune"]}, [7]),
        ({"reservation_ids": ["basket"]}, [5, 6]),
        ({"items": ["emma"], "counters": ["visits"], "reservation_ids": ["basket"]}, [1, 3, 5, 6, 8]),
        ({"counters": ["visits"], "items": ["dune"], "locations": ["annex"]}, [1, 4, 8]),
        ({"items": ["nothing"]}, []),
    ],
)
def test_it_sends_only_what_is_watched_and_tells_how_far_it_is(
    call: Caller, namespace: str, filters: dict[str, list[str]], expected: list[int]
) -> None:
    count(call, namespace)
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=9))
    call(SetStockRequest(namespace=namespace, item="emma", location="annex", on_hand=9))
    call(MoveCopiesRequest(namespace=namespace, item="dune", to_location="annex", copies=4))
    call(ReserveRequest(namespace=namespace, reservation_id="basket", lines=[StockLine(item="dune")]))
    call(ReleaseRequest(namespace=namespace, reservation_id="basket"))
    count(call, namespace, "dune")
    count(call, namespace)
    last = count(call, namespace, "another")
    names: dict[str, Any] = dict(filters)
    request = WatchRequest(namespace=namespace, after_revision=0, **names)

    with call.stream(request) as responses:
        assert [entry.revision for entry in through(responses, last)] == expected


def test_it_sends_the_levels_first_where_asked_to(call: Caller, namespace: str) -> None:
    count(call, namespace, "b")
    count(call, namespace, "a")
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    call(IncrementCopiesRequest(namespace=namespace, item="dune", location="annex"))

    with call.stream(WatchRequest(namespace=namespace, include_levels=True)) as responses:
        first = next(responses)
        entries = through(responses, count(call, namespace, "a"))

    assert (first.revision, list(first.entries)) == (4, [])
    assert sorted(first.stock_levels, key=lambda level: level.location) == [
        StockLevel(item="dune", location="annex", on_hand=1, available=1),
        StockLevel(item="dune", location="main", on_hand=5, available=5),
    ]
    assert sorted(first.counters, key=lambda counter: counter.counter) == [
        Counter(counter="a", value=1),
        Counter(counter="b", value=1),
    ]
    assert [entry.revision for entry in entries] == [5]


def test_it_sends_only_the_levels_that_are_watched(call: Caller, namespace: str) -> None:
    for counter in ("a", "b"):
        count(call, namespace, counter)
    for item in ("dune", "emma"):
        for location in ("main", "annex"):
            call(SetStockRequest(namespace=namespace, item=item, location=location, on_hand=0))
    request = WatchRequest(
        namespace=namespace, include_levels=True, items=["dune", "none"], counters=["b"], locations=["annex"]
    )

    with call.stream(request) as responses:
        first = next(responses)

    assert [(level.item, level.location) for level in first.stock_levels] == [("dune", "annex")]
    assert [counter.counter for counter in first.counters] == ["b"]
    assert not first.entries


def test_no_change_falls_between_the_levels_and_the_entries(call: Caller, namespace: str) -> None:
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            count(call, namespace)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: bool(call(ListEntriesRequest(namespace=namespace)).entries), what="the first change")
        for _ in range(20):
            with call.stream(WatchRequest(namespace=namespace, include_levels=True)) as responses:
                first = next(responses)
                entries = through(responses, first.revision + 3)
            assert first.counters[0].value == first.revision
            assert [entry.revision for entry in entries][:3] == [first.revision + ahead for ahead in (1, 2, 3)]
    finally:
        done.set()
        writer.join()


def test_a_revision_that_has_not_come_yet_is_refused(call: Caller, namespace: str) -> None:
    count(call, namespace)

    failure = failed_watch(call, WatchRequest(namespace=namespace, after_revision=2))

    assert (failure.code, failure.reason) == (StatusCode.OUT_OF_RANGE, "REVISION_AHEAD")
    assert failure.metadata == {"after_revision": "2", "revision": "1"}


def test_a_revision_whose_successors_were_dropped_is_refused(tmp_path: Path, namespace: str) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(store_process(find_binary(None), tmp_path))
        settings = Settings(listen="127.0.0.1:0", store=url, ledger_revisions_max=10)
        call = Caller(stack.enter_context(ThreadedServer(settings)).target)
        stack.callback(call.close)
        oldest_first = ListEntriesRequest(namespace=namespace, page_size=1)
        wait_until(
            lambda: count(call, namespace) > 10 and call(oldest_first).entries[0].revision > 2,
            what="the oldest entries are dropped",
        )
        oldest = call(oldest_first).entries[0].revision

        failure = failed_watch(call, WatchRequest(namespace=namespace, after_revision=oldest - 2))
        with call.stream(WatchRequest(namespace=namespace, after_revision=oldest - 1)) as responses:
            first = next(responses).entries[0]

    assert (failure.code, failure.reason) == (StatusCode.OUT_OF_RANGE, "REVISION_TRIMMED")
    assert failure.metadata == {"after_revision": str(oldest - 2), "oldest": str(oldest)}
    assert first.revision == oldest


def test_a_server_that_stops_says_where_to_begin_again(store_url: str, call: Caller, namespace: str) -> None:
    failures: list[Failure] = []

    def watch(caller: Caller, started: threading.Event) -> None:
        with caller.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
            through(responses, 3)
            started.set()
            try:
                through(responses, 4)
            except Failure as failure:
                failures.append(failure)

    for _ in range(3):
        count(call, namespace)
    with ThreadedServer(Settings(listen="127.0.0.1:0", store=store_url)) as stopping:
        caller, started = Caller(stopping.target), threading.Event()
        watcher = threading.Thread(target=watch, args=(caller, started))
        watcher.start()
        assert started.wait(30.0)
    watcher.join(30.0)
    caller.close()

    (failure,) = failures
    assert (failure.code, failure.reason) == (StatusCode.UNAVAILABLE, "SHUTTING_DOWN")
    assert failure.metadata == {"revision": "3"}


def test_a_watch_outlives_the_deadline_of_calls_that_set_none(
    store_url: str, raw_store: redis.Redis, namespace: str
) -> None:
    settings = Settings(listen="127.0.0.1:0", store=store_url, deadline_seconds=0.3)
    with ThreadedServer(settings) as server:
        caller = Caller(server.target)
        begun = caller(IncrementRequest(namespace=namespace, counter="visits")).commit_time
        with caller.stream(WatchRequest(namespace=namespace, after_revision=0), timeout=None) as responses:
            through(responses, 1)
            await_time(raw_store, later(begun, 1_000))

            entries = through(responses, count(caller, namespace))
        caller.close()

    assert [entry.revision for entry in entries] == [2]
