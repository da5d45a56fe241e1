"""Request ids: all repeats get one answer, and another body is refused."""

import string

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import BATCH_MODE_ATOMIC, Operation
from tallykeeper.v1.counter_pb2 import (
    DeleteCounterRequest,
    GetCounterRequest,
    IncrementRequest,
    NewCounter,
    SetCounterRequest,
)
from tallykeeper.v1.inventory_pb2 import (
    DecrementCopiesRequest,
    IncrementCopiesRequest,
    SetStockRequest,
    ShortagePolicy,
)
from tallykeeper.v1.reservation_pb2 import StockLine
from tests.rpc.bad_values import set_field
from tests.rpc.conftest import Contents, FailingCall
from tests.rpc.valid_requests import MUTATION_TYPES, preparation, valid_requests
from tests.support.client import Caller

OTHER_VALUES: dict[str, object] = {
    "reason": "another",
    "reference": "another",
    "counter": "another",
    "item": "another",
    "location": "another",
    "delta": 7,
    "create": NewCounter(max=7),
    "value": 7,
    "expected_value": 7,
    "min": -7,
    "max": 7,
    "copies": 7,
    "shortage_policy": ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE,
    "on_hand": 7,
    "expected_on_hand": 7,
    "allow_below_reserved": True,
    "safety_stock": 7,
    "backorder_limit": 7,
    "low_stock_threshold": 7,
    "update_mask": FieldMask(paths=["*"]),
    "from_location": "another",
    "to_location": "another",
    "reservation_id": "another",
    "lines": [StockLine(item="another")],
    "ttl": Duration(seconds=7),
    "holder": "another",
    "operations": [Operation(increment=IncrementRequest(counter="another"))],
    "mode": BATCH_MODE_ATOMIC,
}

BODY_FIELDS = [
    (request_type, field.name)
    for request_type in MUTATION_TYPES
    for field in request_type.DESCRIPTOR.fields
    if field.name not in {"namespace", "request_id"}
]


def with_request_id(request: Message, request_id: str) -> Message:
    """Return the request with a request id."""
    copy = type(request)()
    copy.CopyFrom(request)
    setattr(copy, "request_id", request_id)  # noqa: B010  # every mutation has it, which Message does not say
    return copy


@pytest.mark.parametrize("request_type", MUTATION_TYPES)
def test_a_repeat_gets_the_first_reply_and_changes_nothing(
    call: Caller, prepared: str, contents: Contents, request_type: type[Message]
) -> None:
    request = with_request_id(valid_requests(prepared)[request_type], "r1")
    first = call(request)
    for later in preparation(prepared):
        call(later)
    before = contents()

    again = call(request)

    assert (first.replayed, again.replayed) == (False, True)
    again.replayed = False
    for result in getattr(again, "results", ()):
        getattr(result, result.WhichOneof("result")).replayed = False
    assert again == first
    assert contents() == before


@pytest.mark.parametrize("body_field", BODY_FIELDS, ids=[f"{kind.__name__}.{field}" for kind, field in BODY_FIELDS])
def test_an_id_with_another_body_is_refused(
    call: Caller, failure: FailingCall, prepared: str, contents: Contents, body_field: tuple[type[Message], str]
) -> None:
    request_type, field = body_field
    request = with_request_id(valid_requests(prepared)[request_type], "r1")
    call(request)
    before = contents()
    set_field(request, field, OTHER_VALUES[field])

    refused = failure(request)

    assert (refused.code, refused.reason) == (StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert refused.violations.keys() == {"request_id"}
    if hasattr(request, "counter"):
        assert refused.metadata == {"counter": request.counter}
    if hasattr(request, "location"):
        assert refused.metadata == {"item": getattr(request, "item"), "location": request.location or "main"}  # noqa: B009  # both mutations have it
    assert contents() == before


def test_an_id_with_another_rpc_is_refused(call: Caller, failure: FailingCall, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="v", value=1, request_id="r1"))

    refusals = [
        failure(IncrementRequest(namespace=namespace, counter="v", request_id="r1")),
        failure(DeleteCounterRequest(namespace=namespace, counter="v", request_id="r1")),
        failure(IncrementCopiesRequest(namespace=namespace, item="v", request_id="r1")),
    ]

    assert [refused.reason for refused in refusals] == ["REQUEST_ID_REUSED"] * 3


