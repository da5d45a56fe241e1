"""Reads with long responses: the number that runs and that waits, the time they wait, and when none is begun."""

import asyncio

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1 import batch_pb2, inventory_pb2
from tallykeeper.v1.inventory_pb2 import (
    BatchGetStockRequest,
    GetItemRequest,
    ListStockRequest,
    ListStockResponse,
    StockKey,
)
from tallykeeper.v1.ledger_pb2 import OPERATION_KIND_RESERVE, ListEntriesRequest
from tallykeeper_server.domain.errors import DeadlineExceededError, OverloadedError
from tallykeeper_server.engine.entry_pages import STEP_ENTRIES
from tallykeeper_server.metrics.recorders import Gauge
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.response_limits import ENTRIES_MAX, ENTRIES_MIN, ResponseLimits, entries_of

READS_MAX = ENTRIES_MAX // ENTRIES_MIN

WAITING_MAX = 2
UNREAD_MAX = 1 << 20
LIST_STOCK, DECREMENT_COPIES = (
    inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"].methods_by_name[name]
    for name in ("ListStock", "DecrementCopies")
)
APPLY = batch_pb2.DESCRIPTOR.services_by_name["BatchService"].methods_by_name["Apply"]


class Listing:
    """A method that answers when its gate is open, and counts the calls that have begun."""

    def __init__(self, method: MethodDescriptor = LIST_STOCK) -> None:
        self.gate = asyncio.Event()
        self.begun = 0
        self.meter = Gauge()
        self.unread = 0
        limits = ResponseLimits(UNREAD_MAX, WAITING_MAX)
        limits.track_unread(lambda: self.unread, self.meter)
        self.limited = limits.wrap(method, self._answer)

    async def _answer(self, _: Message, __: Call) -> Message:
        self.begun += 1
        await self.gate.wait()
        return ListStockResponse()

    async def calls(self, count: int, *, seconds: float = 20.0, page_size: int = 1) -> list[asyncio.Task[Message]]:
        """Make ``count`` calls, and let each run until it waits."""
        call = Call(deadline=asyncio.get_running_loop().time() + seconds)
        made = [asyncio.ensure_future(self.limited(ListStockRequest(page_size=page_size), call)) for _ in range(count)]
        await asyncio.sleep(0.01)
        return made


async def test_reads_beyond_the_turns_wait_and_beyond_those_that_may_are_refused() -> None:
    listing = Listing()

    taken = await listing.calls(READS_MAX + WAITING_MAX)
    (refused,) = await listing.calls(1)

    assert listing.begun == READS_MAX
    with pytest.raises(OverloadedError):
        await refused
    listing.gate.set()
    assert await asyncio.gather(*taken) == [ListStockResponse()] * len(taken)
    assert await asyncio.gather(*await listing.calls(1)) == [ListStockResponse()]


async def test_large_pages_take_more_room_and_keep_their_order() -> None:
    listing = Listing()

    large = await listing.calls(4, page_size=1_000)
    assert listing.begun == 2
    small = await listing.calls(1)  # there is room for it, but the large calls came first
    assert listing.begun == 2

    with pytest.raises(OverloadedError):
        await small[0]
    large[2].cancel()
    await asyncio.wait([large[2]])
    small = await listing.calls(1)
    assert listing.begun == 2
    large[3].cancel()
    await asyncio.wait([large[3]])
    await asyncio.sleep(0.01)
    assert listing.begun == 3, "a small one runs when no large one waits before it"
    listing.gate.set()
    await asyncio.gather(*large[:2], *small)


@pytest.mark.parametrize(
    ("request_", "entries"),
    [
        (ListStockRequest(), 100),
        (ListStockRequest(page_size=1), ENTRIES_MIN),
        (ListStockRequest(page_size=700), 700),
        (ListStockRequest(page_size=100_000), 1_000),
        (BatchGetStockRequest(keys=[StockKey(item="dune")] * 500), 500),
        (GetItemRequest(item="dune"), ENTRIES_MIN),
        (
            ListEntriesRequest(namespace="shop", page_size=50, newest_first=True, page_token="next"),  # noqa: S106  # no password
            50,
        ),
        (ListEntriesRequest(page_size=50, item="dune"), STEP_ENTRIES),
        (ListEntriesRequest(end_time=Timestamp()), STEP_ENTRIES),
        (ListEntriesRequest(page_size=700, operation=OPERATION_KIND_RESERVE), 700),
    ],
)
def test_a_request_counts_by_the_entries_that_it_asks_for(request_: Message, entries: int) -> None:
    assert entries_of(request_) == entries


async def test_a_read_waits_for_its_turn_until_its_deadline() -> None:
    listing = Listing()
    taken = await listing.calls(READS_MAX)

    for _ in range(WAITING_MAX + 1):  # a call that gave up does not wait any more
        (late,) = await listing.calls(1, seconds=0.005)
        with pytest.raises(DeadlineExceededError):
            await late

    listing.gate.set()
    await asyncio.gather(*taken)
    assert listing.begun == READS_MAX


async def test_a_caller_who_leaves_takes_no_turn_along() -> None:
    listing = Listing()
    taken = await listing.calls(READS_MAX + WAITING_MAX)

    for call in taken:
        call.cancel()
    await asyncio.wait(taken)

    await listing.calls(READS_MAX)
    assert listing.begun == 2 * READS_MAX
    listing.gate.set()


@pytest.mark.parametrize("method", [APPLY, DECREMENT_COPIES])
async def test_changes_and_what_may_take_minutes_take_no_turns(method: MethodDescriptor) -> None:
    listing = Listing(method)

    await listing.calls(READS_MAX + WAITING_MAX + 1)

    assert listing.begun == READS_MAX + WAITING_MAX + 1
    listing.gate.set()


@pytest.mark.parametrize("method", [LIST_STOCK, APPLY])
async def test_where_callers_have_too_much_to_read_nothing_more_is_begun_until_they_have(
    method: MethodDescriptor,
) -> None:
    listing = Listing(method)
    listing.gate.set()
    about = Call(deadline=asyncio.get_running_loop().time() + 20.0)

    listing.unread = UNREAD_MAX

    assert listing.meter.read() == UNREAD_MAX
    with pytest.raises(OverloadedError):
        await listing.limited(ListStockRequest(), about)
    listing.unread -= 1
    await listing.limited(ListStockRequest(), about)
    assert listing.begun == 1
