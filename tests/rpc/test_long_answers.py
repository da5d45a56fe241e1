"""What is answered at length takes turns, for which no more wait, and no longer, than may."""

import asyncio

import pytest
from google.protobuf.message import Message

from tallykeeper.v1.inventory_pb2 import ListStockRequest, ListStockResponse
from tallykeeper_server.domain.errors import DeadlineExceededError, OverloadedError
from tallykeeper_server.metrics.recorders import Gauge
from tallykeeper_server.rpc.calls import Call
from tallykeeper_server.rpc.long_answers import READS_MAX, LongAnswers

WAITING_MAX = 2


class Listing:
    """A method that answers when its gate is open, and knows how many it has begun."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun = 0
        self.limited = LongAnswers(1 << 20, WAITING_MAX, Gauge()).limited(self._answer, takes_turns=True)

    async def _answer(self, _: Message, __: Call) -> Message:
        self.begun += 1
        await self.gate.wait()
        return ListStockResponse()

    async def calls(self, count: int, *, seconds: float = 20.0) -> list[asyncio.Task[Message]]:
        """Make so many, and let them come as far as they can."""
        call = Call(deadline=asyncio.get_running_loop().time() + seconds)
        made = [asyncio.ensure_future(self.limited(ListStockRequest(), call)) for _ in range(count)]
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


async def test_a_read_waits_for_its_turn_until_its_deadline() -> None:
    listing = Listing()
    taken = await listing.calls(READS_MAX)

    for _ in range(WAITING_MAX + 1):  # those that gave up wait no more
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
