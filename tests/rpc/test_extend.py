"""Extend: an active reservation gets more time, and never less."""

import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import GetStockRequest, SetStockRequest
from tallykeeper.v1.reservation_pb2 import (
    ExtendRequest,
    GetReservationRequest,
    Reservation,
    ReserveRequest,
    StockLine,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller
from tests.support.clock import later, milliseconds_of
from tests.support.server import wait_until

DAY_SECONDS = 86_400
LIFETIME_MS_MAX = 30 * DAY_SECONDS * 1_000


def hold(call: Caller, namespace: str, *, ttl: Duration) -> Reservation:
    """Hold a copy of dune for this time."""
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    lines = [StockLine(item="dune")]
    held: Reservation = call(
        ReserveRequest(namespace=namespace, reservation_id="basket", lines=lines, ttl=ttl, holder="kim")
    ).reservation
    return held


def test_it_lasts_a_ttl_from_now(call: Caller, namespace: str) -> None:
    held = hold(call, namespace, ttl=Duration(seconds=60))

    reply = call(ExtendRequest(namespace=namespace, reservation_id="basket", ttl=Duration(seconds=120)))

    held.expire_time.CopyFrom(later(reply.commit_time, 120_000))
    assert reply.reservation == held
    assert call(GetReservationRequest(namespace=namespace, reservation_id="basket")).reservation == held
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.reserved == 1


def test_without_a_ttl_it_lasts_fifteen_minutes(call: Caller, namespace: str) -> None:
    hold(call, namespace, ttl=Duration(seconds=60))

    reply = call(ExtendRequest(namespace=namespace, reservation_id="basket"))

    assert reply.reservation.expire_time == later(reply.commit_time, 15 * 60 * 1_000)


def test_it_never_ends_earlier(call: Caller, namespace: str) -> None:
    held = hold(call, namespace, ttl=Duration(seconds=3_600))

    reply = call(ExtendRequest(namespace=namespace, reservation_id="basket", ttl=Duration(seconds=60)))

    assert (reply.reservation, reply.revision) == (held, 3)


def test_a_repeat_does_not_extend_again(call: Caller, namespace: str) -> None:
    hold(call, namespace, ttl=Duration(seconds=60))
    request = ExtendRequest(namespace=namespace, request_id="r1", reservation_id="basket", ttl=Duration(seconds=120))
    first = call(request)

    again = call(request)

    assert (again.replayed, again.reservation) == (True, first.reservation)
    assert call(GetReservationRequest(namespace=namespace, reservation_id="basket")).reservation == first.reservation


@pytest.mark.parametrize("ttl", [Duration(nanos=1_000_000), Duration(seconds=30 * DAY_SECONDS)])
def test_a_reservation_may_hold_from_a_millisecond_to_thirty_days(call: Caller, namespace: str, ttl: Duration) -> None:
    held = hold(call, namespace, ttl=ttl)

    assert held.expire_time == later(held.create_time, ttl.ToMilliseconds())


def test_it_refuses_a_life_that_is_too_long(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents, raw_store: redis.Redis
) -> None:
    held = hold(call, namespace, ttl=Duration(seconds=60))
    wait_until(
        lambda: milliseconds_of(raw_store) > held.create_time.ToMilliseconds(),
        what="the reservation is older than a millisecond",
    )
    before = contents()

    refused = failure(
        ExtendRequest(namespace=namespace, reservation_id="basket", ttl=Duration(seconds=30 * DAY_SECONDS))
    )

    assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "RESERVATION_LIFETIME_EXCEEDED")
    assert refused.metadata.keys() == {"reservation_id", "lifetime_ms", "lifetime_ms_max"}
    assert int(refused.metadata["lifetime_ms"]) > LIFETIME_MS_MAX == int(refused.metadata["lifetime_ms_max"])
    assert contents() == before
