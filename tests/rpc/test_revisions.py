"""The revision of each read: the answer shows the namespace at that revision, whatever changes at the same time."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest
import redis

from tallykeeper.v1.batch_pb2 import BATCH_MODE_ATOMIC, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import (
    BatchGetCountersRequest,
    GetCounterRequest,
    IncrementRequest,
    ListCountersRequest,
)
from tallykeeper.v1.inventory_pb2 import (
    AvailabilityLine,
    BatchGetStockRequest,
    CheckAvailabilityRequest,
    GetItemRequest,
    GetStockRequest,
    IncrementCopiesRequest,
    ListStockRequest,
    StockKey,
)
from tallykeeper.v1.ledger_pb2 import ListEntriesRequest, LookupRequestRequest
from tallykeeper.v1.namespace_pb2 import GetNamespaceRequest, ListNamespacesRequest
from tallykeeper.v1.reservation_pb2 import (
    GetReservationRequest,
    ListReservationsRequest,
    ReserveRequest,
    StockLine,
)
from tests.support.client import AsyncCaller, Caller
from tests.support.server import ThreadedServer
from tests.support.slot_moves import in_namespace

ROUNDS: Final = 40


class Read(NamedTuple):
    """A read of a namespace that gets a copy and a visit in each step of two revisions."""

    request: Any
    shown: Callable[[Any], int]
    """Returns the number of steps that an answer shows."""


READS: Final = [
    Read(GetCounterRequest(counter="visits"), lambda answer: answer.counter.value),
    Read(BatchGetCountersRequest(counters=["visits"]), lambda answer: answer.counters[0].value),
    Read(ListCountersRequest(), lambda answer: answer.counters[0].value),
    Read(GetStockRequest(item="dune"), lambda answer: answer.stock_level.on_hand),
    Read(BatchGetStockRequest(keys=[StockKey(item="dune")]), lambda answer: answer.stock_levels[0].on_hand),
    Read(GetItemRequest(item="dune"), lambda answer: answer.total_on_hand),
    Read(ListStockRequest(), lambda answer: answer.stock_levels[0].on_hand),
    Read(CheckAvailabilityRequest(lines=[AvailabilityLine(item="dune")]), lambda answer: answer.lines[0].available),
    Read(ListEntriesRequest(newest_first=True), lambda answer: answer.entries[0].revision // 2),
    Read(ListEntriesRequest(page_size=1_000), lambda answer: answer.entries[-1].revision // 2),
    Read(GetNamespaceRequest(), lambda answer: answer.namespace.revision // 2),
]


def step(namespace: str) -> ApplyRequest:
    """Return a batch that makes two revisions in one step of the store."""
    operations = [
        Operation(increment=IncrementRequest(counter="visits")),
        Operation(increment_copies=IncrementCopiesRequest(item="dune")),
    ]
    return ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_ATOMIC)


@pytest.mark.parametrize("read", READS, ids=lambda read: type(read.request).__name__)
async def test_an_answer_is_true_at_its_revision_while_changes_go_on(
    server: ThreadedServer, namespace: str, read: Read
) -> None:
    request, answers = in_namespace(read.request, namespace), list[Any]()
    async with AsyncCaller(server.target) as call:
        await call(step(namespace))

        async def change() -> None:
            for _ in range(ROUNDS):
                await call(step(namespace))

        changes = [asyncio.create_task(change()) for _ in range(2)]
        while not all(each.done() for each in changes):
            answers.append(await call(request))
        await asyncio.gather(*changes)
        answers.append(await call(request))

    assert [answer.revision for answer in answers] == [2 * read.shown(answer) for answer in answers]
    assert answers[-1].revision == 2 * (2 * ROUNDS + 1)


def test_reservations_and_requests_are_read_with_their_revision(call: Caller, namespace: str) -> None:
    call(IncrementCopiesRequest(namespace=namespace, item="dune", copies=5, request_id="first"))
    call(ReserveRequest(namespace=namespace, reservation_id="b", lines=[StockLine(item="dune")]))
    call(IncrementRequest(namespace=namespace, counter="visits"))

    looked_up = call(LookupRequestRequest(namespace=namespace, request_id="first"))
    nothing = call(LookupRequestRequest(namespace=namespace, request_id="another"))

    assert call(GetReservationRequest(namespace=namespace, reservation_id="b")).revision == 3
    assert call(ListReservationsRequest(namespace=namespace)).revision == 3
    assert (looked_up.applied_revision, looked_up.revision) == (1, 3)
    assert (nothing.applied_revision, nothing.revision) == (0, 3)


def test_a_namespace_that_another_program_has_written_is_listed_with_a_mark(
    call: Caller,
    raw_store: redis.Redis,
    namespace: str,
) -> None:
    for name in (f"{namespace}-a", f"{namespace}-b"):
        call(IncrementRequest(namespace=name, counter="visits"))
    raw_store.set(f"tk:{{{namespace}-a}}:index:counter", "not a sorted set")

    damaged, whole = call(ListNamespacesRequest(prefix=namespace)).namespaces

    assert (damaged.namespace, damaged.revision) == (f"{namespace}-a", 0)
    assert damaged.damage == "another program has written into the namespace, so that its contents cannot be counted"
    assert damaged.durability == whole.durability
    assert (whole.counter_count, whole.HasField("damage")) == (1, False)


def test_a_namespace_that_was_never_changed_is_at_revision_0(call: Caller, namespace: str) -> None:
    assert call(ListCountersRequest(namespace=namespace)).revision == 0
    assert call(ListEntriesRequest(namespace=namespace)).revision == 0
    assert call(BatchGetCountersRequest(namespace=namespace, counters=["visits"])).revision == 0
