"""Both clients against the real server: reservations, batches, moves and availability."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from tallykeeper_client import (
    AsyncClient,
    AvailabilityLine,
    BatchRefused,
    BatchTooLarge,
    CommitExceedsReserved,
    InsufficientStock,
    ItemNotFound,
    OperationKind,
    ReservationCommitted,
    ReservationExists,
    ReservationExpired,
    ReservationLifetimeExceeded,
    ReservationNotFound,
    ReservationReleased,
    ReservationState,
    StockBelowReserved,
    StockLine,
    error_of_result,
    operations,
)
from tests.client.connection import Connect
from tests.support.server import ThreadedServer

BASKET = [StockLine(item="dune", copies=2), StockLine(item="emma", copies=1)]


@pytest.fixture
async def client(connect: Connect, server: ThreadedServer, namespace: str) -> AsyncClient:
    """Either client on the real server, in the test's own namespace with five copies of dune and one of emma."""
    client = await connect(server.target, namespace=namespace)
    await client.apply([operations.set_stock("dune", 5), operations.set_stock("emma", 1)], atomic=False)
    return client


async def _extend_until_refused(client: AsyncClient) -> None:
    """Ask for the longest ttl until the reservation is at least one millisecond old."""
    async with asyncio.timeout(10):
        while True:
            await client.extend("b", ttl=timedelta(days=30))


async def test_a_basket_is_reserved_and_committed(client: AsyncClient) -> None:
    reserved = await client.reserve(BASKET, reservation_id="b", holder="ann")
    held = (await client.get_stock("dune")).stock_level

    committed = await client.commit("b")

    assert (held.on_hand, held.reserved, held.available) == (5, 2, 3)
    assert reserved.reservation.state == ReservationState.RESERVATION_STATE_ACTIVE
    assert committed.reservation.state == ReservationState.RESERVATION_STATE_COMMITTED
    assert [(line.item, line.copies, line.copies_committed) for line in committed.reservation.lines] == [
        ("dune", 2, 2),
        ("emma", 1, 1),
    ]
    assert (await client.get_stock("dune")).stock_level.on_hand == 3


async def test_a_part_of_a_basket_is_committed_and_the_rest_is_given_back(client: AsyncClient) -> None:
    await client.reserve(BASKET, reservation_id="b")

    await client.commit("b", lines=[StockLine(item="dune", copies=1)])

    dune, emma = (await client.batch_get_stock([{"item": "dune"}, {"item": "emma"}])).stock_levels  # type: ignore[list-item]
    assert (dune.on_hand, dune.reserved, emma.on_hand, emma.reserved) == (4, 0, 1, 0)


async def test_every_short_line_is_named_and_nothing_is_reserved(client: AsyncClient) -> None:
    wanted = [*BASKET, StockLine(item="emma", copies=3), StockLine(item="moby", location="annex", copies=2)]

    with pytest.raises(InsufficientStock) as caught:
        await client.reserve(wanted)

    assert caught.value.lines == (("emma", "main", 4, 1, 0), ("moby", "annex", 2, 0, 0))
    assert caught.value.short_line_count == 2
    assert len(caught.value.violations) == 2
    assert (await client.get_stock("dune")).stock_level.reserved == 0


async def test_only_reserved_copies_can_be_committed(client: AsyncClient) -> None:
    await client.reserve(BASKET, reservation_id="b")

    with pytest.raises(CommitExceedsReserved) as caught:
        await client.commit("b", lines=[StockLine(item="dune", copies=3), StockLine(item="moby")])

    assert caught.value.lines == (("dune", "main", 3, 2), ("moby", "main", 1, 0))


async def test_a_reservation_ends_once(client: AsyncClient) -> None:
    await client.reserve(BASKET, reservation_id="b")
    await client.release("b")

    with pytest.raises(ReservationReleased) as released:
        await client.commit("b")
    with pytest.raises(ReservationExists):
        await client.reserve(BASKET, reservation_id="b")
    with pytest.raises(ReservationNotFound) as missing:
        await client.extend("c")

    assert (released.value.reservation_id, missing.value.reservation_id) == ("b", "c")


async def test_a_committed_reservation_cannot_be_released(client: AsyncClient) -> None:
    await client.reserve(BASKET, reservation_id="b")
    await client.commit("b")

    with pytest.raises(ReservationCommitted):
        await client.release("b")


