"""GetItem: the levels of an item at all its locations, and their totals."""

from grpc import StatusCode

from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    GetItemRequest,
    GetItemResponse,
    SetStockRequest,
    StockLevel,
)
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tests.rpc.conftest import FailingCall
from tests.support.client import Caller

MAX = 2**53 - 1


def test_it_adds_up_the_levels_in_the_order_of_their_locations(call: Caller, namespace: str) -> None:
    for location, on_hand in (("main", 5), ("Zoo", 2), ("annex", 3), ("annex-2", 0)):
        call(SetStockRequest(namespace=namespace, item="dune", location=location, on_hand=on_hand))
    call(ConfigureStockRequest(namespace=namespace, item="dune", location="annex", safety_stock=4))

    assert call(GetItemRequest(namespace=namespace, item="dune")) == GetItemResponse(
        revision=5,
        stock_levels=[
            StockLevel(item="dune", location="Zoo", on_hand=2, available=2),
            StockLevel(item="dune", location="annex", on_hand=3, safety_stock=4, available=-1),
            StockLevel(item="dune", location="annex-2"),
            StockLevel(item="dune", location="main", on_hand=5, available=5),
        ],
        total_on_hand=10,
        total_reserved=0,
        total_available=6,
    )


def test_it_adds_up_what_is_reserved(call: Caller, namespace: str) -> None:
    for location in ("main", "annex"):
        call(SetStockRequest(namespace=namespace, item="dune", location=location, on_hand=5))
    lines = [StockLine(item="dune", copies=2), StockLine(item="dune", location="annex", copies=3)]
    call(ReserveRequest(namespace=namespace, lines=lines))

    read = call(GetItemRequest(namespace=namespace, item="dune"))

    assert (read.total_on_hand, read.total_reserved, read.total_available) == (10, 5, 5)


def test_it_reads_no_item_whose_name_only_begins_so(call: Caller, namespace: str) -> None:
    for item in ("dune", "dune 2", "dun", "dune:main"):
        call(SetStockRequest(namespace=namespace, item=item, on_hand=1))

    assert [level.item for level in call(GetItemRequest(namespace=namespace, item="dune")).stock_levels] == ["dune"]


def test_an_item_without_a_level_is_not_found(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune 2", on_hand=1))

    refused = failure(GetItemRequest(namespace=namespace, item="dune"))

    assert (refused.code, refused.reason) == (StatusCode.NOT_FOUND, "ITEM_NOT_FOUND")
    assert refused.metadata == {"item": "dune"}


def test_a_total_reaches_the_last_exact_integer_and_no_further(
    call: Caller, failure: FailingCall, namespace: str
) -> None:
    call(SetStockRequest(namespace=namespace, item="grain", location="a", on_hand=MAX - 1))
    call(SetStockRequest(namespace=namespace, item="grain", location="b", on_hand=1))
    reached = call(GetItemRequest(namespace=namespace, item="grain"))
    call(SetStockRequest(namespace=namespace, item="grain", location="b", on_hand=2))

    refused = failure(GetItemRequest(namespace=namespace, item="grain"))

    assert (reached.total_on_hand, reached.total_available) == (MAX, MAX)
    assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "VALUE_OVERFLOW")
    assert refused.metadata == {"item": "grain"}


def test_a_total_reaches_the_least_integer_and_no_further(call: Caller, failure: FailingCall, namespace: str) -> None:
    for location, taken in (("a", MAX - 1), ("b", 1)):
        call(ConfigureStockRequest(namespace=namespace, item="grain", location=location, backorder_limit=MAX))
        call(DecrementCopiesRequest(namespace=namespace, item="grain", location=location, copies=taken))
    reached = call(GetItemRequest(namespace=namespace, item="grain"))
    call(DecrementCopiesRequest(namespace=namespace, item="grain", location="b"))

    refused = failure(GetItemRequest(namespace=namespace, item="grain"))

    assert reached.total_on_hand == -MAX
    assert refused.reason == "VALUE_OVERFLOW"


def test_a_total_that_alone_overflows_is_refused(call: Caller, failure: FailingCall, namespace: str) -> None:
    for location in ("a", "b"):
        call(ConfigureStockRequest(namespace=namespace, item="grain", location=location, safety_stock=MAX))

    refused = failure(GetItemRequest(namespace=namespace, item="grain"))

    assert refused.reason == "VALUE_OVERFLOW"
