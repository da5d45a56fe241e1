"""The error that a caller gets when the server is at fault."""

import pytest
import redis
from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tests.support.client import Caller, Failure


@pytest.mark.parametrize("key", ["revision", "counter:visits"])
def test_a_defect_is_internal_and_shows_nothing_of_itself(
    call: Caller, raw_store: redis.Redis, namespace: str, key: str
) -> None:
    raw_store.set(f"tk:{{{namespace}}}:{key}", "secret rubbish")

    with pytest.raises(Failure) as raised:
        call(IncrementRequest(namespace=namespace, counter="visits"))

    assert (raised.value.code, raised.value.reason) == (StatusCode.INTERNAL, "INTERNAL")
    assert raised.value.message == "the server has a defect, and has logged it"
    assert raised.value.metadata == {}
    assert raw_store.keys(f"tk:{{{namespace}}}:*") == [f"tk:{{{namespace}}}:{key}".encode()]


def test_a_level_that_nobody_can_read_fails_its_own_caller_alone(
    call: Caller, raw_store: redis.Redis, namespace: str
) -> None:
    raw_store.set(f"tk:{{{namespace}}}:counter:visits", "secret rubbish")
    call(IncrementRequest(namespace=namespace, counter="other"))

    with pytest.raises(Failure) as raised:
        call(GetCounterRequest(namespace=namespace, counter="visits"))

    assert (raised.value.code, raised.value.reason) == (StatusCode.DATA_LOSS, "LEVEL_DAMAGED")
    assert "secret" not in raised.value.message
    assert call(GetCounterRequest(namespace=namespace, counter="other")).counter.value == 1
