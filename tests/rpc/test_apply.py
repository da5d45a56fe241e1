"""Apply: many operations in one call, all or none of them, or each independently."""

from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, PreconditionFailure
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import BATCH_MODE_ATOMIC, BATCH_MODE_INDEPENDENT, ApplyRequest, ApplyResponse, Operation
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
    Shortages,
)
from tallykeeper.v1.ledger_pb2 import ListEntriesRequest
from tallykeeper.v1.reservation_pb2 import CommitRequest, GetReservationRequest, ReserveRequest, StockLine
from tallykeeper_client import BatchRefused, Client, InsufficientStock, operations
from tests.model.requests import operation
from tests.rpc.conftest import Contents, FailingCall
from tests.rpc.valid_requests import MUTATION_TYPES, valid_requests
from tests.support.batches import mode_of
from tests.support.client import Caller
from tests.support.server import ThreadedServer

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
    """Return the kind of result of each operation."""
    return [result.WhichOneof("result") for result in response.results]


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("request_type", SINGLE_MUTATION_TYPES)
def test_an_operation_answers_as_its_rpc_does(
    call: Caller, prepared: str, request_type: type[Message], *, atomic: bool
) -> None:
    single = valid_requests(prepared)[request_type]

    reply = call(ApplyRequest(namespace=prepared, operations=[operation(single)], mode=mode_of(atomic=atomic)))

    (result,) = reply.results
    name = operation(single).WhichOneof("operation")
    assert result.WhichOneof("result") == name
    answer = getattr(result, name)
    assert (answer.revision, answer.commit_time) == (reply.revision, reply.commit_time)
    assert (reply.failed_count, reply.revision) == (0, 5)


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

    reply = call(ApplyRequest(namespace=namespace, operations=operations, mode=mode_of(atomic=atomic)))

    assert [getattr(result, kind).revision for result, kind in _paired(reply)] == [1, 2, 3, 4, 5, 6, 7]
    assert reply.revision == 7
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.on_hand == 7
    read = call(GetReservationRequest(namespace=namespace, reservation_id="basket")).reservation
    assert read.lines[0].copies_committed == 2


def _paired(response: ApplyResponse) -> list[tuple[Any, str]]:
    return [(result, str(result.WhichOneof("result"))) for result in response.results]


def test_an_atomic_batch_in_which_one_fails_changes_nothing(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    before = contents()
    operations = [count(), take(3), take(3), take(2)]

    refused = failure(ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_ATOMIC))

    assert (refused.code, refused.reason) == (StatusCode.FAILED_PRECONDITION, "BATCH_REFUSED")
    assert refused.metadata == {"failed_count": "1", "index": "2", "operation_reason": "INSUFFICIENT_STOCK"}
    short = {"item": "dune", "location": "main", "requested": "3", "available": "2", "backorder_limit": "0"}
    assert refused.failed == ((2, "INSUFFICIENT_STOCK", short),)
    assert refused.message == (
        "the batch was refused and nothing was changed: operations[2]: 3 copies of 'dune' at 'main' were asked for and"
        " 2 are available (backorder limit 0)"
    )
    assert (refused.retry_delay_seconds, refused.pushback_ms, refused.preconditions) == (None, None, ())
    assert contents() == before


def test_an_atomic_batch_has_the_code_of_the_first_operation_that_fails_and_lists_every_one(
    failure: FailingCall, namespace: str
) -> None:
    bound = Operation(configure_counter=ConfigureCounterRequest(counter="v", max=1))
    operations = [bound, count(delta=2), take(1), count(), count(), bring(1)]

    refused = failure(ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_ATOMIC))

    assert (refused.code, refused.reason) == (StatusCode.OUT_OF_RANGE, "BATCH_REFUSED")
    assert [(index, reason) for index, reason, _ in refused.failed] == [
        (1, "COUNTER_BOUND_EXCEEDED"),
        (2, "ITEM_NOT_FOUND"),
        (4, "COUNTER_BOUND_EXCEEDED"),
    ]
    assert (refused.metadata["failed_count"], refused.metadata["operation_reason"]) == ("3", "COUNTER_BOUND_EXCEEDED")
    assert refused.message.endswith("; 3 of its 6 operations fail")


def test_of_many_operations_that_fail_the_first_twenty_are_listed(failure: FailingCall, namespace: str) -> None:
    refused = failure(ApplyRequest(namespace=namespace, operations=[take(1)] * 1_000, mode=BATCH_MODE_ATOMIC))

    assert (refused.metadata["failed_count"], len(refused.failed)) == ("1000", 20)
    assert refused.trailer_bytes < 8_192


