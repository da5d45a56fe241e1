"""GetReservation: a reservation as it is now."""

import pytest
from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import SetStockRequest
from tallykeeper.v1.reservation_pb2 import GetReservationRequest, ReserveRequest, StockLine
from tests.rpc.conftest import FailingCall
from tests.rpc.test_names import NAMES
from tests.support.client import Caller


@pytest.mark.parametrize("name", NAMES)
def test_a_reservation_and_its_holder_may_have_any_name(call: Caller, namespace: str, name: str) -> None:
    call(SetStockRequest(namespace=namespace, item=name, on_hand=2))
    made = call(
        ReserveRequest(namespace=namespace, reservation_id=name, lines=[StockLine(item=name)], holder=name)
    ).reservation

    read = call(GetReservationRequest(namespace=namespace, reservation_id=name)).reservation

    assert read == made
    assert (read.reservation_id, read.holder, read.lines[0].item) == (name, name, name)


def test_an_id_that_only_begins_like_another_is_not_found(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=2))
    call(ReserveRequest(namespace=namespace, reservation_id="basket", lines=[StockLine(item="dune")]))

    refused = failure(GetReservationRequest(namespace=namespace, reservation_id="bask"))

    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
    assert refused.metadata == {"reservation_id": "bask"}
