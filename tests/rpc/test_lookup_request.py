"""LookupRequest: the outcome of the request with a request id."""

from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1.batch_pb2 import BATCH_MODE_ATOMIC, BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import DeleteCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest
from tallykeeper.v1.ledger_pb2 import LookupRequestRequest, LookupRequestResponse, RequestOutcome
from tests.rpc.conftest import FailingCall
from tests.support.client import Caller

COUNTED = Operation(increment=IncrementRequest(counter="v"))
REFUSED = Operation(decrement_copies=DecrementCopiesRequest(item="dune"))


def look_up(call: Caller, namespace: str) -> LookupRequestResponse:
    """Return the outcome of the request r1."""
    response: LookupRequestResponse = call(LookupRequestRequest(namespace=namespace, request_id="r1"))
    return response


def test_an_id_that_never_came_is_unknown(call: Caller, namespace: str) -> None:
    call(IncrementRequest(namespace=namespace, request_id="r11", counter="v"))

    assert look_up(call, namespace) == LookupRequestResponse(outcome=RequestOutcome.REQUEST_OUTCOME_UNKNOWN, revision=1)


def test_an_id_of_another_namespace_is_unknown(call: Caller, namespace: str) -> None:
    call(IncrementRequest(namespace=f"{namespace}.b", request_id="r1", counter="v"))

    assert look_up(call, namespace).outcome == RequestOutcome.REQUEST_OUTCOME_UNKNOWN


def test_an_invalid_request_is_unknown(call: Caller, failure: FailingCall, namespace: str) -> None:
    failure(IncrementRequest(namespace=namespace, request_id="r1"))

    assert look_up(call, namespace).outcome == RequestOutcome.REQUEST_OUTCOME_UNKNOWN


def test_a_mutation_was_applied(call: Caller, namespace: str) -> None:
    reply = call(IncrementRequest(namespace=namespace, request_id="r1", counter="v"))
    call(IncrementRequest(namespace=namespace, counter="v"))

    assert look_up(call, namespace) == LookupRequestResponse(
        outcome=RequestOutcome.REQUEST_OUTCOME_APPLIED,
        applied_revision=reply.revision,
        revision=2,
        commit_time=reply.commit_time,
        applied_count=1,
    )


def test_a_mutation_was_refused(call: Caller, failure: FailingCall, namespace: str) -> None:
    failure(DeleteCounterRequest(namespace=namespace, request_id="r1", counter="v"))

    found = look_up(call, namespace)

    assert found.commit_time != Timestamp()
    assert found == LookupRequestResponse(
        outcome=RequestOutcome.REQUEST_OUTCOME_REFUSED,
        commit_time=found.commit_time,
        refusal_reason="COUNTER_NOT_FOUND",
        refused_count=1,
    )


def test_a_batch_was_applied(call: Caller, namespace: str) -> None:
    reply = call(ApplyRequest(namespace=namespace, request_id="r1", operations=[COUNTED] * 3, mode=BATCH_MODE_ATOMIC))

    assert look_up(call, namespace) == LookupRequestResponse(
        outcome=RequestOutcome.REQUEST_OUTCOME_APPLIED,
        applied_revision=3,
        revision=3,
        commit_time=reply.commit_time,
        applied_count=3,
    )


def test_a_batch_of_several_steps_was_applied(call: Caller, namespace: str) -> None:
    operations = [*[COUNTED] * 999, REFUSED]
    reply = call(ApplyRequest(namespace=namespace, request_id="r1", operations=operations, mode=BATCH_MODE_INDEPENDENT))

    assert look_up(call, namespace) == LookupRequestResponse(
        outcome=RequestOutcome.REQUEST_OUTCOME_APPLIED,
        applied_revision=999,
        revision=999,
        commit_time=reply.commit_time,
        refusal_reason="ITEM_NOT_FOUND",
        applied_count=999,
        refused_count=1,
    )


def test_an_atomic_batch_was_refused(call: Caller, failure: FailingCall, namespace: str) -> None:
    gone = Operation(delete_counter=DeleteCounterRequest(counter="w"))
    operations = [COUNTED, REFUSED, gone, COUNTED]
    failure(ApplyRequest(namespace=namespace, request_id="r1", operations=operations, mode=BATCH_MODE_ATOMIC))

    found = look_up(call, namespace)

    assert found == LookupRequestResponse(
        outcome=RequestOutcome.REQUEST_OUTCOME_REFUSED,
        commit_time=found.commit_time,
        refusal_reason="ITEM_NOT_FOUND",
        refused_count=2,
    )


def test_an_independent_batch_in_which_everything_failed_was_refused(call: Caller, namespace: str) -> None:
    reply = call(
        ApplyRequest(namespace=namespace, request_id="r1", operations=[REFUSED] * 2, mode=BATCH_MODE_INDEPENDENT)
    )

    assert look_up(call, namespace) == LookupRequestResponse(
        outcome=RequestOutcome.REQUEST_OUTCOME_REFUSED,
        commit_time=reply.commit_time,
        refusal_reason="ITEM_NOT_FOUND",
        refused_count=2,
    )
