"""What waits has a limit: a batch is refused before it is read, and one that is begun comes to its end."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tallykeeper.v1.batch_pb2 import ApplyRequest, Operation
from tallykeeper_server.domain.errors import InvalidFieldError, OverloadedError
from tallykeeper_server.domain.levels import CounterName
from tallykeeper_server.domain.limits import BATCH_PART_OPERATIONS
from tallykeeper_server.domain.mutations import Applied, Bundle, Mutation, Outcome
from tallykeeper_server.domain.queries import Query
from tallykeeper_server.engine.batching import Batch
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.lane import LaneLimits
from tallykeeper_server.rpc.batches import BatchServicer, changes_of_operations
from tallykeeper_server.rpc.calls import Call
from tallykeeper_server.rpc.reservation_changes import ReservationChanges

LIMITS = LaneLimits(batch_items_max=2, waiting_items_max=6, pause_seconds=0.0, second_items_min=1_000)
WAITING = (1, 1, 1, 1, 1, 10)
"""So much waits that the limit is exceeded still when the next two are sent."""


class HeldStore:
    """Applies all that it is given, once its gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    def lane_of(self, _: Bundle) -> str:
        return "one"

    def query_lane_of(self, _: Query[Any]) -> str:
        return "one"

    async def apply(self, bundles: Sequence[Bundle]) -> Sequence[Sequence[Outcome]]:
        await self.gate.wait()
        return [[Applied(1, 1, replayed=False, levels=())] * len(bundle.mutations) for bundle in bundles]

    async def read(self, queries: Sequence[Query[Any]]) -> Sequence[object]:
        return queries


def increments(count: int) -> tuple[Mutation, ...]:
    return tuple(Mutation("counter_increment", (CounterName(f"c{number}"),), (1,)) for number in range(count))


Applying = asyncio.Task[Sequence[Outcome]]


async def full_engine(store: HeldStore) -> tuple[Engine, list[Applying]]:
    """Return an engine in which more waits than may; the first of its batches is under way, and has another step."""
    engine = Engine(store, mutation_limits=LIMITS, query_limits=LIMITS)
    deadline = asyncio.get_running_loop().time() + 20.0
    batches = []
    for count in (BATCH_PART_OPERATIONS + 1, *WAITING):
        batch = Batch(namespace="shop", mutations=increments(count), request_id="", atomic=count in WAITING)
        batches.append(asyncio.create_task(engine.apply_batch(batch, deadline=deadline)))
        await asyncio.sleep(0)
    return engine, batches


async def test_a_batch_that_is_begun_comes_to_its_end_however_many_wait() -> None:
    store = HeldStore()
    engine, batches = await full_engine(store)
    with pytest.raises(OverloadedError):
        engine.check_room()

    store.gate.set()

    assert [len(outcomes) for outcomes in await asyncio.gather(*batches)] == [BATCH_PART_OPERATIONS + 1, *WAITING]


async def test_a_batch_is_refused_before_it_is_read() -> None:
    store = HeldStore()
    engine, batches = await full_engine(store)
    servicer = BatchServicer(engine, changes_of_operations(ReservationChanges(lifetime_ms_max=1)))
    unreadable, call = ApplyRequest(operations=[Operation()]), Call(deadline=asyncio.get_running_loop().time() + 20.0)

    with pytest.raises(OverloadedError):
        await servicer.Apply(unreadable, call)

    store.gate.set()
    await asyncio.gather(*batches)
    with pytest.raises(InvalidFieldError):
        await servicer.Apply(unreadable, call)
