"""A primary and its replica, which change places, and the link between them."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import redis

from tests.chaos.relay import CHUNK_BYTES, Relay
from tests.chaos.stage import Stage
from tests.chaos.stores import DURABLE, Node
from tests.support.server import free_ports, wait_until

_STEP_MS: Final = 100


class Link(Relay):
    """The link by which a replica reaches its primary. It can lose the primary's data and stay connected."""

    def __init__(self) -> None:
        super().__init__()
        self.target_port = 0
        self.loses = False

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.target_port)

    def _ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other_reader: asyncio.StreamReader,
        other_writer: asyncio.StreamWriter,
    ) -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
        return (
            self._pass_on(reader, other_writer, may_lose=False),
            self._pass_on(other_reader, writer, may_lose=True),
        )

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_lose: bool) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if not (may_lose and self.loses):
                writer.write(data)
                await writer.drain()


class Pair:
    """Two nodes. One of them is the primary."""

    def __init__(self, directory: Path, link: Link, library: Path | None = None) -> None:
        """Prepare two nodes. ``library`` is loaded into both, see ``Node``."""
        self.link = link
        self._library = library
        self._ports: dict[Path, int] = {}
        self.primary, self.replica = (self._node(directory / name) for name in ("a", "b"))

    def start(self) -> None:
        """Start both nodes, and return when the replica has all of the primary's data."""
        self.primary.start()
        self.replica.start()
        self._join()

    def stop(self) -> None:
        """End both nodes and the link."""
        for node in (self.primary, self.replica):
            node.stop()

    def lose_primary(self) -> None:
        """Lose the primary and its data. The replica takes over, and an empty node becomes its replica."""
        lost = self.primary
        lost.kill()
        self.replica.ask("REPLICAOF", "NO", "ONE")
        self.primary, self.replica = self.replica, lost
        shutil.rmtree(lost.directory)
        lost.directory.mkdir()
        lost.clock.jump(0)
        lost.start()
        self._join()

    def split(self) -> None:
        """Make the replica a primary, while servers still call the old primary."""
        self.replica.ask("REPLICAOF", "NO", "ONE")

    def follow_the_new_primary(self) -> None:
        """Make the old primary a replica of the new one. It forgets the changes that only it had."""
        self.primary, self.replica = self.replica, self.primary
        self._join()

    def _join(self) -> None:
        self.link.loses = False
        self.link.target_port = self._ports[self.primary.directory]
        self.replica.ask("REPLICAOF", "127.0.0.1", str(self.link.port))
        with redis.Redis.from_url(self.primary.url) as connection:

            def is_in_step() -> bool:
                connection.set("tk:step", 1)
                return bool(connection.wait(1, _STEP_MS) == 1)

            wait_until(is_in_step, what="the replica is in step")
            connection.delete("tk:step")

    def _node(self, directory: Path) -> Node:
        (port,) = free_ports(1)
        self._ports[directory] = port
        listening = ("--port", str(port), "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "16mb")
        return Node(directory, options=(*DURABLE, *listening), library=self._library)


@asynccontextmanager
async def pair_of(stage: Stage, library: Path | None = None) -> AsyncIterator[Pair]:
    """Run a pair in the directory of a stage."""
    async with Link() as link:
        pair = Pair(stage.directory, link, library)
        try:
            await asyncio.to_thread(pair.start)
            yield pair
        finally:
            pair.stop()
