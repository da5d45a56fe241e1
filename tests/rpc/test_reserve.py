"""Reserve: the copies of all lines or of none are held for somebody until a time."""

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import (
    BatchGetStockRequest,
    ConfigureStockRequest,
    DecrementCopiesRequest,
    GetStockRequest,
    SetStockRequest,
    StockKey,
    StockLevel,
)
from tallykeeper.v1.reservation_pb2 import (
    GetReservationRequest,
    ReleaseRequest,
    Reservation,
    ReservationLine,
    ReservationState,
    ReserveRequest,
    StockLine,
)
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller
from tests.support.clock import later

REPORTED_MAX = 20
TRAILERS_BYTES_MAX = 8_192
DEFAULT_TTL_MS = 15 * 60 * 1_000


@pytest.fixture
def stocked(call: Caller, namespace: str) -> str:
    """A namespace with 5 copies of dune and 5 of emma, at main and in the annex."""
    for item in ("dune", "emma"):
        for location in ("main", "annex"):
            call(SetStockRequest(namespace=namespace, item=item, location=location, on_hand=5))
    return namespace


def test_it_holds_copies_for_someone(call: Caller, stocked: str) -> None:
    reply = call(
        ReserveRequest(
            namespace=stocked,
            reservation_id="basket",
            lines=[StockLine(item="emma", copies=2), StockLine(item="dune", location="annex")],
            ttl=Duration(seconds=60),
            holder="kim",
        )
    )

    assert reply.reservation == Reservation(
        reservation_id="basket",
        state=ReservationState.RESERVATION_STATE_ACTIVE,
        holder="kim",
        lines=[
            ReservationLine(item="emma", location="main", copies=2),
            ReservationLine(item="dune", location="annex", copies=1),
        ],
        create_time=reply.commit_time,
        expire_time=later(reply.commit_time, 60_000),
    )
    assert reply.revision == 5


def test_what_is_held_is_there_and_not_available(call: Caller, failure: FailingCall, stocked: str) -> None:
    call(ReserveRequest(namespace=stocked, lines=[StockLine(item="dune", copies=4)]))

    level = call(GetStockRequest(namespace=stocked, item="dune")).stock_level
    refused = failure(DecrementCopiesRequest(namespace=stocked, item="dune", copies=2))

    assert level == StockLevel(item="dune", location="main", on_hand=5, reserved=4, available=1)
    assert (refused.reason, refused.metadata["available"]) == ("INSUFFICIENT_STOCK", "1")


def test_without_a_ttl_it_holds_for_fifteen_minutes(call: Caller, stocked: str) -> None:
    reply = call(ReserveRequest(namespace=stocked, lines=[StockLine(item="dune")]))

    assert reply.reservation.expire_time == later(reply.reservation.create_time, DEFAULT_TTL_MS)


def test_lines_that_name_the_same_level_are_summed_in_the_order_of_their_first_mention(
    call: Caller, stocked: str
) -> None:
    names = [("dune", "", 1), ("emma", "annex", 2), ("dune", "main", 2), ("dune", "annex", 1), ("emma", "annex", 1)]
    lines = [StockLine(item=item, location=location, copies=copies) for item, location, copies in names]

    reply = call(ReserveRequest(namespace=stocked, lines=lines))

    assert [(line.item, line.location, line.copies) for line in reply.reservation.lines] == [
        ("dune", "main", 3),
        ("emma", "annex", 3),
        ("dune", "annex", 1),
    ]


def test_lines_that_are_too_much_only_together_are_refused(
    failure: FailingCall, stocked: str, contents: Contents
) -> None:
    before = contents()

    refused = failure(ReserveRequest(namespace=stocked, lines=[StockLine(item="dune", copies=3)] * 2))

    assert (refused.reason, refused.metadata["requested"]) == ("INSUFFICIENT_STOCK", "6")
    assert contents() == before


