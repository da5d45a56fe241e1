"""A server on a primary that sentinels watch: it finds the primary, and finds it again."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest, SetStockRequest
from tallykeeper.v1.ledger_pb2 import WatchRequest
from tests.server.start import refused_start
from tests.support.client import Caller
from tests.support.server import ServerProcess
from tests.topology.sentinels import SERVICE, WatchedPair


@pytest.mark.parametrize("how", ["fail_over", "lose_primary"])
def test_callers_and_watchers_follow_the_primary(
    pair: WatchedPair, pair_call: Caller, namespace: str, how: str
) -> None:
    pair_call(SetStockRequest(namespace=namespace, item="book", on_hand=10))
    with pair_call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        assert _revisions(responses, 1) == [1]

        getattr(pair, how)()
        began_at = time.monotonic()
        take = DecrementCopiesRequest(namespace=namespace, item="book", copies=1, request_id="r")
        left = [pair_call(take).stock_level.on_hand for _ in range(2)]

        assert left == [9, 9]
        assert time.monotonic() < began_at + 5
        assert _revisions(responses, 1) == [2]
    assert not pair_call.verify(namespace).differences


def test_a_sentinel_out_of_reach_is_passed_over(pair: WatchedPair, namespace: str) -> None:
    addresses = pair.url.removeprefix("redis+sentinel://")
    with ServerProcess("--store", f"redis+sentinel://127.0.0.1:1,{addresses}") as server:
        call = Caller(server.target)
        assert call(IncrementRequest(namespace=namespace, counter="visits")).counter.value == 1
        call.close()


def test_sentinels_may_have_their_own_password(pair: WatchedPair, namespace: str) -> None:
    for sentinel in pair.sentinels:
        sentinel.ask("ACL", "SETUSER", "asker", "on", ">hush", "+sentinel|masters")
    own = f"{pair.url}?sentinel_username=asker&sentinel_password="
    with ServerProcess("--store", f"{own}hush") as server:
        call = Caller(server.target)
        assert call(IncrementRequest(namespace=namespace, counter="visits")).counter.value == 1
        call.close()

    assert "no sentinel" in refused_start("--store", f"{own}wrong")


def test_an_error_names_the_sentinels_that_do_not_know_the_service(pair: WatchedPair) -> None:
    line = refused_start("--store", pair.url.replace(SERVICE, "nothing"))

    assert "'nothing'" in line
    assert pair.url.partition("//")[2].partition(",")[0] in line


def test_a_sentinel_is_no_store(pair: WatchedPair) -> None:
    sentinel = pair.url.partition("//")[2].partition(",")[0]

    assert "redis+sentinel://host:26379" in refused_start("--store", f"redis://{sentinel}")


def _revisions(responses: Iterator[Any], count: int) -> list[int]:
    """Return the revisions of the next entries."""
    entries = (entry for response in responses for entry in response.entries)
    return [entry.revision for entry in islice(entries, count)]
