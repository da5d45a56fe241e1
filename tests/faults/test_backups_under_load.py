"""Ten backups while 2,000 changes are made each second: each holds what was acknowledged before it, and nothing else.

A history of every request and of every answer judges the restored data.
"""

import asyncio
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from google.protobuf.duration_pb2 import Duration

from tallykeeper.v1.batch_pb2 import ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest, ListCountersRequest
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest, ListStockRequest, SetStockRequest
from tallykeeper.v1.ledger_pb2 import Entry
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.embedded.backups import back_up
from tests.server.backup_streams import run, shell
from tests.support.batches import mode_of
from tests.support.client import AsyncCaller, Caller
from tests.support.ledger import entries_of
from tests.support.server import ServerProcess, ThreadedServer, wait_until

BACKUPS: Final = 10
CHANGES_PER_SECOND: Final = 2_000
CHANGES_BETWEEN: Final = 500
"""The number of changes between a backup and the next one."""
CALLERS: Final = 10
NAMESPACES: Final = ("library", "shop")
ITEMS: Final = tuple(f"item-{number}" for number in range(20))
ON_HAND: Final = 1_000_000
REPLAYED: Final = 20
"""The number of requests that are sent again to each restored server."""


class Answered(NamedTuple):
    """A request that was acknowledged."""

    request: Any
    answer: Any
    entries: int
    """The number of entries that it makes in the ledger."""


@dataclass(slots=True)
class History:
    """All requests, and those that were acknowledged in their order."""

    sent: dict[str, int] = field(default_factory=dict)
    """The number of entries that each request makes, by its request id."""
    answered: list[Answered] = field(default_factory=list)

    @property
    def changes(self) -> int:
        """The number of changes that were acknowledged."""
        return sum(each.entries for each in self.answered)

    def has(self, changes: int) -> bool:
        """Return True if this number of changes was acknowledged."""
        return self.changes >= changes


def _request(namespace: str, request_id: str, number: int) -> tuple[Any, int]:
    """Return a request, and the number of entries that it makes: mostly a batch of 20, sometimes a single change."""
    item = ITEMS[number % len(ITEMS)]
    fields: Any = {"namespace": namespace, "request_id": request_id}
    if number % 10 == 0:
        return IncrementRequest(counter="visits", **fields), 1
    if number % 10 == 1:
        lines = [StockLine(item=item, copies=2)]
        return ReserveRequest(lines=lines, ttl=Duration(seconds=86_400), **fields), 1
    operations = [Operation(increment=IncrementRequest(counter=f"page-{each}", delta=each)) for each in range(1, 20)]
    operations.append(Operation(decrement_copies=DecrementCopiesRequest(item=item, copies=1)))
    return ApplyRequest(operations=operations, mode=mode_of(atomic=number % 2 == 0), **fields), len(operations)


async def _call_on(call: AsyncCaller, caller: int, history: History, stop: threading.Event) -> None:
    """Make changes at a tenth of the rate until the stop."""
    loop = asyncio.get_running_loop()
    number, due = 0, loop.time()
    while not stop.is_set():
        request, entries = _request(NAMESPACES[caller % 2], f"{caller}-{number}", number)
        history.sent[request.request_id] = entries
        answer = await call(request)
        history.answered.append(Answered(request, answer, entries))
        number += 1
        due += entries * CALLERS / CHANGES_PER_SECOND
        await asyncio.sleep(due - loop.time())


@contextmanager
def load(target: str) -> Iterator[History]:
    """Change both namespaces while the context lasts."""
    history, stop, failures = History(), threading.Event(), list[BaseException]()

    async def main() -> None:
        async with AsyncCaller(target) as call, asyncio.TaskGroup() as tasks:
            for caller in range(CALLERS):
                tasks.create_task(_call_on(call, caller, history, stop))

    def in_thread() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  # raised again in the test
            failures.append(error)

    thread = threading.Thread(target=in_thread)
    thread.start()
    try:
        yield history
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


@dataclass(frozen=True, slots=True)
class Copy:
    """A backup, and the number of requests that had been acknowledged before it began."""

    source: Path
    acknowledged: int


def _make_backup(data_dir: Path, to: Path, *, by_pipe: bool) -> None:
    """Make a backup by the command and a pipe, or without a command, so that it begins at once."""
    if by_pipe:
        command = shell('"$0" backup - --data-dir "$1" | cat > "$2"', data_dir, to)
        subprocess.run(command, check=True, capture_output=True)
    else:
        assert back_up(data_dir, to).online


@dataclass(frozen=True, slots=True)
class Found:
    """The contents of a namespace that was restored."""

    entries: Sequence[Entry]
    counters: Mapping[str, int]
    stock: Mapping[str, tuple[int, int]]


def _found(call: Caller, namespace: str) -> Found:
    entries = entries_of(call, namespace)
    counters = {
        each.counter: each.value
        for page in call.pages(ListCountersRequest(namespace=namespace, page_size=1_000))
        for each in page.counters
    }
    stock = {
        each.item: (each.on_hand, each.reserved)
        for page in call.pages(ListStockRequest(namespace=namespace, page_size=1_000))
        for each in page.stock_levels
    }
    return Found(entries, counters, stock)


