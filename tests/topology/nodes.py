"""Nodes of clusters and of watched pairs, on free ports, which may be lost and come back."""

from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from tests.chaos.stores import DURABLE, Node

FAILOVER_MS: Final = 1_000
"""The time for which a node must be silent before the others take it for lost."""
_IN_STEP: Final = ("--repl-diskless-sync-delay", "0", "--repl-backlog-size", "16mb")


def listening_node(directory: Path, port: int, *options: str) -> Node:
    """Return a store that also listens on a port, and whose replicas are in step with it at once."""
    return Node(directory, options=(*DURABLE, *_IN_STEP, "--port", str(port), *options))


def text_of(node: Node, *command: str) -> str:
    """Return a node's answer as text; nothing if it cannot be asked."""
    try:
        answer = node.ask(*command)
    except RedisError:
        return ""
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def is_primary(node: Node) -> bool:
    """Return whether a node takes itself for a primary."""
    role = _role(node)
    return bool(role) and role[0] == b"master"


def is_linked(node: Node) -> bool:
    """Return whether a node is a replica that gets all writes of its primary."""
    role = _role(node)
    return len(role) > 3 and role[0] == b"slave" and role[3] == b"connected"  # as ROLE answers


def has_replica(node: Node) -> bool:
    """Return whether a node is a primary with a connected replica."""
    role = _role(node)
    return len(role) > 2 and role[0] == b"master" and bool(role[2])  # in the form of ROLE


def _role(node: Node) -> list[object]:
    try:
        answer = node.ask("ROLE")
    except RedisError:
        return []
    return answer if isinstance(answer, list) else []
