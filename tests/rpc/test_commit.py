"""Commit: reserved copies are taken, all or some of them, and the others are returned."""

import pytest
from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import ConfigureStockRequest, GetStockRequest, SetStockRequest, StockLevel
from tallykeeper.v1.reservation_pb2 import (
    CommitRequest,
    GetReservationRequest,
    ReservationState,
    ReserveRequest,
    StockLine,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller


@pytest.fixture
def held(call: Caller, namespace: str) -> str:
    """A namespace in which a basket holds 3 of 5 copies of dune and 2 of 5 of emma."""
    for item in ("dune", "emma"):
        call(SetStockRequest(namespace=namespace, item=item, on_hand=5))
    lines = [StockLine(item="dune", copies=3), StockLine(item="emma", copies=2)]
    call(ReserveRequest(namespace=namespace, reservation_id="basket", lines=lines))
    return namespace


def level(call: Caller, namespace: str, item: str) -> StockLevel:
    """Return an item's level at main."""
    read: StockLevel = call(GetStockRequest(namespace=namespace, item=item)).stock_level
    return read


def test_it_takes_everything(call: Caller, held: str) -> None:
    reply = call(CommitRequest(namespace=held, reservation_id="basket"))

    assert reply.reservation.state == ReservationState.RESERVATION_STATE_COMMITTED
    assert reply.reservation.resolve_time == reply.commit_time
    assert [(line.copies, line.copies_committed) for line in reply.reservation.lines] == [(3, 3), (2, 2)]
    assert level(call, held, "dune") == StockLevel(item="dune", location="main", on_hand=2, available=2)
    assert level(call, held, "emma") == StockLevel(item="emma", location="main", on_hand=3, available=3)


def test_it_takes_what_the_lines_name_and_gives_the_rest_back(call: Caller, held: str) -> None:
    reply = call(CommitRequest(namespace=held, reservation_id="basket", lines=[StockLine(item="dune", copies=1)] * 2))

    assert [(line.item, line.copies, line.copies_committed) for line in reply.reservation.lines] == [
        ("dune", 3, 2),
        ("emma", 2, 0),
    ]
    assert level(call, held, "dune") == StockLevel(item="dune", location="main", on_hand=3, available=3)
    assert level(call, held, "emma") == StockLevel(item="emma", location="main", on_hand=5, available=5)


def test_it_is_read_as_it_was_answered(call: Caller, held: str) -> None:
    reply = call(CommitRequest(namespace=held, reservation_id="basket"))

    assert call(GetReservationRequest(namespace=held, reservation_id="basket")).reservation == reply.reservation


def test_copies_on_backorder_are_taken_below_zero(call: Caller, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=4))
    call(ReserveRequest(namespace=namespace, reservation_id="basket", lines=[StockLine(item="dune", copies=4)]))
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=0))

    call(CommitRequest(namespace=namespace, reservation_id="basket"))

    assert level(call, namespace, "dune") == StockLevel(item="dune", location="main", on_hand=-4, available=-4)


def test_it_reports_every_line_that_exceeds_what_is_reserved_and_changes_nothing(
    failure: FailingCall, held: str, contents: Contents
) -> None:
    before = contents()
    lines = [
        StockLine(item="dune", copies=3),
        StockLine(item="emma", copies=2),
        StockLine(item="emma"),
        StockLine(item="dune", location="annex", copies=4),
    ]

    refused = failure(CommitRequest(namespace=held, reservation_id="basket", lines=lines))

    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "COMMIT_EXCEEDS_RESERVED")
    assert refused.metadata == {
        "lines": "2",
        "item": "emma",
        "location": "main",
        "requested": "3",
        "reserved": "2",
        "item_2": "dune",
        "location_2": "annex",
        "requested_2": "4",
        "reserved_2": "0",
    }
    assert refused.preconditions == (
        ("COMMIT_EXCEEDS_RESERVED", "emma at main"),
        ("COMMIT_EXCEEDS_RESERVED", "dune at annex"),
    )
    assert contents() == before


def test_of_two_commits_under_different_request_ids_one_takes(call: Caller, failure: FailingCall, held: str) -> None:
    call(CommitRequest(namespace=held, request_id="r1", reservation_id="basket"))

    refused = failure(CommitRequest(namespace=held, request_id="r2", reservation_id="basket"))
    again = call(CommitRequest(namespace=held, request_id="r1", reservation_id="basket"))

    assert refused.reason == "RESERVATION_COMMITTED"
    assert again.replayed
    assert level(call, held, "dune").on_hand == 2


def test_to_name_no_lines_is_another_body_than_to_name_them_all(call: Caller, failure: FailingCall, held: str) -> None:
    lines = [StockLine(item="dune", copies=3), StockLine(item="emma", copies=2)]
    call(CommitRequest(namespace=held, request_id="r1", reservation_id="basket", lines=lines))

    refused = failure(CommitRequest(namespace=held, request_id="r1", reservation_id="basket"))

    assert refused.reason == "REQUEST_ID_REUSED"


def test_it_refuses_what_has_ended_before_it_looks_at_the_lines(call: Caller, failure: FailingCall, held: str) -> None:
    call(CommitRequest(namespace=held, reservation_id="basket"))

    refused = failure(CommitRequest(namespace=held, reservation_id="basket", lines=[StockLine(item="dune", copies=9)]))

    assert refused.reason == "RESERVATION_COMMITTED"