def test_the_id_of_a_refused_request_is_refused_to_another_body(
    call: Caller, failure: FailingCall, namespace: str
) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=2))
    failure(DecrementCopiesRequest(namespace=namespace, item="dune", copies=3, request_id="r1"))

    refused = failure(DecrementCopiesRequest(namespace=namespace, item="dune", copies=2, request_id="r1"))

    assert refused.reason == "REQUEST_ID_REUSED"


def test_the_first_body_is_still_answered_after_a_reuse_was_refused(
    call: Caller, failure: FailingCall, namespace: str
) -> None:
    request = IncrementRequest(namespace=namespace, counter="v", delta=2, request_id="r1")
    first = call(request)
    failure(IncrementRequest(namespace=namespace, counter="v", delta=3, request_id="r1"))

    again = call(request)

    assert again.replayed
    assert (again.counter, again.revision, again.commit_time) == (first.counter, first.revision, first.commit_time)


def test_an_invalid_request_does_not_use_up_its_id(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents
) -> None:
    refused = failure(IncrementRequest(namespace=namespace, counter="", request_id="r1"))
    before = contents()

    reply = call(IncrementRequest(namespace=namespace, counter="v", request_id="r1"))

    assert refused.reason == "INVALID_FIELD"
    assert before == {}
    assert not reply.replayed


def test_namespaces_know_nothing_of_each_others_ids(call: Caller, namespace: str) -> None:
    namespaces = (namespace, f"{namespace}.b")

    replies = [
        call(IncrementRequest(namespace=each, counter="v", delta=delta, request_id="r1"))
        for delta, each in enumerate(namespaces, start=1)
    ]

    assert [(reply.counter.value, reply.replayed) for reply in replies] == [(1, False), (2, False)]


def test_without_an_id_every_request_counts(call: Caller, namespace: str) -> None:
    replies = [call(IncrementRequest(namespace=namespace, counter="v")) for _ in range(2)]

    assert [(reply.counter.value, reply.replayed) for reply in replies] == [(1, False), (2, False)]


@pytest.mark.parametrize(
    "request_id",
    ["{braces}", "a:b", "x" * 64, *(string.punctuation[start : start + 8] for start in range(0, 32, 8))],
)
def test_an_id_may_have_any_printable_ascii(call: Caller, namespace: str, request_id: str) -> None:
    request = IncrementRequest(namespace=namespace, counter="v", request_id=request_id)

    assert [call(request).replayed for _ in range(2)] == [False, True]


def test_ids_that_differ_in_case_are_apart(call: Caller, namespace: str) -> None:
    for request_id in ("abc", "ABC"):
        call(IncrementRequest(namespace=namespace, counter="v", request_id=request_id))

    assert call(GetCounterRequest(namespace=namespace, counter="v")).counter.value == 2


def test_a_counter_that_was_deleted_is_returned_again(call: Caller, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="v", value=4))
    request = DeleteCounterRequest(namespace=namespace, counter="v", request_id="r1")
    call(request)
    call(SetCounterRequest(namespace=namespace, counter="v", value=5))

    again = call(request)

    assert (again.counter.value, again.replayed) == (4, True)
    assert call(GetCounterRequest(namespace=namespace, counter="v")).counter.value == 5


def test_every_field_of_every_mutation_has_another_value(namespace: str) -> None:
    valid = valid_requests(namespace)

    assert {field for _, field in BODY_FIELDS} == OTHER_VALUES.keys()
    assert all(getattr(valid[kind], field) != OTHER_VALUES[field] for kind, field in BODY_FIELDS)
