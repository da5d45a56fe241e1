"""A node that replies by a script: for replies that a real one gives seldom, and for TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import hiredis

from tallykeeper_server.store.nodes.node_options import Address


@dataclass(slots=True)
class ScriptedNode:
    """A node of this process."""

    address: Address
    commands: list[list[str]] = field(default_factory=list)
    """The commands that arrived, of all connections."""

    @property
    def host_port(self) -> str:
        """The node's address as host:port."""
        return f"{self.address[0]}:{self.address[1]}"


@asynccontextmanager
async def scripted_node(
    reply_to: Callable[[list[str]], bytes | None], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedNode]:
    """Serve a node that sends ``reply_to(command)`` for each command, and nothing if that is None."""
    node = ScriptedNode(("127.0.0.1", 0))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = hiredis.Reader(encoding="utf-8")
        try:
            while data := await reader.read(65_536):
                requests.feed(data)
                while command := requests.gets():
                    node.commands.append(command)
                    writer.write(reply_to(command) or b"")
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        node.address = ("127.0.0.1", server.sockets[0].getsockname()[1])
        yield node
