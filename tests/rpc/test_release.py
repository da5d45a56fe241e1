"""Release: reserved copies are returned, once."""

from tallykeeper.v1.inventory_pb2 import (
    DeleteStockRequest,
    GetStockRequest,
    SetStockRequest,
    StockLevel,
)
from tallykeeper.v1.reservation_pb2 import (
    GetReservationRequest,
    ReleaseRequest,
    ReservationState,
    ReserveRequest,
    StockLine,
)
from tests.support.client import Caller


def hold(call: Caller, namespace: str) -> None:
    """Hold 3 of 5 copies of dune."""
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    lines = [StockLine(item="dune", copies=3)]
    call(ReserveRequest(namespace=namespace, reservation_id="basket", lines=lines))


def test_it_gives_everything_back(call: Caller, namespace: str) -> None:
    hold(call, namespace)

    reply = call(ReleaseRequest(namespace=namespace, reservation_id="basket"))

    assert reply.reservation.state == ReservationState.RESERVATION_STATE_RELEASED
    assert reply.reservation.resolve_time == reply.commit_time
    assert [(line.copies, line.copies_committed) for line in reply.reservation.lines] == [(3, 0)]
    assert call(GetReservationRequest(namespace=namespace, reservation_id="basket")).reservation == reply.reservation
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level == StockLevel(
        item="dune", location="main", on_hand=5, available=5
    )


def test_a_repeat_gives_nothing_back_again(call: Caller, namespace: str) -> None:
    hold(call, namespace)
    call(ReserveRequest(namespace=namespace, reservation_id="another", lines=[StockLine(item="dune", copies=2)]))
    request = ReleaseRequest(namespace=namespace, request_id="r1", reservation_id="basket")

    replies = [call(request) for _ in range(2)]

    assert [reply.replayed for reply in replies] == [False, True]
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.reserved == 2


def test_a_level_may_go_after_all_that_held_it_has_ended(call: Caller, namespace: str) -> None:
    hold(call, namespace)
    released = call(ReleaseRequest(namespace=namespace, reservation_id="basket")).reservation
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=0))

    call(DeleteStockRequest(namespace=namespace, item="dune"))

    assert call(GetReservationRequest(namespace=namespace, reservation_id="basket")).reservation == released
