"""Counters that expire: their time, its extension, and that nothing of them is left."""

from datetime import timedelta

import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from tallykeeper.v1.counter_pb2 import (
    BatchGetCountersRequest,
    ConfigureCounterRequest,
    Counter,
    DeleteCounterRequest,
    GetCounterRequest,
    IncrementRequest,
    ListCountersRequest,
    SetCounterRequest,
)
from tests.rpc.conftest import FailingCall
from tests.support.client import Caller
from tests.support.server import wait_until

SOON = Duration(nanos=1_000_000)


@pytest.fixture
def expired(call: Caller, namespace: str) -> str:
    """A namespace whose counter ``visits`` has expired; it had the value 7 and bounds."""
    call(SetCounterRequest(namespace=namespace, counter="visits", value=7))
    call(ConfigureCounterRequest(namespace=namespace, counter="visits", min=5, max=9, ttl=SOON))

    def is_gone() -> bool:
        return bool(call(BatchGetCountersRequest(namespace=namespace, counters=["visits"])).missing)

    wait_until(is_gone, what="the counter expires")
    return namespace


@pytest.mark.parametrize(
    ("ttl", "milliseconds"),
    [
        (Duration(nanos=1), 1),
        (Duration(nanos=1_000_000), 1),
        (Duration(nanos=1_000_001), 2),
        (Duration(seconds=90, nanos=500_000_000), 90_500),
        (timedelta(days=3_650), 3_650 * 86_400_000),
    ],
)
def test_the_expire_time_is_so_long_after_the_commit_rounded_up_to_a_millisecond(
    call: Caller, namespace: str, ttl: Duration, milliseconds: int
) -> None:
    reply = call(ConfigureCounterRequest(namespace=namespace, counter="visits", ttl=ttl))

    assert reply.counter.expire_time.ToMilliseconds() - reply.commit_time.ToMilliseconds() == milliseconds


def test_later_changes_do_not_prolong_it(call: Caller, namespace: str) -> None:
    configured = call(ConfigureCounterRequest(namespace=namespace, counter="visits", ttl=Duration(seconds=600)))

    incremented = call(IncrementRequest(namespace=namespace, counter="visits"))
    was_set = call(SetCounterRequest(namespace=namespace, counter="visits", value=9))
    bounded = call(ConfigureCounterRequest(namespace=namespace, counter="visits", max=9))

    expire_time = configured.counter.expire_time
    assert incremented.counter == Counter(counter="visits", value=1, expire_time=expire_time)
    assert was_set.counter == Counter(counter="visits", value=9, expire_time=expire_time)
    assert bounded.counter == Counter(counter="visits", value=9, max=9, expire_time=expire_time)
    assert call(GetCounterRequest(namespace=namespace, counter="visits")).counter == bounded.counter


def test_it_is_prolonged_by_configuring_it_again(call: Caller, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="visits", ttl=Duration(seconds=60)))

    again = call(ConfigureCounterRequest(namespace=namespace, counter="visits", ttl=Duration(seconds=600)))

    assert again.counter.expire_time.ToMilliseconds() - again.commit_time.ToMilliseconds() == 600_000


def test_clearing_it_makes_the_counter_stay(call: Caller, namespace: str, raw_store: redis.Redis) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="visits", ttl=Duration(seconds=60)))
    mask = FieldMask(paths=["ttl"])

    reply = call(ConfigureCounterRequest(namespace=namespace, counter="visits", update_mask=mask))

    assert reply.counter == Counter(counter="visits")
    assert raw_store.pttl(f"tk:{{{namespace}}}:counter:visits") == -1


def test_an_expired_counter_cannot_be_read(call: Caller, failure: FailingCall, expired: str) -> None:
    call(IncrementRequest(namespace=expired, counter="other"))

    refused = failure(GetCounterRequest(namespace=expired, counter="visits"))
    batch = call(BatchGetCountersRequest(namespace=expired, counters=["visits", "other"]))
    listing = call(ListCountersRequest(namespace=expired))

    assert refused.reason == "COUNTER_NOT_FOUND"
    assert list(batch.missing) == ["visits"]
    assert [counter.counter for counter in batch.counters] == ["other"]
    assert [counter.counter for counter in listing.counters] == ["other"]


def test_an_expired_counter_cannot_be_deleted(failure: FailingCall, expired: str) -> None:
    refused = failure(DeleteCounterRequest(namespace=expired, counter="visits"))

    assert refused.reason == "COUNTER_NOT_FOUND"


def test_a_counter_that_expired_begins_again_at_zero_without_bounds_and_without_ttl(call: Caller, expired: str) -> None:
    reply = call(IncrementRequest(namespace=expired, counter="visits"))

    assert reply.counter == Counter(counter="visits", value=1)
    assert list(call(ListCountersRequest(namespace=expired)).counters) == [reply.counter]


def test_an_expired_counter_counts_as_zero_where_a_value_is_expected(call: Caller, expired: str) -> None:
    reply = call(SetCounterRequest(namespace=expired, counter="visits", value=100, expected_value=0))

    assert reply.counter == Counter(counter="visits", value=100)


def test_a_deleted_counter_comes_back_without_its_expiry(call: Caller, namespace: str) -> None:
    call(ConfigureCounterRequest(namespace=namespace, counter="visits", ttl=Duration(seconds=60)))

    deleted = call(DeleteCounterRequest(namespace=namespace, counter="visits"))
    created = call(IncrementRequest(namespace=namespace, counter="visits"))

    assert deleted.counter.HasField("expire_time")
    assert created.counter == Counter(counter="visits", value=1)
