"""Fixtures of the RPC tests: calls that must fail, and the contents of a namespace."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import redis
from google.protobuf.message import Message

from tests.rpc.oracle import ComparingChannel, Oracle
from tests.rpc.valid_requests import preparation
from tests.support.client import Caller, Failure
from tests.support.server import ThreadedServer

FailingCall = Callable[[Message], Failure]
Contents = Callable[[], dict[bytes, bytes]]


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    """The oracle, with which each call is compared."""
    one = Oracle()
    yield one
    one.close()


@pytest.fixture(scope="session")
def call(server: ThreadedServer, oracle: Oracle) -> Iterator[Caller]:
    """Return a caller of the server that compares each call with the oracle's."""
    caller = Caller(server.target)
    caller.channel = ComparingChannel(caller.channel, oracle)
    yield caller
    caller.close()


@pytest.fixture
def failure(call: Caller) -> FailingCall:
    """Return a function that makes a call and returns the failure of it."""

    def fail(request: Message) -> Failure:
        with pytest.raises(Failure) as caught:
            call(request)
        return caught.value

    return fail


@pytest.fixture
def contents(raw_store: redis.Redis, namespace: str) -> Contents:
    """Return a function that reads every key of the test's namespace, with its value as the store dumps it."""

    def read() -> dict[bytes, bytes]:
        keys = cast("list[bytes]", raw_store.keys(f"tk:{{{namespace}}}:*"))
        return {key: cast("bytes", raw_store.dump(key)) for key in keys}

    return read


@pytest.fixture
def revision(raw_store: redis.Redis, namespace: str) -> Callable[[], int]:
    """Return a function that reads the last revision of the test's namespace. The ledger must have as many entries."""

    def read() -> int:
        last = int(cast("Any", raw_store.get(f"tk:{{{namespace}}}:revision")) or 0)
        stream = cast("list[tuple[bytes, dict[bytes, bytes]]]", raw_store.xrange(f"tk:{{{namespace}}}:ledger"))
        assert sum(len(fields) - 1 for _, fields in stream) == last
        return last

    return read


@pytest.fixture
def prepared(call: Caller, namespace: str) -> str:
    """A namespace in which every valid request succeeds."""
    for request in preparation(namespace):
        call(request)
    return namespace