def test_of_a_hundred_lines_it_reports_the_three_that_are_short_and_changes_nothing(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    items = [f"item-{number:02}" for number in range(100)]
    for item in items:
        call(SetStockRequest(namespace=namespace, item=item, on_hand=1 if item in {"item-07", "item-50"} else 2))
    before = contents()
    lines = [StockLine(item=item, copies=2) for item in items]
    lines[99].location = "annex"

    refused = failure(ReserveRequest(namespace=namespace, lines=lines))

    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    common = {"requested": "2", "backorder_limit": "0"}
    expected = [
        {"item": "item-07", "location": "main", "available": "1", **common},
        {"item": "item-50", "location": "main", "available": "1", **common},
        {"item": "item-99", "location": "annex", "available": "0", **common},
    ]
    assert refused.metadata == {
        "lines": "3",
        **expected[0],
        **{f"{name}_2": value for name, value in expected[1].items()},
        **{f"{name}_3": value for name, value in expected[2].items()},
    }
    assert refused.preconditions == tuple(
        ("INSUFFICIENT_STOCK", subject) for subject in ("item-07 at main", "item-50 at main", "item-99 at annex")
    )
    assert refused.shortages == (
        ("item-07", "main", 2, 1),
        ("item-50", "main", 2, 1),
        ("item-99", "annex", 2, 0),
    )
    assert contents() == before


def test_of_many_short_lines_the_first_are_reported_and_all_are_counted(failure: FailingCall, namespace: str) -> None:
    lines = [StockLine(item=f"item-{number:02}") for number in range(25)]

    refused = failure(ReserveRequest(namespace=namespace, lines=lines))

    reported = {f"item_{number}": f"item-{number - 1:02}" for number in range(2, REPORTED_MAX + 1)}
    assert {name: value for name, value in refused.metadata.items() if name.startswith("item_")} == reported
    assert (refused.metadata["item"], refused.metadata["lines"]) == ("item-00", "25")
    assert len(refused.preconditions) == REPORTED_MAX
    assert len(refused.shortages) == REPORTED_MAX


@pytest.mark.parametrize("character", ["n", "é", "名", "\U000e0001", '"', "\\"])
def test_an_error_about_many_long_names_fits_into_the_trailers(
    failure: FailingCall, namespace: str, character: str
) -> None:
    longest = character * (124 // len(character.encode()))
    lines = [StockLine(item=f"{longest}{number:02}", location="x" * 63, copies=2**53 - 1) for number in range(100)]

    refused = failure(ReserveRequest(namespace=namespace, lines=lines))

    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert (refused.metadata["item"], refused.metadata["location"]) == (f"{longest}00", "x" * 63)
    assert (refused.metadata["requested"], refused.metadata["lines"]) == (str(2**53 - 1), "100")
    assert refused.trailer_bytes < TRAILERS_BYTES_MAX


def test_copies_on_backorder_may_be_held_up_to_the_limit(call: Caller, failure: FailingCall, stocked: str) -> None:
    call(ConfigureStockRequest(namespace=stocked, item="dune", backorder_limit=3, safety_stock=1))

    call(ReserveRequest(namespace=stocked, lines=[StockLine(item="dune", copies=7)]))
    refused = failure(ReserveRequest(namespace=stocked, lines=[StockLine(item="dune")]))

    assert call(GetStockRequest(namespace=stocked, item="dune")).stock_level == StockLevel(
        item="dune", location="main", on_hand=5, reserved=7, safety_stock=1, backorder_limit=3, available=-3
    )
    assert (refused.metadata["available"], refused.metadata["backorder_limit"]) == ("-3", "3")


def test_a_hundred_lines_are_held_at_once(call: Caller, namespace: str) -> None:
    items = [f"item-{number:02}" for number in range(100)]
    for item in items:
        call(SetStockRequest(namespace=namespace, item=item, on_hand=3))

    reply = call(ReserveRequest(namespace=namespace, lines=[StockLine(item=item, copies=2) for item in items]))
    read = call(BatchGetStockRequest(namespace=namespace, keys=[StockKey(item=item) for item in items]))

    assert [(line.item, line.copies) for line in reply.reservation.lines] == [(item, 2) for item in items]
    assert [(level.on_hand, level.reserved, level.available) for level in read.stock_levels] == [(3, 2, 1)] * 100


def test_without_an_id_each_reservation_gets_its_own_id(call: Caller, stocked: str) -> None:
    request = ReserveRequest(namespace=stocked, lines=[StockLine(item="dune")])

    made = [call(request).reservation for _ in range(3)]

    assert len({reservation.reservation_id for reservation in made} - {""}) == 3
    for reservation in made:
        read = call(GetReservationRequest(namespace=stocked, reservation_id=reservation.reservation_id))
        assert read.reservation == reservation


def test_a_request_id_gives_the_same_reservation_each_time(call: Caller, stocked: str) -> None:
    request = ReserveRequest(namespace=stocked, request_id="r1", lines=[StockLine(item="dune")])

    replies = [call(request) for _ in range(2)]

    assert [reply.replayed for reply in replies] == [False, True]
    assert replies[0].reservation == replies[1].reservation
    assert call(GetStockRequest(namespace=stocked, item="dune")).stock_level.reserved == 1


def test_a_replay_shows_the_reservation_as_it_was_first(call: Caller, stocked: str) -> None:
    request = ReserveRequest(
        namespace=stocked, request_id="r1", reservation_id="basket", lines=[StockLine(item="dune")]
    )
    call(request)
    call(ReleaseRequest(namespace=stocked, reservation_id="basket"))

    again = call(request)

    assert (again.replayed, again.reservation.state) == (True, ReservationState.RESERVATION_STATE_ACTIVE)
    assert call(GetStockRequest(namespace=stocked, item="dune")).stock_level.reserved == 0


def test_equal_lines_that_are_written_differently_are_the_same_body(call: Caller, stocked: str) -> None:
    lines = [StockLine(item="dune"), StockLine(item="dune", location="main", copies=1)]
    ttl = Duration(seconds=DEFAULT_TTL_MS // 1_000)

    replies = [
        call(ReserveRequest(namespace=stocked, request_id="r1", reservation_id="basket", lines=[line], ttl=time))
        for line, time in zip(lines, (None, ttl), strict=True)
    ]

    assert [reply.replayed for reply in replies] == [False, True]


def test_the_id_of_a_reservation_that_has_ended_is_still_taken(
    call: Caller, failure: FailingCall, stocked: str
) -> None:
    request = ReserveRequest(namespace=stocked, reservation_id="basket", lines=[StockLine(item="dune")])
    call(request)
    call(ReleaseRequest(namespace=stocked, reservation_id="basket"))

    refused = failure(request)

    assert (refused.code, refused.reason) == (StatusCode.ALREADY_EXISTS, "RESERVATION_EXISTS")
    assert refused.metadata == {"reservation_id": "basket"}
