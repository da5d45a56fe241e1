"""Refusals: what they tell, that they change nothing, and that their repetition is refused as they were."""

import pytest

from tests.calling import Caller
from tests.rpc.conftest import Contents, FailingCall
from tests.rpc.refusals import REFUSAL_NAMES, refusals


@pytest.mark.parametrize("name", REFUSAL_NAMES)
def test_a_refusal_tells_all_and_changes_nothing(
    call: Caller, failure: FailingCall, namespace: str, contents: Contents, name: str
) -> None:
    refusal = refusals(namespace)[name]
    for request in refusal.before:
        call(request)
    before = contents()

    refused = failure(refusal.refused)

    assert (refused.code, refused.reason) == (refusal.code, refusal.reason)
    assert refused.metadata == refusal.metadata
    assert refused.preconditions == refusal.preconditions
    assert refused.violations == {}
    assert (refused.retry_delay_seconds, refused.pushback_ms) == (None, None)
    assert contents() == before


@pytest.mark.parametrize("name", REFUSAL_NAMES)
def test_what_was_refused_stays_refused_under_its_request_id(
    call: Caller, failure: FailingCall, namespace: str, name: str
) -> None:
    refusal = refusals(namespace)[name]
    for request in refusal.before:
        call(request)
    refused = type(refusal.refused)()
    refused.CopyFrom(refusal.refused)
    setattr(refused, "request_id", "r1")  # noqa: B010  # every mutation has it, which Message does not say
    first = failure(refused)
    for request in refusal.remedy:
        call(request)

    again = failure(refused)

    assert (again.code, again.reason, again.message) == (first.code, first.reason, first.message)
    assert (again.metadata, again.preconditions) == (refusal.metadata, refusal.preconditions)


@pytest.mark.parametrize("name", REFUSAL_NAMES)
def test_what_was_refused_succeeds_after_the_remedy_without_a_request_id(
    call: Caller, failure: FailingCall, namespace: str, name: str
) -> None:
    refusal = refusals(namespace)[name]
    for request in refusal.before:
        call(request)
    failure(refusal.refused)
    for request in refusal.remedy:
        call(request)

    reply = call(refusal.refused)

    assert reply.revision == len(refusal.before) + len(refusal.remedy) + 1
