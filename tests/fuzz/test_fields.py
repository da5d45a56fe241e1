"""Messages that Hypothesis makes from each request's descriptor. Hypothesis shrinks a failure."""

import os
from typing import Any, Final

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.test_messages import ALLOWED
from tests.support.client import REQUEST_TYPES, Caller, Failure

EXAMPLES: Final = int(os.environ.get("TALLYKEEPER_TEST_FIELDS", "8"))
DEPTH_MAX: Final = 3
LIST_MAX: Final = 4
NAMES: Final = st.sampled_from(("visits", "dune", "emma", "main", "annex", "held", "r1", "default"))
TEXTS: Final = st.one_of(NAMES, st.text(st.characters(codec="utf-8"), max_size=200))
NUMBERS: Final[dict[int, st.SearchStrategy[Any]]] = {
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.one_of(st.integers(-3, 20), st.integers(-(2**63), 2**63 - 1)),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_ENUM: st.integers(-1, 20),
}


def values_of(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a field."""
    inner = field.message_type
    one: st.SearchStrategy[Any] = NUMBERS.get(field.type, TEXTS) if inner is None else messages(inner, depth + 1)
    return st.lists(one, max_size=LIST_MAX) if field.is_repeated else one


def messages(descriptor: Any, depth: int = 0) -> st.SearchStrategy[Message]:  # noqa: ANN401  # of either implementation
    """Return a strategy for messages of a type, each with some of its fields."""
    message_type = GetMessageClass(descriptor)
    if depth > DEPTH_MAX:
        return st.just(message_type())
    fields = {field.name: values_of(field, depth) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(lambda values: _of(message_type, values))


def _of(message_type: type[Message], values: dict[str, Any]) -> Message:
    return message_type(**values)


@pytest.mark.parametrize("request_type", REQUEST_TYPES, ids=lambda each: each.__name__)
def test_no_request_causes_a_defect(call: Caller, request_type: type[Message]) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(messages(request_type.DESCRIPTOR))
    def one(request: Message) -> None:
        code, message = outcome_of(call, request)
        assert code in ALLOWED, message

    one()


def outcome_of(call: Caller, request: Message) -> tuple[StatusCode, str]:
    """Return the code and the text of a request's end."""
    try:
        call(request)
    except Failure as failure:
        return failure.code, str(failure)
    return StatusCode.OK, ""
