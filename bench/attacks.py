"""Attacks on a server, one after another: the latency of other callers, the server's memory, and its answers.

Usage: python -m bench.attacks [--seconds SECONDS] [ATTACK ...]

Each attack runs in a separate process for some seconds, and connects again when the server has disconnected it. At the
same time other callers make 200 calls a second. The p99 of their latency is compared with the p99 of the same time
without an attack.
"""

import argparse
import asyncio
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bench.processes import python
from tallykeeper.v1.inventory_pb2 import DecrementCopiesRequest, ListStockRequest, SetStockRequest
from tests.fuzz.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    GO_AWAY,
    HEADERS,
    RESET,
    SETTINGS,
    WINDOW,
    call,
    frame,
    opening,
)
from tests.support.client import AsyncCaller, Caller
from tests.support.server import ServerProcess
from tests.transport.raw import RawPeer, raw_peer

_NAMESPACE: Final = "attacked"
_CHANGE: Final = "/tallykeeper.v1.InventoryService/DecrementCopies"
_LIST: Final = "/tallykeeper.v1.InventoryService/ListStock"
_REQUEST: Final = DecrementCopiesRequest(namespace=_NAMESPACE, item="dune").SerializeToString()
_CANCEL: Final = (8).to_bytes(4, "big")
_CALLERS: Final = 8
_INTERVAL_SECONDS: Final = 0.04
_SILENT: Final = 5_000
_STREAMS: Final = 100_000
_BLOCK_BYTES: Final = 16 << 10


async def _header_bomb(peer: RawPeer) -> None:
    """Send header fields that take a byte each and unfold to megabytes."""
    length = bytes((0x7F, 0xA1, 0x1E))  # 4,000 as an integer of HPACK
    bomb = opening(_CHANGE) + b"\x40\x06x-bomb" + length + b"v" * 4_000 + b"\xbe" * 10_000
    peer.greet().send(frame(HEADERS, bomb[:_BLOCK_BYTES], stream=1))
    peer.send(frame(CONTINUATION, bomb[_BLOCK_BYTES:], flags=END_HEADERS, stream=1))
    await _read_to_the_end(peer)


async def _compression_bomb(peer: RawPeer) -> None:
    """Send requests of kilobytes that are 64 MiB when they are decompressed."""
    bomb = gzip.compress(bytes(64 << 20))
    prefix = b"\1" + len(bomb).to_bytes(4, "big")
    head = frame(HEADERS, opening(_CHANGE, grpc_encoding="gzip"), flags=END_HEADERS, stream=1)
    peer.greet()
    data = prefix + bomb
    for stream in range(1, 200, 2):
        peer.send(head[:5] + stream.to_bytes(4, "big") + head[9:])
        for at in range(0, len(data), _BLOCK_BYTES):
            peer.send(
                frame(DATA, data[at : at + _BLOCK_BYTES], stream=stream, flags=int(at + _BLOCK_BYTES >= len(data)))
            )
    await _read_to_the_end(peer)


async def _resets(peer: RawPeer) -> None:
    """Make 100,000 calls, and reset each as soon as it has begun."""
    peer.greet()
    for stream in range(1, 2 * _STREAMS, 2):
        peer.send(call(_CHANGE, _REQUEST, stream=stream), frame(RESET, _CANCEL, stream=stream))
        if stream % 1_000 == 1:
            await peer.flushed()
    await _read_to_the_end(peer)


async def _never_reads(peer: RawPeer) -> None:
    """Request pages of 1,000 levels with the largest windows, and read nothing."""
    page = ListStockRequest(namespace=_NAMESPACE, page_size=1_000, any_location=True).SerializeToString()
    window = (2**31 - 1 - 65_535).to_bytes(4, "big")
    peer.greet(b"\x00\x04" + (2**31 - 1).to_bytes(4, "big")).send(frame(WINDOW, window))
    for stream in range(1, 1_000, 2):
        peer.send(call(_LIST, page, stream=stream))
    await asyncio.sleep(3_600)


async def _byte_by_byte(peer: RawPeer) -> None:
    """Send a request byte by byte, with a second between the bytes."""
    peer.greet().send(frame(HEADERS, opening(_CHANGE), flags=END_HEADERS, stream=1))
    for byte in b"\0" + (1 << 20).to_bytes(4, "big") + bytes(3_600):
        peer.send(frame(DATA, bytes((byte,)), stream=1))
        await asyncio.sleep(1)


