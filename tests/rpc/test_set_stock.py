"""SetStock: the copies that were counted and, if the request names it, the number that they must replace."""

from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    GetStockRequest,
    SetStockRequest,
    StockLevel,
)
from tallykeeper.v1.reservation_pb2 import CommitRequest, ReserveRequest, StockLine
from tests.rpc.conftest import Contents, FailingCall
from tests.support.client import Caller


def test_it_creates_the_level(call: Caller, namespace: str) -> None:
    reply = call(SetStockRequest(namespace=namespace, item="dune", on_hand=7))

    assert reply.stock_level == StockLevel(item="dune", location="main", on_hand=7, available=7)
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level == reply.stock_level


def test_a_forgotten_number_is_refused_and_changes_nothing(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=7))
    before = contents()
    forgotten = SetStockRequest(item="dune")
    batch = ApplyRequest(namespace=namespace, operations=[Operation(set_stock=forgotten)], mode=BATCH_MODE_INDEPENDENT)

    alone = failure(SetStockRequest(namespace=namespace, item="dune", request_id="once"))

    flaw = "is absent; give it a value, which may be 0"
    assert (alone.code, alone.violations) == (StatusCode.INVALID_ARGUMENT, {"on_hand": flaw})
    assert failure(batch).violations == {"operations[0].set_stock.on_hand": flaw}
    assert contents() == before


def test_zero_is_a_number_like_any_other(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=7))

    reply = call(SetStockRequest(namespace=namespace, item="dune", on_hand=0))

    assert reply.stock_level == StockLevel(item="dune", location="main")


def test_it_keeps_what_was_configured(call: Caller, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", safety_stock=4, backorder_limit=2))

    reply = call(SetStockRequest(namespace=namespace, item="dune", on_hand=3))

    assert reply.stock_level == StockLevel(
        item="dune", location="main", on_hand=3, safety_stock=4, backorder_limit=2, available=-1
    )


def test_it_sets_when_there_are_as_many_as_expected(call: Caller, namespace: str) -> None:
    created = call(SetStockRequest(namespace=namespace, item="dune", on_hand=4, expected_on_hand=0))
    changed = call(SetStockRequest(namespace=namespace, item="dune", on_hand=5, expected_on_hand=4))

    assert (created.stock_level.on_hand, changed.stock_level.on_hand) == (4, 5)


def test_fewer_than_none_may_be_expected(call: Caller, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=2))
    call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=2))

    reply = call(SetStockRequest(namespace=namespace, item="dune", on_hand=5, expected_on_hand=-2))

    assert reply.stock_level.on_hand == 5


def test_it_refuses_when_there_are_not_as_many_as_expected(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=4))
    before = contents()

    refused = failure(SetStockRequest(namespace=namespace, item="dune", on_hand=5, expected_on_hand=0))

    assert (refused.code, refused.reason) == (StatusCode.ABORTED, "VALUE_CHANGED")
    assert refused.metadata == {"item": "dune", "location": "main", "actual": "4", "expected": "0"}
    assert contents() == before


def test_it_creates_nothing_when_a_level_is_expected_and_there_is_none(
    failure: FailingCall, namespace: str, contents: Contents
) -> None:
    refused = failure(SetStockRequest(namespace=namespace, item="dune", on_hand=5, expected_on_hand=4))

    assert refused.metadata == {"item": "dune", "location": "main", "actual": "0", "expected": "4"}
    assert contents() == {}


def test_a_count_below_what_is_reserved_is_refused_unless_it_is_allowed(
    call: Caller, failure: FailingCall, namespace: str
) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    call(ReserveRequest(namespace=namespace, reservation_id="order", lines=[StockLine(item="dune", copies=4)]))

    refused = failure(SetStockRequest(namespace=namespace, item="dune", on_hand=2))
    counted = call(SetStockRequest(namespace=namespace, item="dune", on_hand=2, allow_below_reserved=True))

    assert refused.reason == "STOCK_BELOW_RESERVED"
    assert counted.stock_level == StockLevel(
        item="dune", location="main", on_hand=2, reserved=4, available=-2, short_copies=2
    )
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level == counted.stock_level


def test_nothing_more_can_be_reserved_until_a_short_level_is_covered(
    call: Caller, failure: FailingCall, namespace: str
) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    call(ReserveRequest(namespace=namespace, reservation_id="order", lines=[StockLine(item="dune", copies=4)]))
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=2, allow_below_reserved=True))
    one_more = ReserveRequest(namespace=namespace, reservation_id="more", lines=[StockLine(item="dune")])

    assert failure(one_more).reason == "INSUFFICIENT_STOCK"
    covered = call(SetStockRequest(namespace=namespace, item="dune", on_hand=5)).stock_level
    call(one_more)

    assert (covered.short_copies, covered.available) == (0, 1)


def test_what_a_short_level_holds_may_be_committed(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=4))
    call(ReserveRequest(namespace=namespace, reservation_id="order", lines=[StockLine(item="dune", copies=4)]))
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=2, allow_below_reserved=True))

    call(CommitRequest(namespace=namespace, reservation_id="order"))

    level = call(GetStockRequest(namespace=namespace, item="dune")).stock_level
    assert (level.on_hand, level.reserved, level.short_copies) == (-2, 0, 0)


def test_copies_on_backorder_are_set_as_far_as_the_limit_allows(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", backorder_limit=3))

    owed = call(SetStockRequest(namespace=namespace, item="dune", on_hand=-3)).stock_level
    before = contents()
    refused = failure(SetStockRequest(namespace=namespace, item="dune", on_hand=-4))

    assert (owed.on_hand, owed.available, owed.short_copies) == (-3, -3, 0)
    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "STOCK_BELOW_RESERVED")
    assert contents() == before


def test_a_count_below_the_backorder_limit_is_set_where_it_is_allowed(call: Caller, namespace: str) -> None:
    owed = call(SetStockRequest(namespace=namespace, item="dune", on_hand=-4, allow_below_reserved=True)).stock_level

    assert (owed.on_hand, owed.backorder_limit, owed.short_copies) == (-4, 0, 0)
