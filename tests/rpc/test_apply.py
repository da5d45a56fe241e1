"""Apply: many operations in one call, all or none, or each for itself."""

from typing import Any

import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import ApplyRequest, ApplyResponse, Operation
from tallykeeper.v1.counter_pb2 import (
    ConfigureCounterRequest,
    GetCounterRequest,
    IncrementRequest,
    SetCounterRequest,
)
from tallykeeper.v1.inventory_pb2 import (
    DecrementCopiesRequest,
    DeleteStockRequest,
    GetStockRequest,
    IncrementCopiesRequest,
    SetStockRequest,
)
from tallykeeper.v1.ledger_pb2 import ListEntriesRequest
from tallykeeper.v1.reservation_pb2 import CommitRequest, GetReservationRequest, ReserveRequest, StockLine
from tests.calling import Caller
from tests.model.requests import operation
from tests.rpc.conftest import Contents, FailingCall
from tests.rpc.valid_requests import MUTATION_TYPES, valid_requests

OPERATIONS_MAX = 1_000
LINES_MAX = 10_000
SINGLE_MUTATION_TYPES = [each for each in MUTATION_TYPES if each is not ApplyRequest]


def count(counter: str = "v", delta: int = 1) -> Operation:
    """Return an increment."""
    return Operation(increment=IncrementRequest(counter=counter, delta=delta))


def take(copies: int) -> Operation:
    """Return a decrement of dune."""
    return Operation(decrement_copies=DecrementCopiesRequest(item="dune", copies=copies))


def bring(copies: int) -> Operation:
    """Return an increment of dune."""
    return Operation(increment_copies=IncrementCopiesRequest(item="dune", copies=copies))


def kinds(response: ApplyResponse) -> list[str | None]:
    """Return what kind of result each operation has."""
    return [result.WhichOneof("result") for result in response.results]


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("request_type", SINGLE_MUTATION_TYPES)
def test_an_operation_answers_as_its_rpc_does(
    call: Caller, prepared: str, request_type: type[Message], *, atomic: bool
) -> None:
    single = valid_requests(prepared)[request_type]

    reply = call(ApplyRequest(namespace=prepared, operations=[operation(single)], atomic=atomic))

    (result,) = reply.results
    name = operation(single).WhichOneof("operation")
    assert result.WhichOneof("result") == name
    answer = getattr(result, name)
    assert (answer.revision, answer.commit_time) == (reply.revision, reply.commit_time)
    assert (reply.applied, reply.failed_count, reply.revision) == (True, 0, 5)


@pytest.mark.parametrize("atomic", [False, True])
def test_each_operation_sees_those_before_it(call: Caller, namespace: str, *, atomic: bool) -> None:
    lines = [StockLine(item="dune", copies=2)]
    operations = [
        bring(5),
        take(1),
        Operation(reserve=ReserveRequest(reservation_id="basket", lines=lines)),
        Operation(commit=CommitRequest(reservation_id="basket")),
        take(2),
        Operation(delete_stock=DeleteStockRequest(item="dune")),
        bring(7),
    ]

    reply = call(ApplyRequest(namespace=namespace, operations=operations, atomic=atomic))

    assert [getattr(result, kind).revision for result, kind in _paired(reply)] == [1, 2, 3, 4, 5, 6, 7]
    assert reply.revision == 7
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.on_hand == 7
    read = call(GetReservationRequest(namespace=namespace, reservation_id="basket")).reservation
    assert read.lines[0].copies_committed == 2


def _paired(response: ApplyResponse) -> list[tuple[Any, str]]:
    return [(result, str(result.WhichOneof("result"))) for result in response.results]


def test_an_atomic_batch_in_which_one_fails_changes_nothing(call: Caller, namespace: str, contents: Contents) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    before = contents()

    reply = call(ApplyRequest(namespace=namespace, operations=[count(), take(3), take(3), take(2)], atomic=True))

    assert kinds(reply) == ["not_applied", "not_applied", "error", "not_applied"]
    assert (reply.applied, reply.failed_count, reply.revision) == (False, 1, 0)
    error = reply.results[2].error
    assert (error.code, error.reason) == (StatusCode.FAILED_PRECONDITION.value[0], "INSUFFICIENT_STOCK")
    assert dict(error.metadata) == {
        "item": "dune",
        "location": "main",
        "requested": "3",
        "available": "2",
        "backorder_limit": "0",
    }
    assert error.message
    assert contents() == before


def test_an_atomic_batch_tells_of_every_operation_that_fails(call: Caller, namespace: str) -> None:
    bound = Operation(configure_counter=ConfigureCounterRequest(counter="v", max=1))
    operations = [bound, count(delta=2), take(1), count(), count(), bring(1)]

    reply = call(ApplyRequest(namespace=namespace, operations=operations, atomic=True))

    assert kinds(reply) == ["not_applied", "error", "error", "not_applied", "error", "not_applied"]
    assert [result.error.reason for result in reply.results if result.HasField("error")] == [
        "COUNTER_BOUND_EXCEEDED",
        "ITEM_NOT_FOUND",
        "COUNTER_BOUND_EXCEEDED",
    ]
    assert reply.failed_count == 3


