"""A proxy between server and store that speaks RESP: it knows where a request ends, and loses what it is told to."""

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
"""The text and the hash of each script that reads: by one of them it is called."""


class Fault(Enum):
    """What may befall a script call on its way to the store, or its reply on the way back."""

    CUT_AFTER_APPLY = "cut after apply"
    """The store has carried it out; the connection is lost before the reply."""
    CUT_BEFORE_APPLY = "cut before apply"
    """The connection is lost before the store has all of the request."""
    CUT_IN_REPLY = "cut in the reply"
    """Half of the reply comes through."""
    DELAY = "delay"
    """The reply comes late."""
    DRIBBLE = "dribble"
    """The reply comes in small pieces."""
    RESET = "reset"
    """All connections are reset, whatever they are at."""
    BLACK_HOLE = "black hole"
    """Nothing comes through on this connection for longer than the server waits."""


class Proxy(Relay):
    """Passes requests and replies on, and lets a script call meet a fault when one is due."""

    def __init__(self, target: Callable[[], Path], random: Random) -> None:
        """``target`` is the socket of the store, as it is at the time of a connection."""
        super().__init__()
        self._target = target
        self._random = random
        self._due: list[Fault] = []
        self._all_met = asyncio.Event()
        self.met: Counter[Fault] = Counter()

    @property
    def url(self) -> str:
        """How the server reaches the store through it."""
        return f"redis://127.0.0.1:{self.port}"

    def let_meet(self, fault: Fault) -> None:
        """Let the next script call meet a fault."""
        self._due.append(fault)
        self._all_met.clear()

    @property
    def is_due(self) -> bool:
        """Whether a fault still waits for its script call."""
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
        """Let a connection's script call meet the fault that is due."""
        fault_at.fault = self._due.pop(0)
        self.met[fault_at.fault] += 1
        if not self._due:
            self._all_met.set()

    def delay_seconds(self) -> float:
        """Return how late a delayed reply comes."""
        return self._random.uniform(0, _DELAY_SECONDS_MAX)


@dataclass(slots=True)
class _Passing:
    """One connection's way through the proxy. At most one request is under way on it, with what is pipelined."""

    proxy: Proxy
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    store_reader: asyncio.StreamReader
    store_writer: asyncio.StreamWriter
    fault: Fault | None = None

    async def requests(self) -> None:
        """Pass requests on until the connection ends, or is to be lost."""
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
        """Pass replies on, and let one meet a fault."""
        while data := await self.store_reader.read(CHUNK_BYTES):
            if self.fault is None:
                self.writer.write(data)
                await self.writer.drain()
            elif not await self._meet(self.fault, await self._whole(data)):
                return
            else:
                self.fault = None

    async def _whole(self, data: bytes) -> bytes:
        """Return all bytes of the reply that begins so, and what else has come with it."""
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
        """Let a reply meet a fault; return whether the connection lives on."""
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
    """Tell whether a request calls the script that changes counts, and not one of those that read."""
    return request[0] in {b"EVALSHA", b"EVAL"} and request[1] not in _READS