async def test_a_reservation_expires_and_its_copies_can_be_taken(client: AsyncClient) -> None:
    revision = (await client.reserve(BASKET, reservation_id="b", ttl=timedelta(milliseconds=1))).revision
    async with asyncio.timeout(10), aclosing(client.watch(reservation_ids=["b"], after_revision=revision)) as entries:
        assert (await anext(entries)).operation == OperationKind.OPERATION_KIND_EXPIRE

    with pytest.raises(ReservationExpired):
        await client.commit("b")

    assert (await client.decrement_copies("emma")).stock_level.on_hand == 0


async def test_a_reservation_is_extended_up_to_its_maximum_lifetime(client: AsyncClient) -> None:
    await client.reserve(BASKET, reservation_id="b")

    extended = (await client.extend("b", ttl=timedelta(hours=1))).reservation

    left = extended.expire_time.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(minutes=50) < left < timedelta(minutes=70)
    with pytest.raises(ReservationLifetimeExceeded) as caught:
        await _extend_until_refused(client)
    assert caught.value.lifetime_ms > caught.value.lifetime_ms_max


async def test_reservations_are_listed_and_read(client: AsyncClient) -> None:
    for name in ("a", "b", "c"):
        await client.reserve([StockLine(item="dune")], reservation_id=name, holder="ann")
    await client.release("b")

    every = [each.reservation_id async for each in client.iterate_reservations(holder="ann", page_size=1)]
    active = [
        each.reservation_id
        async for each in client.iterate_reservations(state=ReservationState.RESERVATION_STATE_ACTIVE, item="dune")
    ]

    assert every == ["a", "c", "b"]
    assert active == ["a", "c"]
    assert (await client.get_reservation("b")).reservation.holder == "ann"


async def test_stock_cannot_be_set_below_the_reserved_copies(client: AsyncClient) -> None:
    await client.reserve(BASKET)

    with pytest.raises(StockBelowReserved) as caught:
        await client.set_stock("dune", 1)

    assert (caught.value.on_hand, caught.value.reserved, caught.value.backorder_limit) == (1, 2, 0)


async def test_copies_are_moved_to_another_location(client: AsyncClient) -> None:
    moved = await client.move_copies("dune", to_location="annex", copies=2)

    assert (moved.from_stock_level.on_hand, moved.to_stock_level.on_hand) == (3, 2)
    with pytest.raises(InsufficientStock):
        await client.move_copies("dune", to_location="annex", copies=4)
    with pytest.raises(ItemNotFound):
        await client.move_copies("moby", to_location="annex")


async def test_availability_is_reported_and_nothing_is_reserved(client: AsyncClient) -> None:
    await client.set_stock("dune", 2, location="annex")

    lines = [AvailabilityLine(item="dune", copies=6), AvailabilityLine(item="dune", copies=7, any_location=True)]
    found = await client.check_availability(lines)

    assert [(line.available, line.sufficient) for line in found.lines] == [(5, False), (7, True)]
    assert [(each.location, each.available) for each in found.lines[1].locations] == [("annex", 2), ("main", 5)]
    assert not found.sufficient


async def test_an_atomic_batch_is_all_or_nothing(client: AsyncClient) -> None:
    changes = [operations.increment("sales"), operations.decrement_copies("emma", copies=2)]

    with pytest.raises(BatchRefused) as together:
        await client.apply(changes, atomic=True)
    apart = await client.apply(changes, atomic=False)

    (failed,) = together.value.operations
    assert (failed.index, together.value.failed_count) == (1, 1)
    assert isinstance(failed.error, InsufficientStock)
    assert (failed.error.item, failed.error.requested) == ("emma", 2)
    assert (apart.revision > 0, apart.failed_count) == (True, 1)
    assert isinstance(error_of_result(apart.results[1]), InsufficientStock)
    assert apart.results[0].increment.counter.value == 1


async def test_a_batch_counts_once_under_one_request_id(client: AsyncClient) -> None:
    changes = [operations.increment("sales", delta=number) for number in range(1, 4)]

    first = await client.apply(changes, request_id="batch-1", atomic=False)
    again = await client.apply(changes, request_id="batch-1", atomic=False)

    assert (first.replayed, again.replayed) == (False, True)
    assert list(again.results) == list(first.results) or again.failed_count == 0
    assert (await client.get_counter("sales")).counter.value == 6


async def test_a_batch_may_be_too_large(client: AsyncClient) -> None:
    with pytest.raises(BatchTooLarge) as caught:
        await client.apply([operations.increment("sales")] * 1001, atomic=False)

    assert (caught.value.operations, caught.value.operations_max) == (1001, 1000)
