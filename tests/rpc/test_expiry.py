"""The end of a reservation's time: it cannot change any more, and the copies that it held can be taken at once."""

from contextlib import suppress
from typing import Any

import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    GetStockRequest,
    MoveCopiesRequest,
    SetStockRequest,
    ShortagePolicy,
    StockLevel,
)
from tallykeeper.v1.ledger_pb2 import (
    Entry,
    EntryReservation,
    ListEntriesRequest,
    OperationKind,
    ThresholdCrossing,
)
from tallykeeper.v1.reservation_pb2 import (
    CommitRequest,
    ExtendRequest,
    GetReservationRequest,
    ListReservationsRequest,
    ReleaseRequest,
    Reservation,
    ReservationState,
    ReserveRequest,
    StockLine,
)
from tests.rpc.conftest import FailingCall
from tests.support.client import Caller, Failure
from tests.support.clock import await_time
from tests.support.ledger import stock_line
from tests.support.server import wait_until

EXPIRED = ReservationState.RESERVATION_STATE_EXPIRED
EXPIRE = OperationKind.OPERATION_KIND_EXPIRE


@pytest.fixture
def due(call: Caller, namespace: str, raw_store: redis.Redis) -> Reservation:
    """A reservation of all 5 copies of dune for kim; its time is up."""
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    held: Reservation = call(
        ReserveRequest(
            namespace=namespace,
            request_id="r1",
            reservation_id="basket",
            lines=[StockLine(item="dune", copies=5)],
            ttl=Duration(nanos=1_000_000),
            holder="kim",
            reason="sale",
            reference="order 1",
        )
    ).reservation
    await_time(raw_store, held.expire_time)
    return held


def expiries(call: Caller, namespace: str) -> list[Entry]:
    """Return the entries of reservations that expired."""
    return list(call(ListEntriesRequest(namespace=namespace, operation=EXPIRE)).entries)


def await_sweep(call: Caller, namespace: str) -> None:
    """Return when a sweep has expired a reservation."""
    wait_until(lambda: bool(expiries(call, namespace)), what="the sweep")


@pytest.mark.parametrize("request_type", [CommitRequest, ReleaseRequest, ExtendRequest])
@pytest.mark.parametrize("swept", [False, True])
@pytest.mark.usefixtures("due")
def test_nothing_can_be_done_to_it_any_more(
    call: Caller, failure: FailingCall, namespace: str, request_type: type[Message], *, swept: bool
) -> None:
    if swept:
        await_sweep(call, namespace)
    request: Any = request_type()
    request.namespace, request.reservation_id = namespace, "basket"

    refused = failure(request)

    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "RESERVATION_EXPIRED")
    assert refused.metadata == {"reservation_id": "basket"}


def test_it_is_shown_as_expired_at_once(call: Caller, namespace: str, due: Reservation) -> None:
    read = call(GetReservationRequest(namespace=namespace, reservation_id="basket")).reservation
    listed = call(ListReservationsRequest(namespace=namespace)).reservations

    assert (read.state, read.expire_time, read.lines) == (EXPIRED, due.expire_time, due.lines)
    assert [each.state for each in listed] == [EXPIRED]


@pytest.mark.usefixtures("due")
def test_its_copies_can_be_taken_at_once(call: Caller, namespace: str) -> None:
    reply = call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=5))

    assert reply.stock_level == StockLevel(item="dune", location="main")
    assert [entry.revision for entry in expiries(call, namespace)] == [3]
    assert reply.revision == 4


@pytest.mark.usefixtures("due")
def test_its_copies_are_among_those_available_to_who_takes_what_there_is(call: Caller, namespace: str) -> None:
    request = DecrementCopiesRequest(
        namespace=namespace,
        item="dune",
        copies=9,
        shortage_policy=ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE,
    )

    assert call(request).copies_taken == 5