@pytest.mark.parametrize("lines", [1, 100])
def test_the_error_of_a_batch_of_long_names_is_not_too_large_for_the_trailers(
    failure: FailingCall, namespace: str, lines: int
) -> None:
    items = [f"{number:03}{'名' * 41}" for number in range(lines)]
    reserve = Operation(reserve=ReserveRequest(lines=[StockLine(item=item, location="x" * 63) for item in items]))

    refused = failure(ApplyRequest(namespace=namespace, operations=[reserve] * 20, mode=BATCH_MODE_ATOMIC))

    assert 1 <= len(refused.failed) < 20
    assert refused.metadata["failed_count"] == "20"
    assert refused.trailer_bytes < 8_192


def test_a_batch_without_a_mode_is_refused(failure: FailingCall, namespace: str, contents: Contents) -> None:
    refused = failure(ApplyRequest(namespace=namespace, operations=[count()]))

    assert refused.violations == {"mode": "is absent; choose BATCH_MODE_ATOMIC or BATCH_MODE_INDEPENDENT"}
    assert contents() == {}


def test_an_operations_error_is_a_google_rpc_status(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=1))
    alone = failure(DecrementCopiesRequest(namespace=namespace, item="dune", copies=2))

    reply = call(ApplyRequest(namespace=namespace, operations=[take(2)], mode=BATCH_MODE_INDEPENDENT))

    error = reply.results[0].error
    status = Status.FromString(error.SerializeToString())
    info, precondition, shortages = ErrorInfo(), PreconditionFailure(), Shortages()
    assert [
        detail.Unpack(each) for detail, each in zip(status.details, (info, precondition, shortages), strict=True)
    ] == [True] * 3
    assert (status.code, status.message) == (alone.code.value[0], alone.message)
    assert (info.reason, dict(info.metadata)) == (alone.reason, alone.metadata)
    assert tuple((each.type, each.subject) for each in precondition.violations) == alone.preconditions


def test_an_independent_batch_applies_what_does_not_fail(call: Caller, namespace: str) -> None:
    reply = call(
        ApplyRequest(
            namespace=namespace, operations=[take(1), bring(2), take(3), take(2), count()], mode=BATCH_MODE_INDEPENDENT
        )
    )

    assert kinds(reply) == ["error", "increment_copies", "error", "decrement_copies", "increment"]
    assert (reply.failed_count, reply.revision) == (2, 3)
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.on_hand == 0


@pytest.mark.parametrize("atomic", [False, True])
def test_a_repeat_gets_the_same_results_and_changes_nothing(
    call: Caller, namespace: str, contents: Contents, *, atomic: bool
) -> None:
    request = ApplyRequest(
        namespace=namespace, request_id="r1", operations=[bring(2), take(2), count()], mode=mode_of(atomic=atomic)
    )
    first = call(request)
    before = contents()

    again = call(request)

    assert (first.replayed, again.replayed) == (False, True)
    assert kinds(again) == kinds(first)
    assert (again.revision, again.commit_time) == (first.revision, first.commit_time)
    assert again.results[1].decrement_copies.stock_level == first.results[1].decrement_copies.stock_level
    assert contents() == before


def test_what_failed_fails_again_under_the_same_request_id(call: Caller, namespace: str) -> None:
    operations = [count(), take(2)]
    request = ApplyRequest(namespace=namespace, request_id="r1", operations=operations, mode=BATCH_MODE_INDEPENDENT)
    first = call(request)
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))

    again = call(request)

    assert (again.replayed, again.failed_count, again.revision) == (True, 1, 1)
    assert again.results[1] == first.results[1]
    assert call(GetStockRequest(namespace=namespace, item="dune")).stock_level.on_hand == 5


def test_an_atomic_batch_that_was_refused_is_refused_again_under_the_same_request_id(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    request = ApplyRequest(namespace=namespace, request_id="r1", operations=[count(), take(2)], mode=BATCH_MODE_ATOMIC)
    first = failure(request)
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=5))
    before = contents()

    again = failure(request)

    assert (again.code, again.reason, again.metadata) == (first.code, first.reason, first.metadata)
    assert (again.failed, again.message) == (first.failed, first.message)
    assert contents() == before


@pytest.mark.parametrize("change", ["fewer", "more", "order", "value", "atomic"])
def test_a_request_id_with_other_operations_is_refused(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents, change: str
) -> None:
    request = ApplyRequest(
        namespace=namespace, request_id="r1", operations=[count("a"), count("b")], mode=BATCH_MODE_INDEPENDENT
    )
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
    request.mode = mode_of(atomic=change == "atomic")

    refused = failure(request)

    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert contents() == before


@pytest.mark.parametrize("atomic", [False, True])
def test_a_single_mutation_and_a_batch_do_not_share_a_request_id(
    call: Caller, failure: FailingCall, namespace: str, *, atomic: bool
) -> None:
    call(IncrementRequest(namespace=namespace, request_id="r1", counter="v"))
    call(ApplyRequest(namespace=namespace, request_id="r2", operations=[count()], mode=mode_of(atomic=atomic)))

    refusals = [
        failure(
            ApplyRequest(
                namespace=namespace, request_id="r1", operations=[count(), count()], mode=mode_of(atomic=atomic)
            )
        ),
        failure(IncrementRequest(namespace=namespace, request_id="r2", counter="w")),
    ]

    assert [refused.reason for refused in refusals] == ["REQUEST_ID_REUSED"] * 2


