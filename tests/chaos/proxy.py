"""A proxy between server and store that speaks RESP: it knows where a request ends, and loses what a test selects."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from hashlib import sha1
from pathlib import Path
from random import Random
from typing import Any, Final

import hiredis

import tallykeeper_lua
from tests.chaos.relay import CHUNK_BYTES, Relay

_DELAY_SECONDS_MAX: Final = 0.3
_DRIBBLED_BYTES: Final = 7
_BLACK_HOLE_SECONDS: Final = 1.5
_READS: Final = frozenset(
    name
    for script in (each.text.encode() for each in tallykeeper_lua.read_scripts())
    for name in (script, sha1(script, usedforsecurity=False).hexdigest().encode())
)
"""The text and the hash of each script that reads. A request names the script by one of the two."""


class Fault(Enum):
    """A fault of a script call on its way to the store, or of its reply on the way back."""

    CUT_AFTER_APPLY = "cut after apply"
    """The store has carried the call out. The connection is lost before the reply."""
    CUT_BEFORE_APPLY = "cut before apply"
    """The connection is lost before the store has the whole request."""
    CUT_IN_REPLY = "cut in the reply"
    """Half of the reply arrives."""
    DELAY = "delay"
    """The reply arrives late."""
    DRIBBLE = "dribble"
    """The reply arrives in small pieces."""
    RESET = "reset"
    """All connections are reset at any point."""
    BLACK_HOLE = "black hole"
    """Nothing passes on this connection for longer than the server waits."""


class Proxy(Relay):
    """Passes requests and replies on, and applies a waiting fault to the next script call."""

    def __init__(self, target: Callable[[], Path], random: Random) -> None:
        """Take the socket of the store. ``target`` is called for each connection, because the socket can change."""
        super().__init__()
        self._target = target
        self._random = random
        self._due: list[Fault] = []
        self._all_met = asyncio.Event()
        self.met: Counter[Fault] = Counter()

    @property
    def url(self) -> str:
        """The URL by which the server reaches the store through the proxy."""
        return f"redis://127.0.0.1:{self.port}"

    def let_meet(self, fault: Fault) -> None:
        """Apply a fault to the next script call."""
        self._due.append(fault)
        self._all_met.clear()

    @property
    def is_due(self) -> bool:
        """Return True if a fault still waits for its script call."""
        return bool(self._due)

    async def all_met(self) -> None:
        """Return when no fault waits any more."""
        if self._due:
            await self._all_met.wait()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(self._target())

    def _ways(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other_reader: asyncio.StreamReader,
        other_writer: asyncio.StreamWriter,
    ) -> tuple[Coroutine[Any, Any, None], Coroutine[Any, Any, None]]:
        passing = _Passing(self, reader, writer, other_reader, other_writer)
        return passing.requests(), passing.replies()

    def take(self, fault_at: "_Passing") -> None:
        """Apply the waiting fault to a connection's script call."""
        fault_at.fault = self._due.pop(0)
        self.met[fault_at.fault] += 1
        if not self._due:
            self._all_met.set()

    def delay_seconds(self) -> float:
        """Return the delay of a late reply, in seconds."""
        return self._random.uniform(0, _DELAY_SECONDS_MAX)


@dataclass(slots=True)
class _Passing:
    """One connection through the proxy. At most one request, or one pipeline of requests, is in progress on it."""

    proxy: Proxy
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    store_reader: asyncio.StreamReader
    store_writer: asyncio.StreamWriter
    fault: Fault | None = None

    async def requests(self) -> None:
        """Pass requests on until the connection ends, or a fault ends it."""
        requests = hiredis.Reader()
        while data := await self.reader.read(CHUNK_BYTES):
            requests.feed(data)
            while (request := requests.gets()) is not False:
                if _is_change(request) and self.proxy.is_due and self.fault is None:
                    self.proxy.take(self)
            if self.fault is Fault.CUT_BEFORE_APPLY:
                data = data[: len(data) // 2]
            self.store_writer.write(data)
            await self.store_writer.drain()
            if self.fault is Fault.CUT_BEFORE_APPLY:
                return

    async def replies(self) -> None:
        """Pass replies on, and apply a fault to one reply."""
        while data := await self.store_reader.read(CHUNK_BYTES):
            if self.fault is None:
                self.writer.write(data)
                await self.writer.drain()
            elif not await self._meet(self.fault, await self._whole(data)):
                return
            else:
                self.fault = None

    async def _whole(self, data: bytes) -> bytes:
        """Return all bytes of the reply that begins with these bytes, and of the data that arrived with it."""
        replies = hiredis.Reader()
        replies.feed(data)
        while replies.gets() is False:
            more = await self.store_reader.read(CHUNK_BYTES)
            if not more:
                return data
            replies.feed(more)
            data += more
        return data

    async def _meet(self, fault: Fault, reply: bytes) -> bool:
        """Apply a fault to a reply. Return True if the connection goes on."""
        if fault is Fault.CUT_AFTER_APPLY:
            return False
        if fault is Fault.RESET:
            self.proxy.reset()
            return False
        if fault is Fault.CUT_IN_REPLY:
            self.writer.write(reply[: len(reply) // 2])
            await self.writer.drain()
            return False
        if fault is Fault.DRIBBLE:
            await self._dribble(reply)
            return True
        await asyncio.sleep(_BLACK_HOLE_SECONDS if fault is Fault.BLACK_HOLE else self.proxy.delay_seconds())
        self.writer.write(reply)
        await self.writer.drain()
        return True

    async def _dribble(self, reply: bytes) -> None:
        size = max(_DRIBBLED_BYTES, len(reply) // 100)
        for start in range(0, len(reply), size):
            self.writer.write(reply[start : start + size])
            await self.writer.drain()
            await asyncio.sleep(0)


def _is_change(request: list[bytes]) -> bool:
    """Return True if a request calls the script that changes counts, and not a script that reads."""
    return request[0] in {b"EVALSHA", b"EVAL"} and request[1] not in _READS