async def _silence(_: RawPeer) -> None:
    """Open a connection, and send nothing."""
    await asyncio.sleep(3_600)


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack: the behaviour of a connection, and the number of simultaneous connections."""

    run: Callable[[RawPeer], Awaitable[None]]
    connections: int = 1


ATTACKS: Final = {
    "header bombs": Attack(_header_bomb),
    "compression bombs": Attack(_compression_bomb),
    "resets": Attack(_resets),
    "peers that never read": Attack(_never_reads, 20),
    "requests byte by byte": Attack(_byte_by_byte, 200),
    "silent connections": Attack(_silence, _SILENT),
}

_answers: Counter[str] = Counter()


async def _read_to_the_end(peer: RawPeer) -> None:
    while (one := await peer.next()) is not None:
        if one.kind == GO_AWAY:
            _answers[f"GOAWAY {int.from_bytes(one.payload[4:8], 'big')} {one.payload[8:].decode()}"] += 1
        elif one.kind not in {SETTINGS, WINDOW}:
            _answers[f"frames of kind {one.kind}"] += 1
    _answers["disconnected"] += 1


async def _attack(name: str, target: str, seconds: float) -> None:
    """Attack a server for some seconds, and print the answers as JSON."""
    attack = ATTACKS[name]

    async def go_on() -> None:
        while True:
            with suppress(OSError, TimeoutError):
                async with raw_peer(target) as peer:
                    await attack.run(peer)

    tasks = [asyncio.create_task(go_on()) for _ in range(attack.connections)]
    await asyncio.sleep(seconds)
    sys.stdout.write(json.dumps(_answers) + "\n")
    for task in tasks:
        task.cancel()


async def _latencies(target: str, seconds: float) -> list[float]:
    """Return the latencies, in milliseconds, of calls at a steady rate."""
    found: list[float] = []
    ends = time.perf_counter() + seconds

    async def go_on(caller: AsyncCaller) -> None:
        while time.perf_counter() < ends:
            began = time.perf_counter()
            await caller(DecrementCopiesRequest(namespace=_NAMESPACE, item="dune"))
            found.append((time.perf_counter() - began) * 1_000)
            await asyncio.sleep(_INTERVAL_SECONDS)

    async with AsyncCaller(target) as caller:
        await asyncio.gather(*(go_on(caller) for _ in range(_CALLERS)))
    return found


def _p99(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100)[98]


def _measure(name: str, server: ServerProcess, seconds: float) -> None:
    quiet = _p99(asyncio.run(_latencies(server.target, seconds)))
    before = server.memory_mib
    command = python("bench.attacks", "--attack", name, server.target, str(seconds))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as attacker:  # noqa: S603  # ours
        latencies = asyncio.run(_latencies(server.target, seconds))
        memory = server.memory_mib
        answers, _ = attacker.communicate()
    sys.stdout.write(
        f"{name:22}  p99 {_p99(latencies):7.1f} ms, {_p99(latencies) / quiet:5.2f} of {quiet:.1f} ms without"
        f"  memory {before:4.0f} -> {memory:4.0f} MiB  answers {answers.strip()}\n"
    )


def main() -> None:
    """Attack a new server. With ``--attack``, which a measurement uses for its processes, attack an existing server."""
    if sys.argv[1:2] == ["--attack"]:
        asyncio.run(_attack(sys.argv[2], sys.argv[3], float(sys.argv[4])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="the duration of each attack in seconds (10)")
    parser.add_argument("attacks", nargs="*", choices=[*ATTACKS, "all"], default="all", metavar="ATTACK")
    arguments = parser.parse_args()
    for name in ATTACKS if "all" in arguments.attacks else arguments.attacks:
        with tempfile.TemporaryDirectory() as data, ServerProcess("--data-dir", data) as server:
            caller = Caller(server.target)
            for number in range(1_000):
                caller(SetStockRequest(namespace=_NAMESPACE, item=f"item-{number:0100}", on_hand=1))
            caller(SetStockRequest(namespace=_NAMESPACE, item="dune", on_hand=2**40))
            caller.close()
            _measure(name, server, arguments.seconds)


if __name__ == "__main__":
    main()
