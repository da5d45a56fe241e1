"""Relays of connections: a listener on loopback whose connections end with it."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final, Self

CHUNK_BYTES: Final = 65_536


class Relay:
    """A listener. A subclass serves each connection. At the end no connection is left."""

    def __init__(self) -> None:
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        while self._serving:  # a connection that was just accepted comes after the others have been cancelled
            self.reset()
            await asyncio.wait(self._serving)

    @property
    def port(self) -> int:
        """The address of the listener."""
        return int(self._server.sockets[0].getsockname()[1])

    def reset(self) -> None:
        """End all connections at once, even in the middle of a message."""
        for writer in self._writers:
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._end_with(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _end_with(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        self._writers.add(writer)
        try:
            with suppress(OSError):
                other_reader, other_writer = await self._connect()
                writers.append(other_writer)
                self._writers.add(other_writer)
                ways = [asyncio.create_task(way) for way in self._ways(reader, writer, other_reader, other_writer)]
                _, going = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in going:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:  # also the task of a connection that was cancelled as soon as it was accepted
            for each in writers:
                each.transport.abort()
                self._writers.discard(each)
        for each in writers:
            with suppress(OSError):
                await each.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the other side."""
        raise NotImplementedError

    def _ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other_reader: asyncio.StreamReader,
        other_writer: asyncio.StreamWriter,
    ) -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
        """Return the coroutines that pass data on in the two directions. The first to end ends the connection."""
        raise NotImplementedError
