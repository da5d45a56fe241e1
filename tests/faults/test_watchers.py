"""Watchers that are killed, that are slow, and five hundred watchers at once."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import Final

from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.inventory_pb2 import SetStockRequest
from tallykeeper.v1.ledger_pb2 import WatchRequest, WatchResponse
from tests.support.client import AsyncCaller, Caller, Failure
from tests.support.server import ThreadedServer, wait_until

KILLS: Final = 50
WRITERS: Final = 8
WATCHERS: Final = 500
CHANNELS: Final = 10
CHANGES: Final = 20
LONG_NAME: Final = "n" * 120
OPERATIONS_MAX: Final = 1_000


@asynccontextmanager
async def load(call: AsyncCaller, namespace: str) -> AsyncIterator[None]:
    """Change a namespace without a pause, with many callers, until the context ends."""
    ended = asyncio.Event()

    async def write() -> None:
        while not ended.is_set():
            await call(IncrementRequest(namespace=namespace, counter="visits"))

    writers = [asyncio.create_task(write()) for _ in range(WRITERS)]
    try:
        yield
    finally:
        ended.set()
        await asyncio.gather(*writers)


async def test_a_watcher_that_is_killed_repeatedly_sees_every_revision_once(
    server: ThreadedServer, namespace: str
) -> None:
    random, seen = Random(1), list[int]()  # noqa: S311  # no secret
    last = 0
    async with AsyncCaller(server.target) as call:
        async with load(call, namespace):
            for _ in range(KILLS):
                async with AsyncCaller(server.target) as watching:
                    responses = watching.stream(WatchRequest(namespace=namespace, after_revision=last))
                    for _ in range(random.randint(1, 5)):
                        response = await anext(responses)
                        seen += [entry.revision for entry in response.entries]
                        last = response.revision
        end = (await call(IncrementRequest(namespace=namespace, counter="visits"))).revision
        async for response in call.stream(WatchRequest(namespace=namespace, after_revision=last)):
            seen += [entry.revision for entry in response.entries]
            if response.revision >= end:
                break

    assert seen == list(range(1, end + 1))


async def _revisions(call: AsyncCaller, namespace: str, ready: asyncio.Queue[None]) -> list[int]:
    """Return the revisions that a watcher sees. Tell ``ready`` when it has seen the first one."""
    seen: list[int] = []
    async for response in call.stream(WatchRequest(namespace=namespace, after_revision=0)):
        if not seen:
            ready.put_nowait(None)
        seen += [entry.revision for entry in response.entries]
        if response.revision > CHANGES:
            break
    return seen


async def test_five_hundred_watchers_of_one_server_see_every_change(server: ThreadedServer, namespace: str) -> None:
    calls = [AsyncCaller(server.target) for _ in range(CHANNELS)]
    change = IncrementRequest(namespace=namespace, counter="visits")
    await calls[0](change)
    ready: asyncio.Queue[None] = asyncio.Queue()
    watchers = [
        asyncio.create_task(_revisions(call, namespace, ready))
        for call in itertools.islice(itertools.cycle(calls), WATCHERS)
    ]
    for _ in range(WATCHERS):
        await asyncio.wait_for(ready.get(), 60.0)

    for _ in range(CHANGES):
        await calls[0](change)

    async with asyncio.timeout(60.0):
        seen = await asyncio.gather(*watchers)
    for call in calls:
        await call.channel.close()
    assert seen == [list(range(1, CHANGES + 2))] * WATCHERS


class Reader:
    """A watcher that reads as fast as it can."""

    def __init__(self, responses: Iterator[WatchResponse]) -> None:
        self._responses = responses
        self.revision = 0
        self.revisions: list[int] = []
        self.failure: Failure | None = None

    def read(self) -> None:
        """Read until the watch ends."""
        try:
            for response in self._responses:
                self.revisions += [entry.revision for entry in response.entries]
                self.revision = response.revision
        except Failure as failure:
            self.failure = failure


@contextmanager
def reading(call: Caller, namespace: str) -> Iterator[Reader]:
    """Watch a namespace from the beginning, in a new thread."""
    with call.stream(WatchRequest(namespace=namespace, after_revision=0), timeout=None) as responses:
        reader = Reader(responses)
        thread = threading.Thread(target=reader.read)
        thread.start()
        yield reader
    thread.join(30.0)


def test_a_watcher_that_does_not_read_is_cut_off_and_slows_nobody(server: ThreadedServer, namespace: str) -> None:
    call, slow_call = Caller(server.target), Caller(server.target)
    operations = [Operation(set_stock=SetStockRequest(item=LONG_NAME, on_hand=1, reference="r" * 200))]
    request = ApplyRequest(namespace=namespace, operations=operations * OPERATIONS_MAX, mode=BATCH_MODE_INDEPENDENT)
    with (
        reading(call, namespace) as fast,
        slow_call.stream(WatchRequest(namespace=namespace, after_revision=0), timeout=None) as slow,
    ):
        last = call(request).revision
        first = next(slow)
        for _ in range(40):
            last = call(request).revision
        wait_until(lambda: fast.revision >= last, what="the watcher that reads has seen everything")
        late = Reader(slow)
        late.read()

    assert fast.revisions == list(range(1, last + 1))
    failure = late.failure
    assert failure is not None
    assert (failure.code, failure.reason) == (StatusCode.RESOURCE_EXHAUSTED, "WATCHER_TOO_SLOW")
    seen = [entry.revision for entry in first.entries] + late.revisions
    assert seen == list(range(1, int(failure.metadata["revision"]) + 1))
    assert len(seen) < last
    call.close()
    slow_call.close()