@pytest.mark.usefixtures("due")
def test_its_copies_can_be_reserved_at_once(call: Caller, namespace: str) -> None:
    reply = call(ReserveRequest(namespace=namespace, lines=[StockLine(item="dune", copies=5)]))

    assert reply.revision == 4
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.reserved == 5


@pytest.mark.usefixtures("due")
def test_its_copies_can_be_moved_at_once(call: Caller, namespace: str) -> None:
    reply = call(MoveCopiesRequest(namespace=namespace, item="dune", to_location="annex", copies=5))

    assert (reply.from_stock_level.on_hand, reply.to_stock_level.on_hand) == (0, 5)


@pytest.mark.usefixtures("due")
def test_its_copies_can_be_written_off_at_once(call: Caller, namespace: str) -> None:
    reply = call(SetStockRequest(namespace=namespace, item="dune", on_hand=0))

    assert reply.stock_level == StockLevel(item="dune", location="main")


@pytest.mark.usefixtures("due")
def test_a_refusal_tells_of_its_copies_as_available(call: Caller, failure: FailingCall, namespace: str) -> None:
    refused = failure(DecrementCopiesRequest(namespace=namespace, item="dune", copies=6))

    assert refused.metadata["available"] == "5"
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.on_hand == 5


def test_without_a_caller_the_server_gives_its_copies_back(call: Caller, namespace: str, due: Reservation) -> None:
    await_sweep(call, namespace)

    level = call(GetStockRequest(namespace=namespace, item="dune")).stock_level
    read = call(GetReservationRequest(namespace=namespace, reservation_id="basket")).reservation
    (entry,) = expiries(call, namespace)
    assert level == StockLevel(item="dune", location="main", on_hand=5, available=5)
    due.state = EXPIRED
    due.resolve_time.CopyFrom(entry.commit_time)
    assert read == due


def test_its_end_is_an_entry_of_the_ledger(call: Caller, namespace: str, due: Reservation) -> None:
    await_sweep(call, namespace)

    (entry,) = expiries(call, namespace)

    assert entry.commit_time.ToMilliseconds() >= due.expire_time.ToMilliseconds()
    level = StockLevel(item="dune", location="main", on_hand=5, available=5)
    assert entry == Entry(
        revision=3,
        commit_time=entry.commit_time,
        operation=EXPIRE,
        lines=[
            stock_line(
                "dune",
                reserved_change=-5,
                crossings=[ThresholdCrossing.THRESHOLD_CROSSING_BACK_IN_STOCK],
                after=level,
            )
        ],
        reservation=EntryReservation(reservation_id="basket", state=EXPIRED, holder="kim", expire_time=due.expire_time),
    )


def test_an_extension_saves_it(call: Caller, namespace: str, raw_store: redis.Redis) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=9))
    saved = extended_in_time(call, namespace)
    await_time(raw_store, saved.expire_time)
    lost = ReserveRequest(
        namespace=namespace,
        reservation_id="lost",
        lines=[StockLine(item="dune")],
        ttl=Duration(nanos=1_000_000),
    )
    call(lost)
    wait_until(
        lambda: "lost" in [entry.reservation.reservation_id for entry in expiries(call, namespace)], what="the sweep"
    )

    reply = call(CommitRequest(namespace=namespace, reservation_id=saved.reservation_id))

    assert reply.reservation.state == ReservationState.RESERVATION_STATE_COMMITTED


def extended_in_time(call: Caller, namespace: str) -> Reservation:
    """Return a reservation as it was before Extend gave it a minute. Try longer times until Extend comes in time."""
    for milliseconds in (100, 1_000, 10_000):
        ttl = Duration()
        ttl.FromMilliseconds(milliseconds)
        held: Reservation = call(
            ReserveRequest(namespace=namespace, lines=[StockLine(item="dune")], ttl=ttl)
        ).reservation
        with suppress(Failure):
            call(ExtendRequest(namespace=namespace, reservation_id=held.reservation_id, ttl=Duration(seconds=60)))
            return held
    pytest.fail("no extension came in time")
