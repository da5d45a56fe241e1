"""The fields of all replies to mutations: the revision, the time, and whether it is a replay."""

from collections.abc import Callable

import pytest
import redis
from google.protobuf.message import Message

from tests.rpc.valid_requests import MUTATION_TYPES, preparation, valid_requests
from tests.support.client import REQUEST_TYPES, Caller
from tests.support.clock import milliseconds_of


def test_there_is_a_valid_request_of_each_type(namespace: str) -> None:
    assert valid_requests(namespace).keys() == set(REQUEST_TYPES)


@pytest.mark.parametrize("request_type", REQUEST_TYPES)
def test_a_valid_request_succeeds(call: Caller, prepared: str, request_type: type[Message]) -> None:
    call(valid_requests(prepared)[request_type])


@pytest.mark.parametrize("request_type", MUTATION_TYPES)
def test_a_mutation_takes_the_next_revision(
    call: Caller, prepared: str, revision: Callable[[], int], request_type: type[Message]
) -> None:
    before = revision()

    reply = call(valid_requests(prepared)[request_type])

    assert reply.revision == before + 1 == revision()
    assert not reply.replayed


@pytest.mark.parametrize("request_type", [each for each in REQUEST_TYPES if each not in MUTATION_TYPES])
def test_a_read_changes_nothing(
    call: Caller, prepared: str, contents: Callable[[], object], request_type: type[Message]
) -> None:
    before = contents()

    call(valid_requests(prepared)[request_type])

    assert contents() == before


@pytest.mark.parametrize("request_type", MUTATION_TYPES)
def test_the_commit_time_is_the_stores_to_the_millisecond(
    call: Caller, prepared: str, raw_store: redis.Redis, request_type: type[Message]
) -> None:
    earliest = milliseconds_of(raw_store)

    commit_time = call(valid_requests(prepared)[request_type]).commit_time

    assert earliest <= commit_time.ToMilliseconds() <= milliseconds_of(raw_store)
    assert commit_time.nanos % 1_000_000 == 0


def test_each_namespace_counts_its_own_revisions(call: Caller, namespace: str) -> None:
    namespaces = [namespace, f"{namespace}.b"]

    revisions = [call(request).revision for each in namespaces for request in preparation(each)]

    assert revisions == [1, 2, 3, 4] * 2


def test_a_namespace_is_listed_once_it_has_changed(call: Caller, namespace: str, raw_store: redis.Redis) -> None:
    listed_before = raw_store.sismember("tk:namespaces", namespace)

    call(preparation(namespace)[0])

    assert not listed_before
    assert raw_store.sismember("tk:namespaces", namespace)
