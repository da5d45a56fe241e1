"""A server on a cluster: the same answers as on one node, on any node and while slots move."""

import asyncio
import threading
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from grpc import StatusCode
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import GetItemRequest, SetStockRequest
from tallykeeper.v1.ledger_pb2 import OPERATION_KIND_EXPIRE, WatchRequest
from tallykeeper.v1.namespace_pb2 import ListNamespacesRequest
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tallykeeper_server.settings import Settings
from tallykeeper_server.store.nodes.slots import slot_of
from tests.model.comparison import Comparison
from tests.model.test_model import SETTINGS
from tests.server.start import refused_start
from tests.support.client import AsyncCaller, Caller, Failure
from tests.support.ledger import entries_of
from tests.support.server import ThreadedServer, free_ports, wait_until
from tests.support.store_users import PASSWORD, user_line
from tests.topology.clusters import ClusterOfNodes, slot_of_namespace
from tests.topology.nodes import is_primary, listening_node

NAMESPACES: Final = 60
EACH: Final = 5
EXAMPLES: Final = 5
HALF_MOVED_SECONDS: Final = 0.3


class WholeCluster(redis.RedisCluster):
    """A client that answers for all nodes as if they were one."""

    def execute_command(self, *command: Any, **options: Any) -> Any:  # noqa: ANN401  # as redis-py has it
        """Ask all primaries for keys, and any of them for the time, which all nodes have from this machine."""
        targets = {"KEYS": self.PRIMARIES, "TIME": self.RANDOM}
        if command[0] in targets:
            options["target_nodes"] = targets[command[0]]
        return super().execute_command(*command, **options)  # type: ignore[no-untyped-call]  # redis-py gives it no types


def test_the_server_answers_as_the_model_does(cluster: ClusterOfNodes, cluster_call: Caller) -> None:
    host, port = cluster.addresses[0]
    with WholeCluster(host, port) as whole:

        class OnACluster(Comparison):
            def __init__(self) -> None:
                super().__init__(cluster_call, whole)

        run_state_machine_as_test(OnACluster, settings=settings(SETTINGS, max_examples=EXAMPLES))


async def test_namespaces_are_spread_and_each_is_in_one_place(
    cluster: ClusterOfNodes, cluster_target: str, namespace: str
) -> None:
    names = [f"{namespace}-{number}" for number in range(NAMESPACES)]
    async with AsyncCaller(cluster_target) as call:
        await asyncio.gather(
            *(call(IncrementRequest(namespace=name, counter="visits")) for name in names for _ in range(EACH))
        )
        values = [(await call(GetCounterRequest(namespace=name, counter="visits"))).counter.value for name in names]
        listed = await call(ListNamespacesRequest(page_size=1_000))

    assert values == [EACH] * NAMESPACES
    assert set(names) <= {each.namespace for each in listed.namespaces}
    primaries = [node for node in cluster.nodes if is_primary(node)]
    homes = [[node for node in primaries if node.ask("KEYS", f"tk:{{{name}}}:*")] for name in names]
    assert {len(nodes) for nodes in homes} == {1}
    assert all([node] in homes for node in primaries)


@pytest.mark.parametrize("how", ["move", "move_at_once", "fail_over"])
def test_watchers_and_callers_follow_a_slot(
    cluster: ClusterOfNodes, cluster_call: Caller, namespace: str, how: str
) -> None:
    increment = IncrementRequest(namespace=namespace, counter="visits")
    with cluster_call.stream(WatchRequest(namespace=namespace, after_revision=0)) as responses:
        cluster_call(increment)
        getattr(cluster, how)(slot_of_namespace(namespace))
        assert cluster_call(increment).counter.value == 2

        assert _revisions(responses, 2) == [1, 2]


def test_a_call_waits_while_its_slot_is_half_moved(
    cluster: ClusterOfNodes, cluster_call: Caller, namespace: str
) -> None:
    for number in range(30):  # so that there is something to move
        cluster_call(SetStockRequest(namespace=namespace, item=f"item-{number}", on_hand=1))
    slot, slowly = slot_of_namespace(namespace), {"pause_seconds": HALF_MOVED_SECONDS}
    moving = threading.Thread(target=cluster.move, args=(slot,), kwargs=slowly)
    moving.start()
    count = 0
    while moving.is_alive():
        count += 1
        request = IncrementRequest(namespace=namespace, counter="visits", request_id=f"r-{count}")
        assert cluster_call(request).counter.value == count
    moving.join()

    assert count > 1
    assert not cluster_call.verify(namespace).differences
    assert [entry.revision for entry in entries_of(cluster_call, namespace)] == list(range(1, 31 + count))