@pytest.mark.parametrize("atomic", [False, True])
def test_a_thousand_operations_are_applied_in_order(call: Caller, namespace: str, *, atomic: bool) -> None:
    operations = [count(f"counter-{number % 7}", number) for number in range(OPERATIONS_MAX)]
    request = ApplyRequest(namespace=namespace, request_id="r1", operations=operations, mode=mode_of(atomic=atomic))

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
    request = ApplyRequest(namespace=namespace, operations=[count()] * OPERATIONS_MAX, mode=mode_of(atomic=atomic))

    replies = [call(request) for _ in range(2)]

    assert [(reply.failed_count, reply.replayed) for reply in replies] == [(0, False)] * 2
    assert [reply.revision for reply in replies] == [OPERATIONS_MAX, 2 * OPERATIONS_MAX]
    assert call(GetCounterRequest(namespace=namespace, counter="v")).counter.value == 2 * OPERATIONS_MAX


@pytest.mark.parametrize("atomic", [False, True])
def test_more_than_a_thousand_operations_are_refused(
    failure: FailingCall, namespace: str, contents: Contents, *, atomic: bool
) -> None:
    request = ApplyRequest(
        namespace=namespace, operations=[count()] * (OPERATIONS_MAX + 1), mode=mode_of(atomic=atomic)
    )

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

    refused = failure(ApplyRequest(namespace=namespace, operations=[*operations, count()], mode=mode_of(atomic=atomic)))

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
    call(ApplyRequest(namespace=namespace, operations=stocked, mode=BATCH_MODE_INDEPENDENT))
    held = Operation(reserve=ReserveRequest(lines=[StockLine(item=item) for item in items]))

    reply = call(ApplyRequest(namespace=namespace, operations=[held] * 100, mode=BATCH_MODE_ATOMIC))

    assert reply.failed_count == 0
    assert len({result.reserve.reservation.reservation_id for result in reply.results}) == 100
    assert call(GetStockRequest(namespace=namespace, item="item-99")).stock_level.reserved == 100


@pytest.mark.parametrize("atomic", [False, True])
def test_reservations_without_an_id_get_the_same_one_under_the_same_request_id(
    call: Caller, namespace: str, *, atomic: bool
) -> None:
    held = Operation(reserve=ReserveRequest(lines=[StockLine(item="dune")]))
    request = ApplyRequest(
        namespace=namespace, request_id="r1", operations=[bring(5), held, held], mode=mode_of(atomic=atomic)
    )

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
            mode=mode_of(atomic=atomic),
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

    reply = call(ApplyRequest(namespace=namespace, operations=[named], mode=BATCH_MODE_INDEPENDENT))

    assert reply.results[0].set_counter.counter.value == 3


def test_an_invalid_operation_lets_nothing_be_applied(failure: FailingCall, namespace: str, contents: Contents) -> None:
    operations = [count(), take(1), count(), take(0)]

    refused = failure(ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_INDEPENDENT))

    assert (refused.reason, set(refused.violations)) == ("INVALID_FIELD", {"operations[3].decrement_copies.copies"})
    assert contents() == {}


def test_a_namespace_that_is_far_too_long_is_shortened_in_the_message_of_each_operation(failure: FailingCall) -> None:
    named = Operation(set_counter=SetCounterRequest(namespace="other", counter="v", value=3))

    refused = failure(ApplyRequest(namespace="é" * 70_000, operations=[named] * 30, mode=BATCH_MODE_INDEPENDENT))

    assert (refused.reason, refused.metadata["violations"]) == ("INVALID_FIELD", "31")
    assert refused.trailer_bytes < 8_192


def test_an_operation_that_fails_for_too_few_copies_says_how_many_there_are(
    server: ThreadedServer, namespace: str
) -> None:
    lines = [StockLine(item="dune", copies=2), StockLine(item="emma", copies=3)]
    with Client(server.target, namespace=namespace) as client:
        client.set_stock("dune", 1)
        with pytest.raises(BatchRefused) as refused:
            client.apply([operations.decrement_copies("dune", copies=2), operations.reserve(lines)], atomic=True)

    taken, reserved = (each.error for each in refused.value.operations)
    assert isinstance(taken, InsufficientStock)
    assert taken.lines == (("dune", "main", 2, 1, 0),)
    assert isinstance(reserved, InsufficientStock)
    assert reserved.lines == (("dune", "main", 2, 1, 0), ("emma", "main", 3, 0, 0))
