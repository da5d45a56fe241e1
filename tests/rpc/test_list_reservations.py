"""ListReservations: the reservations that pass the filters, the active ones first, a page at a time."""

import pytest
from google.protobuf.duration_pb2 import Duration

from tallykeeper.v1.inventory_pb2 import SetStockRequest
from tallykeeper.v1.reservation_pb2 import (
    CommitRequest,
    ListReservationsRequest,
    ReleaseRequest,
    Reservation,
    ReservationState,
    ReserveRequest,
    StockLine,
)
from tests.support.client import Caller
from tests.support.server import wait_until


@pytest.fixture
def listed(call: Caller, namespace: str) -> dict[str, Reservation]:
    """A namespace with reservations in every state: of dune for kim, or of emma and dune for ann."""
    for item in ("dune", "emma"):
        call(SetStockRequest(namespace=namespace, item=item, on_hand=100))
    made = {}
    for reservation_id in ("b", "a", "Z", "é", "c1", "c2", "r1", "r2", "x1"):
        for_kim = reservation_id in {"a", "c1", "r2"}
        request = ReserveRequest(
            namespace=namespace,
            reservation_id=reservation_id,
            lines=[StockLine(item="dune")] if for_kim else [StockLine(item="emma"), StockLine(item="dune")],
            holder="kim" if for_kim else "ann",
            ttl=Duration(nanos=1_000_000) if reservation_id == "x1" else None,
        )
        made[reservation_id] = call(request).reservation
    for reservation_id in ("c1", "c2"):
        made[reservation_id] = call(CommitRequest(namespace=namespace, reservation_id=reservation_id)).reservation
    for reservation_id in ("r1", "r2"):
        made[reservation_id] = call(ReleaseRequest(namespace=namespace, reservation_id=reservation_id)).reservation
    expired = ListReservationsRequest(namespace=namespace, state=ReservationState.RESERVATION_STATE_EXPIRED)
    wait_until(
        lambda: any(each.HasField("resolve_time") for each in call(expired).reservations), what="one has expired"
    )
    made["x1"] = call(expired).reservations[0]
    return made


def ids(call: Caller, request: ListReservationsRequest) -> list[str]:
    """Return the ids on all pages of a listing."""
    return [reservation.reservation_id for page in call.pages(request) for reservation in page.reservations]


ALL = ["Z", "a", "b", "é", "x1", "c1", "c2", "r1", "r2"]


@pytest.mark.parametrize("page_size", [1, 2, 4, 1_000])
@pytest.mark.usefixtures("listed")
def test_it_lists_the_active_ones_first_and_then_those_that_have_ended(
    call: Caller, namespace: str, page_size: int
) -> None:
    assert ids(call, ListReservationsRequest(namespace=namespace, page_size=page_size)) == ALL


def test_it_lists_them_as_they_are(call: Caller, namespace: str, listed: dict[str, Reservation]) -> None:
    page = call(ListReservationsRequest(namespace=namespace))

    assert list(page.reservations) == [listed[reservation_id] for reservation_id in ALL]


@pytest.mark.parametrize("page_size", [1, 1_000])
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"holder": "kim"}, ["a", "c1", "r2"]),
        ({"holder": "ki"}, []),
        ({"item": "emma"}, ["Z", "b", "é", "x1", "c2", "r1"]),
        ({"item": "dune"}, ALL),
        ({"item": "em"}, []),
        ({"state": ReservationState.RESERVATION_STATE_ACTIVE}, ["Z", "a", "b", "é"]),
        ({"state": ReservationState.RESERVATION_STATE_EXPIRED}, ["x1"]),
        ({"state": ReservationState.RESERVATION_STATE_COMMITTED}, ["c1", "c2"]),
        ({"state": ReservationState.RESERVATION_STATE_RELEASED}, ["r1", "r2"]),
        ({"holder": "ann", "item": "dune", "state": ReservationState.RESERVATION_STATE_COMMITTED}, ["c2"]),
        ({"holder": "kim", "item": "emma"}, []),
    ],
)
@pytest.mark.usefixtures("listed")
def test_it_lists_those_that_pass_every_filter(
    call: Caller, namespace: str, filters: dict[str, object], expected: list[str], page_size: int
) -> None:
    request = ListReservationsRequest(namespace=namespace, page_size=page_size)
    for name, value in filters.items():
        setattr(request, name, value)

    assert ids(call, request) == expected


def test_an_empty_namespace_has_none(call: Caller, namespace: str) -> None:
    page = call(ListReservationsRequest(namespace=namespace))

    assert (list(page.reservations), page.next_page_token) == ([], "")


def test_one_that_ends_between_two_pages_is_not_left_out(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=9))
    for reservation_id in ("a", "b", "c"):
        call(ReserveRequest(namespace=namespace, reservation_id=reservation_id, lines=[StockLine(item="dune")]))
    request = ListReservationsRequest(namespace=namespace, page_size=1)
    request.page_token = call(request).next_page_token
    call(CommitRequest(namespace=namespace, reservation_id="b"))

    rest = ids(call, request)

    assert rest == ["c", "b"]


def test_without_a_page_size_a_page_has_a_hundred(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=101))
    for _ in range(101):
        call(ReserveRequest(namespace=namespace, lines=[StockLine(item="dune")]))

    page = call(ListReservationsRequest(namespace=namespace))

    assert len(page.reservations) == 100
    assert page.next_page_token
