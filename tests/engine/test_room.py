"""The limit of waiting calls: a call is refused before it is read, and a batch that is begun comes to its end."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tallykeeper_server.domain.levels import CounterName
from tallykeeper_server.domain.limits import BATCH_PART_OPERATIONS
from tallykeeper_server.domain.mutations import Applied, Bundle, Mutation, Outcome
from tallykeeper_server.domain.queries import Query
from tallykeeper_server.engine.batches import Batch
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.lane import LaneLimits
from tallykeeper_server.metrics.meters import CallMeters
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.rpc.admission import Overload
from tallykeeper_server.rpc.permissions import ROLES
from tallykeeper_server.transport.status import Code
from tests.engine.fake_store import FakeStore
from tests.engine.turns import let_lanes_send

LIMITS = LaneLimits(batch_items_max=2, waiting_items_max=6, pause_seconds=0.0, second_batch_min=1_000)
WAITING = (1, 1, 1, 1, 1, 10)
"""The load that waits: the limit is still exceeded when the next two batches are sent."""


class AppliesAll(FakeStore[Bundle, Sequence[Outcome]]):
    """A store that applies all bundles, once the test releases them."""

    def __init__(self) -> None:
        super().__init__(lambda bundle: [Applied(1, 1, replayed=False, levels=())] * len(bundle.mutations))
        self.hold()
        self.apply = self.send

    def lane_of(self, _: Bundle) -> str:
        return "one"

    def query_lane_of(self, _: Query[Any]) -> str:
        return "one"

    async def read(self, queries: Sequence[Query[Any]]) -> Sequence[object]:
        return queries


def increments(count: int) -> tuple[Mutation, ...]:
    return tuple(Mutation("counter_increment", (CounterName(f"c{number}"),), (1,)) for number in range(count))


Applying = asyncio.Task[Sequence[Outcome]]


async def full_engine(store: AppliesAll) -> tuple[Engine, list[Applying]]:
    """Return an engine with a full backlog. The first of its batches is under way, and has another step."""
    engine = Engine(store, mutation_limits=LIMITS, query_limits=LIMITS)
    deadline = asyncio.get_running_loop().time() + 20.0
    batches = []
    for count in (BATCH_PART_OPERATIONS + 1, *WAITING):
        batch = Batch(namespace="shop", mutations=increments(count), request_id="", atomic=count in WAITING)
        batches.append(asyncio.create_task(engine.apply_batch(batch, deadline=deadline)))
        await let_lanes_send()
    return engine, batches


async def test_a_batch_that_is_begun_comes_to_its_end_however_many_wait() -> None:
    store = AppliesAll()
    engine, batches = await full_engine(store)
    assert engine.mutations.is_full

    store.release()

    assert [len(outcomes) for outcomes in await asyncio.gather(*batches)] == [BATCH_PART_OPERATIONS + 1, *WAITING]


async def test_a_call_is_refused_before_its_request_is_read_while_as_many_wait_as_may() -> None:
    store, meters = AppliesAll(), CallMeters(Metrics())
    engine, batches = await full_engine(store)
    overload = Overload(mutations=engine.mutations, queries=engine.queries)
    for name in ("BatchService.Apply", "CounterService.GetCounter"):
        overload.watch(f"/{name}", ROLES[name], meters.of(*name.split("."), streams=False))

    refusal = overload.admit("/BatchService.Apply")

    assert refusal is not None
    assert refusal.code is Code.RESOURCE_EXHAUSTED
    assert ("grpc-retry-pushback-ms", "100") in refusal.trailers
    assert overload.admit("/CounterService.GetCounter") is None
    assert overload.admit("/grpc.health.v1.Health/Check") is None
    store.release()
    await asyncio.gather(*batches)
    assert overload.admit("/BatchService.Apply") is None