def test_an_item_is_read_whole_while_its_slot_is_half_moved(
    cluster: ClusterOfNodes, cluster_call: Caller, namespace: str
) -> None:
    for number in range(30):
        cluster_call(SetStockRequest(namespace=namespace, item="gold", location=f"shelf-{number}", on_hand=1))
        cluster_call(SetStockRequest(namespace=namespace, item=f"coin-{number}", on_hand=1))
    slot, slowly = slot_of_namespace(namespace), {"pause_seconds": HALF_MOVED_SECONDS}
    moving = threading.Thread(target=cluster.move, args=(slot,), kwargs=slowly)
    moving.start()
    items = ("gold", *(f"coin-{number}" for number in range(30)))
    totals: dict[str, set[int]] = {item: set() for item in items}
    while moving.is_alive():
        for item, seen in totals.items():
            seen.add(cluster_call(GetItemRequest(namespace=namespace, item=item)).total_on_hand)
    moving.join()

    assert totals.pop("gold") == {30}
    assert all(seen == {1} for seen in totals.values())


def test_a_slot_that_nobody_serves_is_unavailable_until_somebody_does(
    cluster: ClusterOfNodes, cluster_call: Caller, namespace: str
) -> None:
    slot = slot_of_namespace(namespace)
    node = cluster.primary_of(slot)
    node.ask("CLUSTER", "DELSLOTS", str(slot))
    try:
        with pytest.raises(Failure) as raised:
            cluster_call(IncrementRequest(namespace=namespace, counter="visits"), timeout=2.0)
    finally:
        node.ask("CLUSTER", "ADDSLOTS", str(slot))
    wait_until(cluster.is_whole, what="the cluster serves again")

    assert raised.value.code is StatusCode.UNAVAILABLE
    assert cluster_call(IncrementRequest(namespace=namespace, counter="visits", request_id="r")).counter.value == 1


def test_reservations_expire_on_all_nodes(cluster_call: Caller, namespace: str) -> None:
    names = [f"{namespace}-{number}" for number in range(12)]
    for name in names:
        cluster_call(SetStockRequest(namespace=name, item="book", on_hand=1))
        line = StockLine(item="book", copies=1)
        cluster_call(ReserveRequest(namespace=name, reservation_id="r", lines=[line], ttl=Duration(nanos=50_000_000)))

    def all_expired() -> bool:
        return all(entries_of(cluster_call, name)[-1].operation == OPERATION_KIND_EXPIRE for name in names)

    wait_until(all_expired, what="the reservations have expired")


def test_readiness_is_of_the_whole_cluster_and_a_lost_primary_is_found_again(
    cluster: ClusterOfNodes, cluster_call: Caller, namespace: str
) -> None:
    cluster_call(IncrementRequest(namespace=namespace, counter="visits"))
    cluster.lose_primary(slot_of_namespace(namespace))
    began_at = time.monotonic()

    # Level fsync promises nothing if a node is lost; but service is back, and the ledger has no gap.
    value = cluster_call(IncrementRequest(namespace=namespace, counter="visits", request_id="r")).counter.value

    assert value in {1, 2}
    assert time.monotonic() < began_at + 5
    assert not cluster_call.verify(namespace).differences


def test_a_node_of_a_cluster_and_one_that_is_none_must_be_named_as_what_they_are(
    cluster: ClusterOfNodes, tmp_path: Path
) -> None:
    host, port = cluster.addresses[0]
    assert "redis+cluster://host:6379" in refused_start("--store", f"redis://{host}:{port}")

    assert "127.0.0.1:1" in refused_start("--store", "redis+cluster://127.0.0.1:1")
    (port,) = free_ports(1)
    node = listening_node(tmp_path, port)
    node.start()
    try:
        assert "cluster support disabled" in refused_start("--store", f"redis+cluster://127.0.0.1:{port}")
    finally:
        node.stop()


def _revisions(responses: Iterator[Any], count: int) -> list[int]:
    """Return the revisions of the first entries."""
    entries = (entry for response in responses for entry in response.entries)
    return [entry.revision for entry in islice(entries, count)]


def test_the_user_that_is_shipped_may_do_what_a_cluster_takes(cluster: ClusterOfNodes, namespace: str) -> None:
    for node in cluster.nodes:
        node.ask("ACL", "SETUSER", *user_line(also="a cluster").split()[1:])
    store = cluster.url.replace("//", f"//tallykeeper:{PASSWORD}@")
    try:
        with ThreadedServer(Settings(listen="127.0.0.1:0", store=store)) as server:
            call = Caller(server.target)
            for number in range(12):
                call(IncrementRequest(namespace=f"{namespace}-{number}", counter="visits"))
            cluster.move(slot_of_namespace(f"{namespace}-0"))
            call(IncrementRequest(namespace=f"{namespace}-0", counter="visits"))
            call.close()
        assert [node.ask("ACL", "LOG") for node in cluster.nodes if is_primary(node)] == [[], [], []]
    finally:
        for node in cluster.nodes:
            node.ask("ACL", "DELUSER", "tallykeeper")


@pytest.mark.parametrize("key", ["tk:{shop}:revision", "tk:{Käse}:s:x", "plain", "foo{}{bar}", "foo{{bar}}zap"])
def test_the_nodes_have_the_same_slots_for_keys(cluster: ClusterOfNodes, key: str) -> None:
    assert cluster.nodes[0].ask("CLUSTER", "KEYSLOT", key) == slot_of(key)
