"""The oracle notices a difference: a test of the other tests of this folder."""

from collections.abc import Callable

import pytest

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper_server.transport import status
from tests.rpc.oracle import Oracle
from tests.support.client import Caller, Failure


def test_calls_that_succeed_and_that_fail_are_compared(
    call: Caller, failure: Callable[..., Failure], oracle: Oracle, namespace: str
) -> None:
    before = oracle.compared

    call(IncrementRequest(namespace=namespace, counter="a", delta=1))
    failure(GetCounterRequest(namespace=namespace, counter="b"))

    assert oracle.compared == before + 2


def test_a_difference_is_seen(call: Caller, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "percent_encoded", lambda message: message.upper().encode())

    with pytest.raises(AssertionError, match="GetCounter"):
        call(GetCounterRequest(namespace=namespace, counter="b"))
