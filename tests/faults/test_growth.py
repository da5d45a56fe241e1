"""The memory of a worker does not grow with the number of calls that it has served."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Final

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest
from tests.support.client import AsyncCaller, Failure
from tests.support.server import ServerProcess

KINDS: Final = 6
AT_ONCE: Final = 66 * KINDS
WARMING_ROUNDS: Final = 20
ROUNDS: Final = 80
LEFT_BYTES_MAX: Final = 400
"""The greatest growth of memory for each call, as an average of all kinds. It is four times a worker's variation."""


async def call_often(caller: AsyncCaller, rounds: range) -> Counter[str]:
    """Make calls with every outcome: served, repeated, refused, and invalid. Return the number of calls by outcome."""
    ends: Counter[str] = Counter()

    async def call(number: int) -> None:
        requests = (
            IncrementRequest(counter="visits", request_id=f"r-{number}"),
            IncrementRequest(counter="visits", request_id=f"r-{number - 1 - AT_ONCE}"),
            GetCounterRequest(counter="hits"),
            ApplyRequest(
                operations=[Operation(increment=IncrementRequest(counter="visits"))] * 3, mode=BATCH_MODE_INDEPENDENT
            ),
            DecrementCopiesRequest(item="dune", copies=1),
            IncrementRequest(counter="", request_id=f"r-{number}"),
        )
        try:
            answer = await caller(requests[number % KINDS])
        except Failure as failure:
            ends[failure.reason] += 1
        else:
            ends["replayed" if getattr(answer, "replayed", False) else "served"] += 1

    for first in rounds:
        await asyncio.gather(*(call(first * AT_ONCE + number) for number in range(AT_ONCE)))
    return ends


def test_a_worker_does_not_grow_with_the_calls_that_it_has_served(tmp_path: Path) -> None:
    async def growth(server: ServerProcess) -> tuple[float, Counter[str]]:
        async with AsyncCaller(server.target) as caller:
            await call_often(caller, range(WARMING_ROUNDS))
            before = server.memory_mib
            ends = await call_often(caller, range(WARMING_ROUNDS, WARMING_ROUNDS + ROUNDS))
            return server.memory_mib - before, ends

    with ServerProcess("--data-dir", str(tmp_path)) as server:
        grown_mib, ends = asyncio.run(growth(server))

    of_each = ROUNDS * AT_ONCE // KINDS
    ways = ("replayed", "COUNTER_NOT_FOUND", "ITEM_NOT_FOUND", "INVALID_FIELD")
    assert ends == {"served": 2 * of_each, **dict.fromkeys(ways, of_each)}
    assert grown_mib * 2**20 < ROUNDS * AT_ONCE * LEFT_BYTES_MAX