def _sums(entries: Sequence[Entry]) -> tuple[Mapping[str, int], Mapping[str, tuple[int, int]]]:
    """Return the counters and the stock to which the changes of a ledger add up."""
    counters: Counter[str] = Counter()
    on_hand: Counter[str] = Counter()
    reserved: Counter[str] = Counter()
    for entry in entries:
        for line in entry.lines:
            if line.HasField("counter"):
                counters[line.counter.counter] += line.counter.value_change
            else:
                on_hand[line.stock.item] += line.stock.on_hand_change
                reserved[line.stock.item] += line.stock.reserved_change
    return dict(counters), {item: (on_hand[item], reserved[item]) for item in on_hand}


def judge(call: Caller, history: History, acknowledged: Sequence[Answered]) -> Mapping[str, Sequence[Entry]]:
    """Compare a restored server with the history. Return its ledgers.

    It holds all ``acknowledged`` requests, other requests as a whole or not at all, and nothing that was not sent. Its
    levels are the sums of its ledgers.
    """
    ledgers = {}
    for namespace in NAMESPACES:
        found = _found(call, namespace)
        ledgers[namespace] = found.entries
        assert [entry.revision for entry in found.entries] == list(range(1, len(found.entries) + 1))
        assert (found.counters, found.stock) == _sums(found.entries)
        held = Counter(entry.request_id for entry in found.entries if entry.request_id)
        assert {request_id: history.sent[request_id] for request_id in held} == held
        mine = [each for each in acknowledged if each.request.namespace == namespace]
        assert mine
        assert {each.request.request_id for each in mine} <= held.keys()
        assert max(each.answer.revision for each in mine) <= len(found.entries)
    for each in acknowledged[-REPLAYED:]:
        again = call(each.request)
        assert again.replayed
        assert again.revision == each.answer.revision
    return ledgers


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment during the load."""

    ms: int
    """The time in milliseconds since 1970."""
    acknowledged: int
    """The number of requests that had been acknowledged before."""
    sent: frozenset[str]
    """The request ids of all requests that were sent before or in this millisecond."""


def _moment(history: History) -> Moment:
    acknowledged = len(history.answered)
    ms = time.time_ns() // 1_000_000
    wait_until(lambda: time.time_ns() // 1_000_000 > ms, what="the millisecond is over")
    return Moment(ms, acknowledged, frozenset(dict(history.sent)))


@contextmanager
def restored(source: Path, to: Path, *options: str) -> Iterator[Caller]:
    """Restore a source, and run a server on it while the context lasts."""
    done = run("restore", source, "--data-dir", to, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "; 2 namespaces, no differences" in done.stdout
    with ThreadedServer(Settings(listen="127.0.0.1:0", data_dir=to)) as server:
        call = Caller(server.target)
        yield call
        call.close()


@pytest.mark.long
def test_ten_backups_under_2000_changes_per_second_and_a_moment_are_restored_and_verified(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    copies: list[Copy] = []
    moments: list[Moment] = []
    with ServerProcess("--data-dir", str(data_dir)) as server:
        call = Caller(server.target)
        for namespace in NAMESPACES:
            for item in ITEMS:
                call(SetStockRequest(namespace=namespace, item=item, on_hand=ON_HAND))
        began_at = time.monotonic()
        with load(server.target) as history:
            for number in range(BACKUPS):
                ready = history.changes + CHANGES_BETWEEN
                wait_until(partial(history.has, ready), what="changes are made")
                copies.append(Copy(tmp_path / f"copy-{number}", len(history.answered)))
                _make_backup(data_dir, copies[-1].source, by_pipe=number % 2 == 1)
                moments.append(_moment(history))
        rate = history.changes / (time.monotonic() - began_at)
        ledgers = {namespace: entries_of(call, namespace) for namespace in NAMESPACES}
        call.close()

    print(f"{history.changes} changes were acknowledged, {rate:.0f} a second")  # noqa: T201  # pytest shows it with -s
    for number, copy in enumerate(copies):
        with restored(copy.source, tmp_path / f"restored-{number}") as call:
            found = judge(call, history, history.answered[: copy.acknowledged])
        for namespace in NAMESPACES:
            assert found[namespace] == ledgers[namespace][: len(found[namespace])]
    moment = moments[BACKUPS // 2]
    with restored(data_dir, tmp_path / "moment", "--until", _rfc_3339(moment.ms)) as call:
        found = judge(call, history, history.answered[: moment.acknowledged])
    for namespace in NAMESPACES:
        expected = [entry for entry in ledgers[namespace] if entry.commit_time.ToMilliseconds() <= moment.ms]
        assert found[namespace] == expected
        assert {entry.request_id for entry in expected if entry.request_id} <= moment.sent


def _rfc_3339(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1_000, UTC):%Y-%m-%dT%H:%M:%S}.{ms % 1_000:03}Z"
