"""Refusals: their details, that they change nothing, and that a repeat is refused in the same way."""

import re
from pathlib import Path
from typing import Final

import grpc
import pytest

from tests.rpc.conftest import Contents, FailingCall
from tests.rpc.refusals import REFUSAL_NAMES, refusals
from tests.rpc.valid_requests import MUTATION_TYPES
from tests.support.client import Caller

NEEDS_TIME: Final = {"RESERVATION_EXPIRED", "RESERVATION_LIFETIME_EXCEEDED"}
"""The reasons that are tested where time passes."""
NOT_REFUSALS: Final = {"BATCH_TOO_LARGE"}
"""The reason of an invalid request, which no rule of the domain refuses."""
NAMED_BY_THE_WAY: Final = {("CommitRequest", "INSUFFICIENT_STOCK")}
"""The pattern of a comment that refers to the reasons of another RPC."""
REMEDIED: Final = [name for name, refusal in refusals("any").items() if refusal.remedy]


def test_every_reason_that_a_mutation_promises_is_in_the_table() -> None:
    listed = {(type(refusal.refused).__name__, refusal.reason) for refusal in refusals("any").values()}

    assert _promised() - NAMED_BY_THE_WAY == listed


def _promised() -> set[tuple[str, str]]:
    """Return each mutation's request and each reason that its comment in the proto names."""
    codes = {code.name for code in grpc.StatusCode}
    mutations = {request_type.__name__ for request_type in MUTATION_TYPES}
    promised = set()
    for proto in (Path(__file__).parents[2] / "protos/tallykeeper/v1").glob("*.proto"):
        for comment, name in re.findall(r"((?:^  //.*\n)+)  rpc \w+\((\w+)\)", proto.read_text(), re.MULTILINE):
            words = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", comment))
            promised |= {(name, word) for word in words if name in mutations}
    return {(name, word) for name, word in promised if word not in codes | NEEDS_TIME | NOT_REFUSALS}


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


@pytest.mark.parametrize("name", REMEDIED)
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
