"""A peer that speaks HTTP/2 frame by frame, and can stop reading."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple, Self

from tests.fuzz.frames import ACK, END_HEADERS, END_STREAM, GO_AWAY, HEADERS, PREFACE, RESET, SETTINGS, frame, opening
from tests.transport.handlers import DEADLINE_SECONDS

_HEAD_BYTES = 9
ENHANCE_YOUR_CALM = 11
REFUSED_STREAM = 7
SETTINGS_TIMEOUT = 4


class Frame(NamedTuple):
    """A frame that the server sent."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def ends_stream(self) -> bool:
        return bool(self.flags & END_STREAM)


class GoAway(NamedTuple):
    """A GOAWAY frame."""

    last_stream: int
    code: int
    text: str


class RawPeer:
    """The client's side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, *frames: bytes) -> Self:
        self._writer.write(b"".join(frames))
        return self

    async def flushed(self) -> None:
        """Return when the socket has room for more."""
        await self._writer.drain()

    def greet(self, settings: bytes = b"") -> Self:
        return self.send(PREFACE, frame(SETTINGS, settings), frame(SETTINGS, flags=ACK))

    def open(self, path: str, *, stream: int = 1, ends: bool = False, **others: str) -> Self:
        flags = END_HEADERS | (END_STREAM if ends else 0)
        return self.send(frame(HEADERS, opening(path, **others), flags=flags, stream=stream))

    async def next(self) -> Frame | None:
        """Return the next frame, or None when the server has closed."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            try:
                head = await self._reader.readexactly(_HEAD_BYTES)
                payload = await self._reader.readexactly(int.from_bytes(head[:3], "big"))
            except (asyncio.IncompleteReadError, ConnectionResetError):
                return None
        return Frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)

    async def of(self, kind: int, *, stream: int = 0) -> Frame:
        """Return the next frame of a kind."""
        while (one := await self.next()) is not None:
            if one.kind == kind and (not stream or one.stream == stream):
                return one
        message = f"the server has closed, without a frame of kind {kind}"
        raise AssertionError(message)

    async def goaway(self) -> GoAway:
        """Return the next GOAWAY."""
        payload = (await self.of(GO_AWAY)).payload
        return GoAway(int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big"), payload[8:].decode())

    async def reset_code(self, stream: int) -> int:
        """Return the code with which the server resets a stream."""
        return int.from_bytes((await self.of(RESET, stream=stream)).payload, "big")

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def closed(self) -> bool:
        """Read until the server has closed."""
        while await self.next() is not None:
            pass
        return True


@asynccontextmanager
async def raw_peer(address: str) -> AsyncIterator[RawPeer]:
    """Connect to a server."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
