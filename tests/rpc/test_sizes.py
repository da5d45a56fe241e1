"""Answers that could be larger than a client receives, 4 MiB unless it is told otherwise: they come in parts."""

from typing import Final

import pytest

from tallykeeper.v1.batch_pb2 import ApplyRequest, Operation
from tallykeeper.v1.inventory_pb2 import ConfigureStockRequest
from tallykeeper.v1.ledger_pb2 import ListEntriesRequest, WatchRequest
from tallykeeper.v1.reservation_pb2 import ListReservationsRequest, ReserveRequest, StockLine
from tests.calling import Caller

LOCATION: Final = "x" * 63
ITEMS: Final = tuple(f"{'n' * 125}-{number:02}" for number in range(100))
BATCHES: Final = 5
RESERVATIONS_OF_A_BATCH: Final = 45
RESERVATIONS: Final = BATCHES * RESERVATIONS_OF_A_BATCH


@pytest.fixture
def large(call: Caller, namespace: str) -> str:
    """A namespace with reservations of the longest lines, about 5 MB of them."""
    levels = [
        Operation(configure_stock=ConfigureStockRequest(item=item, location=LOCATION, backorder_limit=1_000))
        for item in ITEMS
    ]
    call(ApplyRequest(namespace=namespace, operations=levels))
    held = Operation(reserve=ReserveRequest(lines=[StockLine(item=item, location=LOCATION) for item in ITEMS]))
    for _ in range(BATCHES):
        call(ApplyRequest(namespace=namespace, operations=[held] * RESERVATIONS_OF_A_BATCH))
    return namespace


def test_a_page_of_large_reservations_is_shorter_than_was_asked_for(call: Caller, large: str) -> None:
    request = ListReservationsRequest(namespace=large, page_size=1_000)

    listed = [reservation for page in call.pages(request) for reservation in page.reservations]

    assert len({reservation.reservation_id for reservation in listed}) == len(listed) == RESERVATIONS
    assert {len(reservation.lines) for reservation in listed} == {len(ITEMS)}


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_page_of_large_entries_is_shorter_than_was_asked_for(call: Caller, large: str, *, newest_first: bool) -> None:
    request = ListEntriesRequest(namespace=large, page_size=1_000, newest_first=newest_first)

    revisions = [entry.revision for page in call.pages(request) for entry in page.entries]

    assert revisions == sorted(range(1, len(ITEMS) + RESERVATIONS + 1), reverse=newest_first)


def test_large_entries_are_watched_in_parts(call: Caller, large: str) -> None:
    last = len(ITEMS) + RESERVATIONS
    revisions: list[int] = []

    with call.stream(WatchRequest(namespace=large, after_revision=0)) as responses:
        for response in responses:
            revisions += [entry.revision for entry in response.entries]
            if response.revision >= last:
                break

    assert revisions == list(range(1, last + 1))
