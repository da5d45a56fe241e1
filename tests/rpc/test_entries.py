"""The entry of each kind of mutation: its texts, its lines, and the thresholds that they crossed."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from tallykeeper.v1.batch_pb2 import BATCH_MODE_ATOMIC, ApplyRequest
from tallykeeper.v1.counter_pb2 import (
    Counter,
    DeleteCounterRequest,
    IncrementRequest,
    SetCounterRequest,
)
from tallykeeper.v1.inventory_pb2 import (
    ConfigureStockRequest,
    DecrementCopiesRequest,
    DeleteStockRequest,
    IncrementCopiesRequest,
    MoveCopiesRequest,
    SetStockRequest,
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
    ReleaseRequest,
    ReservationState,
    ReserveRequest,
    StockLine,
)
from tests.rpc.conftest import FailingCall
from tests.rpc.valid_requests import MUTATION_TYPES, valid_requests
from tests.support.client import Caller
from tests.support.ledger import counter_line, stock_line

MAX = 2**53 - 1
LOW = ThresholdCrossing.THRESHOLD_CROSSING_LOW
OUT = ThresholdCrossing.THRESHOLD_CROSSING_OUT
BACK = ThresholdCrossing.THRESHOLD_CROSSING_BACK_IN_STOCK


def last_entry(call: Caller, namespace: str) -> Entry:
    """Return the newest entry."""
    entry: Entry = call(ListEntriesRequest(namespace=namespace, newest_first=True, page_size=1)).entries[0]
    return entry


def level(item: str = "dune", location: str = "main", **numbers: Any) -> StockLevel:  # noqa: ANN401  # numbers by their names
    """Return a stock level."""
    return StockLevel(item=item, location=location, **numbers)


@pytest.mark.parametrize("request_type", [each for each in MUTATION_TYPES if each is not ApplyRequest])
def test_an_entry_says_when_what_and_why(call: Caller, prepared: str, request_type: type[Message]) -> None:
    request: Any = valid_requests(prepared)[request_type]
    request.request_id, request.reason, request.reference = "r1", "sale", "order 1"

    reply = call(request)
    entry = last_entry(call, prepared)

    rpc = request_type.DESCRIPTOR.name.removesuffix("Request")
    kind = OperationKind.Name(entry.operation)
    assert kind.removeprefix("OPERATION_KIND_").replace("_", "") == rpc.upper()
    assert (entry.revision, entry.commit_time) == (reply.revision, reply.commit_time)
    assert (entry.request_id, entry.reason, entry.reference, entry.identity) == ("r1", "sale", "order 1", "")


def test_a_counter_is_shown_as_it_was_left(call: Caller, namespace: str) -> None:
    call(IncrementRequest(namespace=namespace, counter="visits", delta=3))

    call(SetCounterRequest(namespace=namespace, counter="visits", value=-2))

    assert list(last_entry(call, namespace).lines) == [counter_line("visits", -5, Counter(counter="visits", value=-2))]


def test_a_counter_that_was_deleted_is_not_shown(call: Caller, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="visits", value=4))

    call(DeleteCounterRequest(namespace=namespace, counter="visits"))

    assert list(last_entry(call, namespace).lines) == [counter_line("visits", -4)]


def test_a_change_may_be_twice_as_far_from_zero_as_other_numbers(call: Caller, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="big", value=MAX))

    call(SetCounterRequest(namespace=namespace, counter="big", value=-MAX))

    assert last_entry(call, namespace).lines[0].counter.value_change == -2 * MAX


def test_a_stock_level_is_shown_as_it_was_left(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))

    call(DecrementCopiesRequest(namespace=namespace, item="dune", copies=2))

    assert list(last_entry(call, namespace).lines) == [
        stock_line("dune", on_hand_change=-2, after=level(on_hand=3, available=3))
    ]


def test_a_stock_level_that_was_deleted_is_not_shown(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=0))

    call(DeleteStockRequest(namespace=namespace, item="dune"))

    assert list(last_entry(call, namespace).lines) == [stock_line("dune")]


def test_what_named_a_level_and_left_it_unchanged_has_a_line(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))

    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))

    assert list(last_entry(call, namespace).lines) == [stock_line("dune", after=level(on_hand=5, available=5))]


def test_a_move_has_a_line_for_each_end(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))

    call(MoveCopiesRequest(namespace=namespace, item="dune", to_location="annex", copies=2))

    assert list(last_entry(call, namespace).lines) == [
        stock_line("dune", on_hand_change=-2, after=level(on_hand=3, available=3)),
        stock_line("dune", "annex", on_hand_change=2, after=level(location="annex", on_hand=2, available=2)),
    ]


@pytest.fixture
def held(call: Caller, namespace: str) -> EntryReservation:
    """The entry of a basket for kim, with 3 of 5 copies of emma and 1 of 5 copies of dune."""
    for item in ("dune", "emma"):
        call(SetStockRequest(namespace=namespace, item=item, on_hand=5))
    lines = [StockLine(item="emma", copies=3), StockLine(item="dune")]
    made = call(ReserveRequest(namespace=namespace, reservation_id="basket", lines=lines, holder="kim")).reservation
    return EntryReservation(
        reservation_id="basket",
        state=ReservationState.RESERVATION_STATE_ACTIVE,
        holder="kim",
        expire_time=made.expire_time,
    )


def test_a_reserve_has_a_line_for_each_level(call: Caller, namespace: str, held: EntryReservation) -> None:
    entry = last_entry(call, namespace)

    assert entry.reservation == held
    assert list(entry.lines) == [
        stock_line(
            "emma",
            reserved_change=3,
            after=level("emma", on_hand=5, reserved=3, available=2),
        ),
        stock_line("dune", reserved_change=1, after=level(on_hand=5, reserved=1, available=4)),
    ]


def test_a_commit_has_what_was_taken_and_what_was_given_back(
    call: Caller, namespace: str, held: EntryReservation
) -> None:
    call(CommitRequest(namespace=namespace, reservation_id="basket", lines=[StockLine(item="emma", copies=2)]))
    entry = last_entry(call, namespace)

    held.state = ReservationState.RESERVATION_STATE_COMMITTED
    assert entry.reservation == held
    assert list(entry.lines) == [
        stock_line(
            "emma",
            on_hand_change=-2,
            reserved_change=-3,
            after=level("emma", on_hand=3, available=3),
        ),
        stock_line("dune", reserved_change=-1, after=level(on_hand=5, available=5)),
    ]


def test_a_release_has_what_was_given_back(call: Caller, namespace: str, held: EntryReservation) -> None:
    call(ReleaseRequest(namespace=namespace, reservation_id="basket"))
    entry = last_entry(call, namespace)

    held.state = ReservationState.RESERVATION_STATE_RELEASED
    assert entry.reservation == held
    assert [(line.stock.item, line.stock.on_hand_change, line.stock.reserved_change) for line in entry.lines] == [
        ("emma", 0, -3),
        ("dune", 0, -1),
    ]


def test_an_extension_has_the_new_end(call: Caller, namespace: str, held: EntryReservation) -> None:
    reply = call(ExtendRequest(namespace=namespace, reservation_id="basket", ttl=Duration(seconds=86_400)))
    entry = last_entry(call, namespace)

    held.expire_time.CopyFrom(reply.reservation.expire_time)
    assert entry.reservation == held
    assert {(line.stock.on_hand_change, line.stock.reserved_change) for line in entry.lines} <= {(0, 0)}


@pytest.mark.parametrize(
    ("before", "after", "crossings"),
    [
        (3, 3, []),
        (3, 2, [LOW]),
        (3, 1, [LOW]),
        (3, 0, [LOW, OUT]),
        (2, 1, []),
        (2, 0, [OUT]),
        (0, 0, []),
        (0, 1, [BACK]),
        (0, 9, [BACK]),
        (1, 3, []),
    ],
)
def test_a_threshold_is_crossed_only_when_it_was_not_before(
    call: Caller, namespace: str, before: int, after: int, crossings: list[ThresholdCrossing]
) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=before))
    call(ConfigureStockRequest(namespace=namespace, item="dune", low_stock_threshold=2))

    call(SetStockRequest(namespace=namespace, item="dune", on_hand=after))

    assert list(last_entry(call, namespace).lines[0].stock.crossings) == crossings


@pytest.mark.parametrize(
    ("configuration", "crossings"),
    [
        ({"low_stock_threshold": 4}, []),
        ({"low_stock_threshold": 5}, [LOW]),
        ({"safety_stock": 5}, [OUT]),
        ({"safety_stock": 5, "low_stock_threshold": 1}, [LOW, OUT]),
        ({"backorder_limit": 9}, []),
    ],
)
def test_a_configuration_can_cross(
    call: Caller, namespace: str, configuration: dict[str, int], crossings: list[ThresholdCrossing]
) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    request = ConfigureStockRequest(namespace=namespace, item="dune")
    for name, value in configuration.items():
        setattr(request, name, value)

    call(request)

    assert list(last_entry(call, namespace).lines[0].stock.crossings) == crossings


def test_a_level_that_is_new_or_deleted_crosses_nothing(call: Caller, namespace: str) -> None:
    call(ConfigureStockRequest(namespace=namespace, item="dune", low_stock_threshold=3))
    call(DeleteStockRequest(namespace=namespace, item="dune"))
    call(IncrementCopiesRequest(namespace=namespace, item="dune"))

    entries = call(ListEntriesRequest(namespace=namespace)).entries
    assert [list(entry.lines[0].stock.crossings) for entry in entries] == [[], [], []]


def test_to_reserve_and_to_release_cross_as_to_take_and_to_bring_do(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=2))
    call(ReserveRequest(namespace=namespace, reservation_id="basket", lines=[StockLine(item="dune", copies=2)]))
    reserved = last_entry(call, namespace)
    call(ReleaseRequest(namespace=namespace, reservation_id="basket"))
    released = last_entry(call, namespace)

    assert list(reserved.lines[0].stock.crossings) == [OUT]
    assert list(released.lines[0].stock.crossings) == [BACK]


def test_a_commit_of_everything_crosses_nothing(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=2))
    call(ReserveRequest(namespace=namespace, reservation_id="basket", lines=[StockLine(item="dune", copies=2)]))

    call(CommitRequest(namespace=namespace, reservation_id="basket"))

    assert list(last_entry(call, namespace).lines[0].stock.crossings) == []


def test_a_refusal_and_a_replay_have_no_entry(call: Caller, failure: FailingCall, namespace: str) -> None:
    request = IncrementRequest(namespace=namespace, request_id="r1", counter="v")
    for _ in range(2):
        call(request)
    failure(DeleteStockRequest(namespace=namespace, item="dune"))
    refused = failure(
        ApplyRequest(
            namespace=namespace,
            mode=BATCH_MODE_ATOMIC,
            operations=[
                {"increment": IncrementRequest(counter="v")},
                {"delete_stock": DeleteStockRequest(item="dune")},
            ],
        )
    )

    assert refused.reason == "BATCH_REFUSED"
    assert [entry.revision for entry in call(ListEntriesRequest(namespace=namespace)).entries] == [1]
