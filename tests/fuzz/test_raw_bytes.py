"""Bytes on the socket that no client would send. The server must go on serving other clients.

TALLYKEEPER_TEST_CONNECTIONS=1000 makes a long run.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Final

import pytest

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tests.fuzz.frames import (
    ACK,
    CONTINUATION,
    END_HEADERS,
    HEADERS,
    PING,
    PREFACE,
    RESET,
    SETTINGS,
    WINDOW,
    call,
    frame,
    opening,
)
from tests.fuzz.wire import spoilt
from tests.support.client import OWN_CONNECTION, Caller
from tests.support.server import ServerProcess

CONNECTIONS: Final = int(os.environ.get("TALLYKEEPER_TEST_CONNECTIONS", "6"))
SEED: Final = int(os.environ.get("TALLYKEEPER_TEST_SEED", "1"))
GROWTH_MIB_MAX: Final = 150
READ_SECONDS: Final = 0.02
INCREMENT: Final = "/tallykeeper.v1.CounterService/Increment"
GET: Final = "/tallykeeper.v1.CounterService/GetCounter"
HELLO: Final = PREFACE + frame(SETTINGS)
MESSAGE: Final = GetCounterRequest(counter="visits").SerializeToString()

Dice = random.Random


def noise(dice: Dice) -> bytes:
    return dice.randbytes(dice.choice((1, 24, 1_000, 100_000)))


def noise_after_the_greeting(dice: Dice) -> bytes:
    return HELLO + noise(dice)


def another_protocol(dice: Dice) -> bytes:
    return dice.choice((b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"*1\r\n$4\r\nPING\r\n"))


def frames_of_any_kind(dice: Dice) -> bytes:
    frames = (
        frame(
            dice.randrange(16),
            dice.randbytes(dice.randrange(40)),
            flags=dice.randrange(256),
            stream=dice.choice((0, 1, 2, 3, 2**31 - 1)),
            length=dice.choice((None, None, None, 0, 2**24 - 1)),
        )
        for _ in range(50)
    )
    return HELLO + b"".join(frames)


def settings_without_end(_: Dice) -> bytes:
    return HELLO + frame(SETTINGS, bytes(6)) * 20_000


def pings_without_end(_: Dice) -> bytes:
    return HELLO + frame(PING, bytes(8)) * 20_000


def windows_of_any_size(dice: Dice) -> bytes:
    sizes = (dice.choice((0, 1, 2**31 - 1)).to_bytes(4, "big") for _ in range(100))
    return HELLO + b"".join(frame(WINDOW, size, stream=dice.choice((0, 1))) for size in sizes)


def headers_without_end(_: Dice) -> bytes:
    field = b"\x00\x01a\x7e" + b"v" * 126
    begun = frame(HEADERS, opening(GET), stream=1)
    return HELLO + begun + frame(CONTINUATION, field * 100, stream=1) * 200


def streams_opened_and_reset(_: Dice) -> bytes:
    numbers = range(1, 20_000, 2)
    return HELLO + b"".join(
        frame(HEADERS, opening(INCREMENT), flags=END_HEADERS, stream=number)
        + frame(RESET, (8).to_bytes(4, "big"), stream=number)
        for number in numbers
    )


def streams_left_open(_: Dice) -> bytes:
    return HELLO + b"".join(
        frame(HEADERS, opening(GET), flags=END_HEADERS, stream=number) for number in range(1, 10_000, 2)
    )


def calls_that_are_wrong(dice: Dice) -> bytes:
    calls = bytearray()
    for number in range(1, 200, 2):
        message = spoilt(dice, MESSAGE, 3)[:16_000]
        wrong = dice.choice(
            (
                {"prefix": b"\0" + (2**32 - 1).to_bytes(4, "big")},
                {"prefix": b"\1" + len(message).to_bytes(4, "big")},
                {"prefix": b"\7"},
                {"prefix": b""},
                {"content_type": "text/html"},
                {"grpc_encoding": "nonsense"},
                {"grpc_timeout": "-1S"},
                {"grpc_timeout": "99999999999H"},
                {"authorization": "Bearer \x01"},
            )
        )
        path = dice.choice((GET, INCREMENT, "/", "", "/tallykeeper.v1.CounterService/Nothing", "/a/b/c", "*"))
        calls += call(path, message, stream=number, **wrong)
    return HELLO + frame(SETTINGS, flags=ACK) + bytes(calls)


WAYS: Final[tuple[Callable[[Dice], bytes], ...]] = (
    noise,
    noise_after_the_greeting,
    another_protocol,
    frames_of_any_kind,
    settings_without_end,
    pings_without_end,
    windows_of_any_size,
    headers_without_end,
    streams_opened_and_reset,
    streams_left_open,
    calls_that_are_wrong,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server in its own process, whose memory can be measured."""
    with ServerProcess("--data-dir", str(tmp_path_factory.mktemp("data"))) as process:
        yield process


def send(server: ServerProcess, data: bytes) -> None:
    """Send bytes on a new connection, and read a little of the response."""
    with server.connect() as one, suppress(OSError):
        one.sendall(data)
        one.settimeout(READ_SECONDS)
        one.recv(65_536)


def assert_serves(server: ServerProcess) -> None:
    caller = Caller(server.target, OWN_CONNECTION)
    assert caller(IncrementRequest(counter="visits", delta=0, request_id="the same")).counter.value == 0
    caller.close()
    assert server.process.poll() is None
    assert server.events("defect") == []


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_others_are_served_as_before(server: ServerProcess, way: Callable[[Dice], bytes]) -> None:
    dice = random.Random(f"{way.__name__}-{SEED}")
    assert_serves(server)
    before = server.memory_mib

    for _ in range(CONNECTIONS):
        send(server, way(dice))

    assert_serves(server)
    assert server.memory_mib < before + GROWTH_MIB_MAX


def test_silent_connections_do_no_harm(server: ServerProcess) -> None:
    before = server.memory_mib
    with ExitStack() as stack:
        for number in range(500):
            one = stack.enter_context(server.connect())
            if number % 2:
                one.sendall(PREFACE[: number % len(PREFACE)])
        assert_serves(server)

    assert server.memory_mib < before + GROWTH_MIB_MAX
