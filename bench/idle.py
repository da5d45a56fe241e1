"""Idle connections: opens many, makes a call on each, and holds them while the memory of the worker is read.

Usage: python -m bench.idle PORT COUNT

It runs in a separate process, because it needs a file descriptor for each connection. It opens each connection, makes a
call on it, and prints a line of JSON with the number of answered calls. After a line on stdin it makes another call on
each connection, and prints another line.
"""

import asyncio
import json
import resource
import subprocess
import sys
from typing import Final, cast

import uvloop

from bench.contenders import Contender, increment
from bench.generator import Request
from bench.processes import python

TOPIC: Final = "idle connections, one worker"
SERVED: Final = "served while all of them are open"
KIB_EACH: Final = "memory of each, KiB"
ADDRESSES: Final = ("127.0.0.1", "127.0.0.2")
"""The addresses to connect from, in turn, because a server limits the connections of each address. Linux has all of
127.0.0.0/8."""
_AT_ONCE: Final = 100
_ANSWER_SECONDS: Final = 60.0
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING = 0, 1, 4, 6
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_HEAD_BYTES: Final = 9
_SPARE_FILES: Final = 200


def hold_connections(contender: Contender, count: int) -> dict[str, float | None]:
    """Hold idle connections to a contender with one worker, and return the numbers for the report.

    :raises RuntimeError: the process that holds them has ended.
    """
    before = max(contender.process.resident_bytes())
    command = python("bench.idle", contender.port, count)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603  # ours
        first = _next_line(holder)
        after = max(contender.process.resident_bytes())
        last, _ = holder.communicate("\n")
    return {
        "opened": first["opened"],
        "served when they were opened": first["served"],
        SERVED: json.loads(last)["served"],
        KIB_EACH: (after - before) / max(1, first["opened"]) / 1024,
    }


def _next_line(holder: "subprocess.Popen[str]") -> dict[str, int]:
    line = holder.stdout.readline() if holder.stdout else ""
    if not line:
        message = "the process that holds idle connections has ended"
        raise RuntimeError(message)
    numbers: dict[str, int] = json.loads(line)
    return numbers


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Return a frame of HTTP/2 (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def call_frames(request: Request, stream: int) -> bytes:
    """Return the frames of a unary call. Its header fields stay out of the tables of both ends."""
    fields = {":method": "POST", ":scheme": "http", ":path": request.path, ":authority": "bench", "te": "trailers"}
    fields |= {"content-type": "application/grpc"} | dict(field.split(":", 1) for field in request.fields)
    block = bytearray()
    for name, value in fields.items():
        block += b"\0" + b"".join(bytes((len(text),)) + text.encode() for text in (name, value))
    message = b"\0" + len(request.message).to_bytes(4, "big") + request.message
    return frame(_HEADERS, bytes(block), flags=_END_HEADERS, stream=stream) + frame(
        _DATA, message, flags=_END_STREAM, stream=stream
    )


class Peer(asyncio.Protocol):
    """The client's side of one connection, with one call at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._stream = -1
        self._answered = False
        self._waiter: asyncio.Future[bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop has its own class
        self._transport.write(_PREFACE + frame(_SETTINGS))

    def data_received(self, data: bytes) -> None:
        """Read frames."""
        self._received += data
        while len(self._received) >= _HEAD_BYTES:
            size = _HEAD_BYTES + int.from_bytes(self._received[:3], "big")
            if len(self._received) < size:
                return
            self._take(self._received[3], self._received[4], bytes(self._received[_HEAD_BYTES:size]))
            del self._received[:size]

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that no answer will come."""
        del exc
        self._transport = None
        self._resolve(answered=False)

    async def call(self, request: Request) -> bool:
        """Make a call. Return True if it was answered with a message."""
        if self._transport is None:
            return False
        self._stream += 2
        self._answered = False
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(call_frames(request, self._stream))
        try:
            return await asyncio.wait_for(self._waiter, _ANSWER_SECONDS)
        except TimeoutError:
            return False

    def _take(self, kind: int, flags: int, payload: bytes) -> None:
        if kind in {_SETTINGS, _PING} and not flags & _ACK and self._transport is not None:
            self._transport.write(frame(kind, payload if kind == _PING else b"", flags=_ACK))
        self._answered = self._answered or kind == _DATA
        if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
            self._resolve(answered=self._answered)

    def _resolve(self, *, answered: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answered)


async def _hold(port: int, count: int) -> None:
    peers: list[Peer] = []
    served = 0
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, count))
        opened = await asyncio.gather(*(_open(port, number) for number in numbers))
        some = [peer for peer in opened if peer is not None]
        served += sum(await asyncio.gather(*(peer.call(increment()) for peer in some)))
        peers += some
    _print(opened=len(peers), served=served)
    await asyncio.to_thread(sys.stdin.readline)
    served = 0
    for first in range(0, len(peers), _AT_ONCE):
        served += sum(await asyncio.gather(*(peer.call(increment()) for peer in peers[first : first + _AT_ONCE])))
    _print(served=served)


async def _open(port: int, number: int) -> Peer | None:
    here = (ADDRESSES[number % len(ADDRESSES)], 0) if sys.platform == "linux" else None
    try:
        _, peer = await asyncio.get_running_loop().create_connection(Peer, "127.0.0.1", port, local_addr=here)
    except OSError:
        return None
    return peer


def _print(**numbers: int) -> None:
    sys.stdout.write(json.dumps(numbers) + "\n")
    sys.stdout.flush()


def _open_files_max() -> int:
    """Raise the limit of this process's open files as far as possible, and return the limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else sys.maxsize


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_hold(int(sys.argv[1]), min(int(sys.argv[2]), _open_files_max() - _SPARE_FILES)))
