"""GetServerStatus on a watched pair and on a cluster."""

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.server_pb2 import STORE_KIND_CLUSTER, STORE_KIND_SENTINEL, GetServerStatusRequest
from tests.support.client import Caller

ASK = GetServerStatusRequest()


def test_the_status_on_a_cluster_has_each_primary_with_its_replica(cluster_call: Caller, namespace: str) -> None:
    cluster_call(IncrementRequest(namespace=namespace, counter="visits", request_id="once"))

    status = cluster_call(ASK)

    assert status.store.kind == STORE_KIND_CLUSTER
    assert status.store.location.startswith("redis+cluster://")
    assert len({node.address for node in status.store.nodes}) == 3
    assert [(node.fault, len(node.replicas)) for node in status.store.nodes] == [("", 1)] * 3
    assert status.store.request_id_count >= 1
    assert {f"store connections of {node.address}" for node in status.store.nodes} <= {
        use.name for use in status.limits
    }


def test_the_status_on_a_watched_pair_has_the_replica(pair_call: Caller, namespace: str) -> None:
    pair_call(IncrementRequest(namespace=namespace, counter="visits"))

    status = pair_call(ASK)

    assert status.store.kind == STORE_KIND_SENTINEL
    assert status.store.location.startswith("redis+sentinel://")
    (node,) = status.store.nodes
    assert [replica.online for replica in node.replicas] == [True]
