"""A cluster of three primaries with a replica each, made with the server's binary alone."""

import time
from pathlib import Path
from typing import Any, Final, cast

import redis

from tallykeeper_server.store.nodes.slots import slot_of
from tests.chaos.stores import Node
from tests.support.server import free_ports, wait_until
from tests.topology.nodes import FAILOVER_MS, has_replica, is_linked, is_primary, listening_node, text_of

SLOTS: Final = 16_384
_SHARDS: Final = 3
_KEYS_AT_ONCE: Final = 7
"""A limit by which a slot stays half moved for a while."""
_MOVE_TIMEOUT_MS: Final = 5_000


class ClusterOfNodes:
    """Nodes that share the slots."""

    def __init__(self, directory: Path) -> None:
        self._ports: dict[str, int] = {}
        self._bus_ports: dict[str, int] = {}
        ports = free_ports(4 * _SHARDS)
        self.nodes = [self._node(directory / f"node-{number}", ports.pop(), ports.pop()) for number in range(6)]

    @property
    def url(self) -> str:
        """The URL for the server: it names two of the nodes."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{self._port(node)}" for node in self.nodes[:2])

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses of the nodes."""
        return [("127.0.0.1", self._port(node)) for node in self.nodes]

    def start(self) -> None:
        """Start all nodes and assign the slots. Return when all slots are served and each primary has a replica."""
        for node in self.nodes:
            node.start(wait=False)
        for number, node in enumerate(self.nodes):
            node.start_is_over()
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for shard, node in enumerate(self.nodes[:_SHARDS]):
            first, last = (SLOTS * number // _SHARDS for number in (shard, shard + 1))
            node.ask("CLUSTER", "ADDSLOTSRANGE", str(first), str(last - 1))
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", str(self._port(node)), str(self._bus_port(node)))
        wait_until(self._all_have_met, what="all nodes know each other")
        for primary, replica in zip(self.nodes[:_SHARDS], self.nodes[_SHARDS:], strict=True):
            replica.ask("CLUSTER", "REPLICATE", _id_of(primary))
        wait_until(self.is_whole, what="the cluster serves, each primary with its replica")

    def stop(self) -> None:
        """Stop all nodes that run."""
        for node in self.nodes:
            node.stop()

    def is_whole(self) -> bool:
        """Return whether all nodes see all slots served, and each primary has a replica in step."""
        primaries = [node for node in self.nodes if is_primary(node)]
        replicas = [node for node in self.nodes if is_linked(node)]
        return (
            len(primaries) == len(replicas) == _SHARDS
            and all(map(has_replica, primaries))
            and all("cluster_state:ok" in text_of(node, "CLUSTER", "INFO") for node in self.nodes)
            and all(len(members) > 1 for node in self.nodes for _, _, *members in _slots_by(node))
        )

    def primary_of(self, slot: int) -> Node:
        """Return the node that serves a slot."""
        return self._member_of(slot, 0)

    def replica_of(self, slot: int) -> Node:
        """Return the replica that would take over a slot."""
        return self._member_of(slot, 1)

    def another_primary(self, slot: int) -> Node:
        """Return a primary that does not serve a slot."""
        primary = self.primary_of(slot)
        return next(node for node in self.nodes if node is not primary and is_primary(node))

    def fail_over(self, slot: int) -> None:
        """Make a slot's primary and its replica swap their roles in good order."""
        replica = self.replica_of(slot)
        replica.ask("CLUSTER", "FAILOVER")
        wait_until(lambda: is_primary(replica) and self.is_whole(), what="the replica has taken over")

    def lose_primary(self, slot: int) -> None:
        """Kill a slot's primary, wait until its replica has taken over, and let it come back as a replica."""
        primary, replica = self.primary_of(slot), self.replica_of(slot)
        primary.kill()
        wait_until(lambda: is_primary(replica), what="the replica has taken over")
        primary.start()
        wait_until(self.is_whole, what="the lost node is back")

    def move(self, slot: int, *, pause_seconds: float = 0.0) -> None:
        """Move a slot to another primary, key by key, with pauses while only a part of the keys has moved."""
        source, target = self.primary_of(slot), self.another_primary(slot)
        target.ask("CLUSTER", "SETSLOT", str(slot), "IMPORTING", _id_of(source))
        source.ask("CLUSTER", "SETSLOT", str(slot), "MIGRATING", _id_of(target))
        while names := cast("list[bytes]", source.ask("CLUSTER", "GETKEYSINSLOT", str(slot), str(_KEYS_AT_ONCE))):
            address = ("127.0.0.1", str(self._port(target)), "", "0", str(_MOVE_TIMEOUT_MS))
            source.ask("MIGRATE", *address, "KEYS", *(name.decode() for name in names))
            time.sleep(pause_seconds)
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", str(slot), "NODE", _id_of(target))
        wait_until(lambda: self.primary_of(slot) is target, what="all know where the slot is")

    def move_at_once(self, slot: int) -> None:
        """Move a slot to another primary with Valkey's own command, which it has since 9.0."""
        source, target = self.primary_of(slot), self.another_primary(slot)
        source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", str(slot), str(slot), "NODE", _id_of(target))
        wait_until(lambda: self.primary_of(slot) is target, what="the slot has moved")

    def _member_of(self, slot: int, rank: int) -> Node:
        port = self._shard_of(slot)[rank]
        return next(node for node in self.nodes if self._port(node) == port)

    def _shard_of(self, slot: int) -> list[int]:
        """Return the ports of the nodes that have a slot, the primary's first."""
        for node in self.nodes:
            for first, last, *members in _slots_by(node):
                if first <= slot <= last:
                    return [int(member[1]) for member in members]
        message = f"no node has slot {slot}"
        raise AssertionError(message)

    def _all_have_met(self) -> bool:
        return all(
            "cluster_state:ok" in text and f"cluster_known_nodes:{len(self.nodes)}" in text
            for text in (text_of(node, "CLUSTER", "INFO") for node in self.nodes)
        )

    def _node(self, directory: Path, port: int, bus_port: int) -> Node:
        self._ports[directory.name], self._bus_ports[directory.name] = port, bus_port
        cluster = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(FAILOVER_MS))
        return listening_node(directory, port, *cluster, "--cluster-port", str(bus_port))

    def _port(self, node: Node) -> int:
        return self._ports[node.directory.name]

    def _bus_port(self, node: Node) -> int:
        return self._bus_ports[node.directory.name]


def slot_of_namespace(namespace: str) -> int:
    """Return the slot in which a namespace has its keys."""
    return slot_of(namespace)


def _id_of(node: Node) -> str:
    return text_of(node, "CLUSTER", "MYID")


def _slots_by(node: Node) -> list[Any]:
    """Return a node's ranges of slots: the first slot and the last, and the nodes that have them, the primary first."""
    try:
        return cast("list[Any]", node.ask("CLUSTER", "SLOTS"))
    except redis.RedisError:
        return []
