"""What clusters and sentinels are made of: nodes on free ports, which may be lost and come back."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from tests.chaos.stores import DURABLE, Node
from tests.serving import PATIENCE_SECONDS, wait_until

FAILOVER_MS: Final = 1_000
"""How long a node must be silent before the others take it for lost."""
_POLL_SECONDS: Final = 0.02
_IN_STEP: Final = ("--repl-diskless-sync-delay", "0", "--repl-backlog-size", "16mb")


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in sockets]


def listening_node(directory: Path, port: int, *options: str) -> Node:
    """Return a store that listens on a port too, and whose replicas are in step with it at once."""
    return Node(directory, options=(*DURABLE, *_IN_STEP, "--port", str(port), *options))


def text_of(node: Node, *command: str) -> str:
    """Return a node's answer as text; nothing if it cannot be asked."""
    try:
        answer = node.ask(*command)
    except RedisError:
        return ""
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def is_primary(node: Node) -> bool:
    """Tell whether a node takes itself for a primary."""
    role = _role(node)
    return bool(role) and role[0] == b"master"


def is_linked(node: Node) -> bool:
    """Tell whether a node is a replica that gets all that its primary writes."""
    role = _role(node)
    return len(role) > 3 and role[0] == b"slave" and role[3] == b"connected"  # as ROLE answers


def has_replica(node: Node) -> bool:
    """Tell whether a node is a primary that a replica is connected to."""
    role = _role(node)
    return len(role) > 2 and role[0] == b"master" and bool(role[2])  # as above


def hold_for(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Return when a condition has held for so long without a break."""
    deadline, since = time.monotonic() + PATIENCE_SECONDS, time.monotonic()
    while time.monotonic() < since + seconds:
        if not condition():
            since = time.monotonic()
        assert time.monotonic() < deadline, what
        time.sleep(_POLL_SECONDS)


def wait_for_role(node: Node, *, primary: bool) -> None:
    """Return when a node is a primary with a replica, or a replica in step."""
    condition = has_replica if primary else is_linked
    wait_until(lambda: condition(node), what=f"{node.directory.name} has its role")


def _role(node: Node) -> list[object]:
    try:
        answer = node.ask("ROLE")
    except RedisError:
        return []
    return answer if isinstance(answer, list) else []
