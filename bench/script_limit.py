"""The store's own limit: the server's script, called directly over a socket with prepared commands."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, Final, cast
from uuid import uuid4

import hiredis
import redis

import tallykeeper_lua
from bench.contenders import ITEMS
from bench.stores import Store
from tallykeeper_server.domain.durability import Retention
from tallykeeper_server.domain.levels import ReservationName, StockName
from tallykeeper_server.domain.mutations import Bundle, Mutation, fingerprint_of
from tallykeeper_server.store.agreed_clock import ScriptTimes
from tallykeeper_server.store.script_codec import CallTerms, script_call

MUTATIONS_PER_SCRIPT: Final = 128
LINES_PER_MUTATION: Final = 1_000
_UNDER_WAY: Final = 2
_COMMANDS_MAX: Final = 1_500
_ROUND_TRIPS: Final = 300
_RETENTION: Final = Retention(
    request_ms=86_400_000, ledger_revisions=1_000_000, reservation_ms=86_400_000, reservation_lifetime_ms=86_400_000
)


def independent_mutations_per_second(store: Store, *, seconds: float) -> float:
    """Decrement items, 128 in each script. Each mutation has its own request id and an entry in the ledger."""
    return _rate(store, _singles, seconds) * MUTATIONS_PER_SCRIPT


def lines_per_second(store: Store, *, seconds: float) -> float:
    """Reserve copies of 1,000 items at a time, and return the lines a second."""
    return _rate(store, _wide, seconds) * LINES_PER_MUTATION


def round_trip_seconds(store: Store) -> float:
    """Return the median time from sending a script with one mutation to its reply."""
    times = []
    with redis.Redis.from_url(store.url) as client, _connected(store) as stream:
        sha = str(client.script_load(tallykeeper_lua.source()))
        for _ in range(_ROUND_TRIPS):
            command = _command(sha, _singles()[:1])
            began = time.perf_counter()
            stream.sendall(command)
            stream.recv(1 << 16)
            times.append(time.perf_counter() - began)
    return median(times)


def redis_benchmark_increments(store: Store, *, requests: int) -> float | None:
    """Return INCRBY's calls a second by redis-benchmark with 128 clients, or None if it is not on PATH."""
    program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if program is None:
        return None
    words = ("-s", store.socket, "-n", requests, "-c", 128, "-r", ITEMS, "--csv", "INCRBY", "bench:__rand_int__", 1)
    run = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=True)  # noqa: S603  # found above
    return float(run.stdout.splitlines()[-1].split(",")[1].strip('"'))


def _singles() -> list[Mutation]:
    """Mutations of one line each."""
    names = [StockName(f"item-{index % ITEMS:04}", "main") for index in range(MUTATIONS_PER_SCRIPT)]
    return [Mutation("stock_decrement", (name,), (1, 0)) for name in names]


def _wide() -> list[Mutation]:
    """One mutation of 1,000 lines."""
    items = [StockName(f"item-{index:04}", "main") for index in range(LINES_PER_MUTATION)]
    reservation = ReservationName(uuid4().hex)
    return [Mutation("reservation_reserve", (reservation, *items), (60_000, "", *(1 for _ in items)))]


def _rate(store: Store, mutations: Callable[[], Sequence[Mutation]], seconds: float) -> float:
    """Return the number of scripts with these mutations that the store runs in a second, with two in flight."""
    with redis.Redis.from_url(store.url) as client, _connected(store) as stream:
        sha = str(client.script_load(tallykeeper_lua.source()))
        commands = [_command(sha, mutations()) for _ in range(_COMMANDS_MAX)]
        reader = hiredis.Reader()
        began, ran, waiting = time.perf_counter(), 0, 0
        while commands and time.perf_counter() - began < seconds:
            while commands and waiting < _UNDER_WAY:
                stream.sendall(commands.pop())
                waiting += 1
            reader.feed(stream.recv(1 << 20))
            while (reply := reader.gets()) is not False:
                if not isinstance(reply, list) or not all(outcome.startswith(b"OK ") for outcome in reply[1:]):
                    raise RuntimeError(reply)
                ran, waiting = ran + 1, waiting - 1
        return ran / (time.perf_counter() - began)


@contextlib.contextmanager
def _connected(store: Store) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(str(store.socket))
        yield stream


def _command(sha: str, mutations: Sequence[Mutation]) -> bytes:
    """Return the command that runs the script, with a new request id for each mutation."""
    bundles = [
        Bundle("default", (mutation,), request_id=uuid4().hex, fingerprint=fingerprint_of((mutation,)))
        for mutation in mutations
    ]
    now_ms = int(time.time() * 1_000)
    terms = CallTerms(home="", times=ScriptTimes(now_ms, [now_ms, 0, 0]), retention=_RETENTION)
    keys, arguments = script_call(bundles, terms)
    return bytes(hiredis.pack_command(cast("tuple[Any]", ("EVALSHA", sha, len(keys), *keys, *arguments))))
