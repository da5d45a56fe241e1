"""A primary and its replica, watched by three sentinels, made with the server's binary alone."""

import subprocess
from pathlib import Path
from typing import Final, cast

from tallykeeper_server.store.embedded.valkey import find_binary
from tests.chaos.stores import Node
from tests.support.server import free_ports, wait_until
from tests.topology.nodes import FAILOVER_MS, has_replica, is_linked, is_primary, listening_node, text_of

SERVICE: Final = "stocks"
_SENTINELS: Final = 3
_QUORUM: Final = 2
_PERIOD_MS: Final = 200
"""The time between two looks at the nodes, and between two messages of sentinels: by default 10 s and 2 s."""
_FAILOVER_MAX_MS: Final = 3_000


class Sentinel(Node):
    """A sentinel as a process."""

    def start(self, *, wait: bool = True) -> None:
        """Start it, and return when it answers."""
        file = self.directory / "sentinel.conf"
        if not file.exists():
            file.write_text("".join(f"{line}\n" for line in (f"unixsocket {self.socket}", *self.options)))
        self.process = subprocess.Popen((find_binary(None), file, "--sentinel"), stdout=subprocess.DEVNULL)
        if wait:
            self.start_is_over()


class WatchedPair:
    """Two nodes, of which the sentinels make one the primary."""

    def __init__(self, directory: Path) -> None:
        ports = free_ports(2 + _SENTINELS)
        self._ports = dict(zip(("a", "b"), ports[:2], strict=True))
        self._sentinel_ports = ports[2:]
        self.nodes = [listening_node(directory / name, port) for name, port in self._ports.items()]
        self.sentinels = [
            Sentinel(directory / f"sentinel-{number}", options=self._watching(port))
            for number, port in enumerate(self._sentinel_ports)
        ]

    @property
    def url(self) -> str:
        """The URL for the server: it names the sentinels and the service."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self._sentinel_ports)}/{SERVICE}"

    def start(self) -> None:
        """Start all nodes. Return when a failover would find all that it needs."""
        first, second = self.nodes
        first.start()
        second.start()
        second.ask("REPLICAOF", "127.0.0.1", str(self._ports["a"]))
        wait_until(lambda: has_replica(first) and is_linked(second), what="the replica is in step")
        for sentinel in self.sentinels:
            sentinel.start()
            for what in ("INFO", "PUBLISH"):
                sentinel.ask("SENTINEL", "DEBUG", f"{what}-PERIOD", str(_PERIOD_MS))
        wait_until(self.is_whole, what="the sentinels know each other and the replica")

    def stop(self) -> None:
        """Stop all nodes that run."""
        for node in (*self.sentinels, *self.nodes):
            node.stop()

    def is_whole(self) -> bool:
        """Return whether there are a primary and a replica in step, and all sentinels know both."""
        return any(map(has_replica, self.nodes)) and any(map(is_linked, self.nodes)) and self._all_know()

    def primary(self) -> Node:
        """Return the node that the sentinels call the primary."""
        host_and_port = cast("list[bytes]", self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE))
        return next(node for node in self.nodes if self._ports[node.directory.name] == int(host_and_port[1]))

    def fail_over(self) -> None:
        """Make the sentinels promote the replica, though nothing is wrong."""
        primary = self.primary()

        def has_changed() -> bool:
            if self.primary() is not primary:
                return True
            # A sentinel refuses this during a failover, and until the replica is ready. It may also give up a failover.
            text_of(self.sentinels[0], "SENTINEL", "FAILOVER", SERVICE)
            return False

        wait_until(has_changed, what="the replica has taken over")
        wait_until(self.is_whole, what="the old primary follows the new one")

    def lose_primary(self) -> None:
        """Kill the primary, wait until the replica has taken over, and let it come back as a replica."""
        primary = self.primary()
        (replica,) = (node for node in self.nodes if node is not primary)
        primary.kill()
        wait_until(lambda: is_primary(replica) and self.primary() is replica, what="the replica has taken over")
        primary.start()
        wait_until(self.is_whole, what="the lost node is back")

    def _all_know(self) -> bool:
        port = self._ports[self.primary().directory.name]
        return all(
            f"status=ok,address=127.0.0.1:{port},slaves=1,sentinels={_SENTINELS}"
            in text_of(sentinel, "INFO", "sentinel")
            for sentinel in self.sentinels
        )

    def _watching(self, port: int) -> tuple[str, ...]:
        return (
            f"port {port}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self._ports['a']} {_QUORUM}",
            f"sentinel down-after-milliseconds {SERVICE} {FAILOVER_MS}",
            f"sentinel failover-timeout {SERVICE} {_FAILOVER_MAX_MS}",
        )