def test_an_independent_batch_applies_what_does_not_fail(call: Caller, namespace: str) -> None:
    reply = call(ApplyRequest(namespace=namespace, operations=[take(1), bring(2), take(3), take(2), count()]))

    assert kinds(reply) == ["error", "increment_copies", "error", "decrement_copies", "increment"]
    assert (reply.applied, reply.failed_count, reply.revision) == (True, 2, 3)
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.on_hand == 0


@pytest.mark.parametrize("atomic", [False, True])
def test_a_repeat_gets_the_same_results_and_changes_nothing(
    call: Caller, namespace: str, contents: Contents, *, atomic: bool
) -> None:
    request = ApplyRequest(namespace=namespace, request_id="r1", operations=[bring(2), take(2), count()], atomic=atomic)
    first = call(request)
    before = contents()

    again = call(request)

    assert (first.replayed, again.replayed) == (False, True)
    assert kinds(again) == kinds(first)
    assert (again.revision, again.commit_time, again.applied) == (first.revision, first.commit_time, True)
    assert again.results[1].decrement_copies.stock_level == first.results[1].decrement_copies.stock_level
    assert contents() == before


@pytest.mark.parametrize("atomic", [False, True])
def test_what_failed_fails_again_under_the_same_request_id(call: Caller, namespace: str, *, atomic: bool) -> None:
    request = ApplyRequest(namespace=namespace, request_id="r1", operations=[count(), take(2)], atomic=atomic)
    first = call(request)
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))

    again = call(request)

    assert (again.replayed, again.failed_count, again.applied) == (True, 1, not atomic)
    assert again.results[1] == first.results[1]
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.on_hand == 5


@pytest.mark.parametrize("change", ["fewer", "more", "order", "value", "atomic"])
def test_a_request_id_with_other_operations_is_refused(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents, change: str
) -> None:
    request = ApplyRequest(namespace=namespace, request_id="r1", operations=[count("a"), count("b")])
    call(request)
    before = contents()
    others = {
        "fewer": [count("a")],
        "more": [count("a"), count("b"), count("c")],
        "order": [count("b"), count("a")],
        "value": [count("a"), count("b", 2)],
        "atomic": [count("a"), count("b")],
    }
    del request.operations[:]
    request.operations.extend(others[change])
    request.atomic = change == "atomic"

    refused = failure(request)

    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert contents() == before


@pytest.mark.parametrize("atomic", [False, True])
def test_a_single_mutation_and_a_batch_do_not_share_a_request_id(
    call: Caller, failure: FailingCall, namespace: str, *, atomic: bool
) -> None:
    call(IncrementRequest(namespace=namespace, request_id="r1", counter="v"))
    call(ApplyRequest(namespace=namespace, request_id="r2", operations=[count()], atomic=atomic))

    refusals = [
        failure(ApplyRequest(namespace=namespace, request_id="r1", operations=[count(), count()], atomic=atomic)),
        failure(IncrementRequest(namespace=namespace, request_id="r2", counter="w")),
    ]

    assert [refused.reason for refused in refusals] == ["REQUEST_ID_REUSED"] * 2


@pytest.mark.parametrize("atomic", [False, True])
def test_a_thousand_operations_are_applied_in_order(call: Caller, namespace: str, *, atomic: bool) -> None:
    operations = [count(f"counter-{number % 7}", number) for number in range(OPERATIONS_MAX)]
    request = ApplyRequest(namespace=namespace, request_id="r1", operations=operations, atomic=atomic)

    reply = call(request)
    again = call(request)

    assert [result.increment.revision for result in reply.results] == list(range(1, OPERATIONS_MAX + 1))
    assert (reply.revision, again.revision, again.replayed) == (OPERATIONS_MAX, OPERATIONS_MAX, True)
    assert [result.increment.counter for result in again.results] == [
        result.increment.counter for result in reply.results
    ]
    sums = [call(GetCounterRequest(namespace=namespace, counter=f"counter-{each}")).counter.value for each in range(7)]
    assert sums == [sum(range(each, OPERATIONS_MAX, 7)) for each in range(7)]


@pytest.mark.parametrize("atomic", [False, True])
def test_without_a_request_id_a_large_batch_is_applied_each_time(call: Caller, namespace: str, *, atomic: bool) -> None:
    request = ApplyRequest(namespace=namespace, operations=[count()] * OPERATIONS_MAX, atomic=atomic)

    replies = [call(request) for _ in range(2)]

    assert [(reply.failed_count, reply.replayed) for reply in replies] == [(0, False)] * 2
    assert [reply.revision for reply in replies] == [OPERATIONS_MAX, 2 * OPERATIONS_MAX]
    assert call(GetCounterRequest(namespace=namespace, counter="v")).counter.value == 2 * OPERATIONS_MAX


@pytest.mark.parametrize("atomic", [False, True])
def test_more_than_a_thousand_operations_are_refused(
    failure: FailingCall, namespace: str, contents: Contents, *, atomic: bool
) -> None:
    request = ApplyRequest(namespace=namespace, operations=[count()] * (OPERATIONS_MAX + 1), atomic=atomic)

    refused = failure(request)

    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "BATCH_TOO_LARGE")
    assert (refused.metadata["operations"], refused.metadata["operations_max"]) == ("1001", "1000")
    assert refused.metadata.keys() == {"operations", "operations_max", "lines", "lines_max"}
    assert contents() == {}


@pytest.mark.parametrize("atomic", [False, True])
def test_more_than_ten_thousand_lines_are_refused(
    failure: FailingCall, namespace: str, contents: Contents, *, atomic: bool
) -> None:
    lines = [StockLine(item=f"item-{number}") for number in range(100)]
    operations = [Operation(reserve=ReserveRequest(lines=lines))] * 100

    refused = failure(ApplyRequest(namespace=namespace, operations=[*operations, count()], atomic=atomic))

    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "BATCH_TOO_LARGE")
    assert refused.metadata == {
        "operations": "101",
        "operations_max": str(OPERATIONS_MAX),
        "lines": str(LINES_MAX + 1),
        "lines_max": str(LINES_MAX),
    }
    assert contents() == {}


def test_ten_thousand_lines_are_applied(call: Caller, namespace: str) -> None:
    items = [f"item-{number}" for number in range(100)]
    stocked = [Operation(set_stock=SetStockRequest(item=item, on_hand=200)) for item in items]
    call(ApplyRequest(namespace=namespace, operations=stocked))
    held = Operation(reserve=ReserveRequest(lines=[StockLine(item=item) for item in items]))

    reply = call(ApplyRequest(namespace=namespace, operations=[held] * 100, atomic=True))

    assert reply.failed_count == 0
    assert len({result.reserve.reservation.reservation_id for result in reply.results}) == 100
    assert call(GetStockRequest(namespace=namespace, item="item-99")).stock_level.reserved == 100


@pytest.mark.parametrize("atomic", [False, True])
def test_reservations_without_an_id_get_the_same_one_under_the_same_request_id(
    call: Caller, namespace: str, *, atomic: bool
) -> None:
    held = Operation(reserve=ReserveRequest(lines=[StockLine(item="dune")]))
    request = ApplyRequest(namespace=namespace, request_id="r1", operations=[bring(5), held, held], atomic=atomic)

    replies = [call(request) for _ in range(2)]

    ids = [[result.reserve.reservation.reservation_id for result in reply.results[1:]] for reply in replies]
    assert ids[0] == ids[1]
    assert len(set(ids[0]) - {""}) == 2


@pytest.mark.parametrize("atomic", [False, True])
def test_the_words_of_an_operation_go_before_those_of_the_batch(call: Caller, namespace: str, *, atomic: bool) -> None:
    own = Operation(increment=IncrementRequest(counter="v", reason="own", reference="own order"))
    half = Operation(increment=IncrementRequest(counter="v", reference="half"))

    call(
        ApplyRequest(
            namespace=namespace,
            request_id="r1",
            reason="sale",
            reference="order 1",
            operations=[count(), own, half],
            atomic=atomic,
        )
    )

    entries = call(ListEntriesRequest(namespace=namespace)).entries
    assert [(entry.request_id, entry.reason, entry.reference) for entry in entries] == [
        ("r1", "sale", "order 1"),
        ("r1", "own", "own order"),
        ("r1", "sale", "half"),
    ]


def test_an_operation_may_name_the_batchs_namespace(call: Caller, namespace: str) -> None:
    named = Operation(set_counter=SetCounterRequest(namespace=namespace, counter="v", value=3))

    reply = call(ApplyRequest(namespace=namespace, operations=[named]))

    assert reply.results[0].set_counter.counter.value == 3


def test_an_invalid_operation_lets_nothing_be_applied(failure: FailingCall, namespace: str, contents: Contents) -> None:
    operations = [count(), take(1), count(), take(0)]

    refused = failure(ApplyRequest(namespace=namespace, operations=operations))

    assert (refused.reason, set(refused.violations)) == ("INVALID_FIELD", {"operations[3].decrement_copies.copies"})
    assert contents() == {}


def test_a_namespace_that_is_far_too_long_is_told_in_short_with_each_operation(failure: FailingCall) -> None:
    named = Operation(set_counter=SetCounterRequest(namespace="other", counter="v", value=3))

    refused = failure(ApplyRequest(namespace="é" * 70_000, operations=[named] * 30))

    assert (refused.reason, refused.metadata["violations"]) == ("INVALID_FIELD", "31")
    assert refused.trailer_bytes < 8_192
