"""Parts of the transport that work without a server: metadata, deadlines, sockets, rates."""

import asyncio
import gzip
import socket
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallykeeper_server.transport.http2.deadlines import Deadlines
from tallykeeper_server.transport.http2.message_frames import Unframer, framed, framed_gzip, unzipped
from tallykeeper_server.transport.http2.rates import Rate
from tallykeeper_server.transport.metadata import decoded, encoded, percent_encoded
from tallykeeper_server.transport.methods import direct
from tallykeeper_server.transport.server import TransportServer
from tallykeeper_server.transport.sockets import address_of, listening_sockets
from tallykeeper_server.transport.status import StatusError
from tests.transport.handlers import DEADLINE_SECONDS

_NAMES = st.from_regex(r"x-[a-z0-9_.-]{0,10}", fullmatch=True)
_TEXT_PAIRS = st.tuples(
    _NAMES.filter(lambda name: not name.endswith("-bin")), st.from_regex(r"[ -~]{0,20}", fullmatch=True)
)
_BINARY_PAIRS = st.tuples(_NAMES.map(lambda name: f"{name}-bin"), st.binary(max_size=50))


@given(st.lists(_TEXT_PAIRS | _BINARY_PAIRS, max_size=5))
def test_metadata_survives_the_wire(metadata: list[tuple[str, str | bytes]]) -> None:
    assert list(decoded(encoded(metadata))) == metadata


@pytest.mark.parametrize(
    "pair",
    [("Upper", "x"), ("", "x"), (":path", "x"), ("content-type", "x"), ("x-a", "ä"), ("x-a", "a\nb"), ("x a", "")],
)
def test_metadata_that_grpc_does_not_allow_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="metadata"):
        encoded([pair])


@given(st.text(max_size=50))
def test_messages_are_percent_encoded(message: str) -> None:
    wire = percent_encoded(message)
    assert all(0x20 <= byte <= 0x7E for byte in wire)
    plain = bytearray()
    rest = wire
    while rest:
        plain += bytes.fromhex(rest[1:3].decode()) if rest[:1] == b"%" else rest[:1]
        rest = rest[3 if rest[:1] == b"%" else 1 :]
    assert plain.decode() == message.encode(errors="replace").decode()


@given(st.lists(st.binary(max_size=100), max_size=5), st.integers(1, 50))
def test_messages_are_found_in_chunks_of_any_size(messages: list[bytes], size: int) -> None:
    wire = b"".join(framed(message) if index % 2 else framed_gzip(message) for index, message in enumerate(messages))
    unframer = Unframer(1_000, gzip_allowed=True)
    found: list[bytes] = []
    for start in range(0, len(wire), size):
        found += unframer.feed(wire[start : start + size])
    assert found == messages
    assert unframer.partial_bytes == 0


def test_gzip_of_exactly_the_limit_is_accepted() -> None:
    packed = framed_gzip(bytes(1_000))[5:]
    assert unzipped(packed, 1_000) == bytes(1_000)


def test_a_compression_bomb_takes_no_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(StatusError, match="has 67108864 bytes"):
            unzipped(bomb, 100_000)
        with pytest.raises(StatusError, match="more than the 1000 bytes"):
            unzipped(bomb[:-4] + (1_000).to_bytes(4, "little"), 100_000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


class _Call:
    def __init__(self, deadline: float, ended: list[float]) -> None:
        self.deadline = deadline
        self._ended = ended

    def expire(self) -> None:
        assert asyncio.get_running_loop().time() >= self.deadline
        self._ended.append(self.deadline)


async def test_deadlines_end_calls_in_order_and_never_early() -> None:
    loop = asyncio.get_running_loop()
    ended: list[float] = []
    deadlines = Deadlines(loop)
    now = loop.time()
    calls = [_Call(now + delay, ended) for delay in (0.09, 0.01, 0.05, 0.01, 60.0)]
    for call in calls:
        deadlines.add(call)
    deadlines.discard(calls[2])
    deadlines.discard(calls[2])
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(ended) < 3:  # noqa: ASYNC110  # calls end by themselves
            await asyncio.sleep(0.005)
    assert ended == [calls[1].deadline, calls[3].deadline, calls[0].deadline]
    deadlines.discard(calls[0])
    deadlines.close()


def test_a_rate_counts_by_the_second() -> None:
    rate = Rate(2)
    assert [rate.exceeded(now) for now in (10.0, 10.1, 10.2, 11.1, 11.2)] == [False, False, True, False, False]
    rate.forgive()
    assert not rate.exceeded(11.3)


@pytest.mark.parametrize("address", ["", "127.0.0.1", ":0", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:-1"])
def test_addresses_without_host_or_port_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        listening_sockets(address, reuse_port=False)


def test_an_address_in_use_is_refused_unless_both_share_it() -> None:
    (first,) = listening_sockets("127.0.0.1:0", reuse_port=False)
    (shared,) = listening_sockets("127.0.0.1:0", reuse_port=True)
    with first, shared:
        with pytest.raises(OSError, match="in use"):
            listening_sockets(address_of(first), reuse_port=False)
        (again,) = listening_sockets(address_of(shared), reuse_port=True)
        again.close()


def test_any_ipv6_address_means_ipv4_too() -> None:
    (one,) = listening_sockets("[::]:0", reuse_port=False)
    with one, socket.create_connection(("127.0.0.1", one.getsockname()[1]), timeout=DEADLINE_SECONDS):
        assert address_of(one).startswith("[::]:")


def test_a_name_with_two_addresses_has_one_port() -> None:
    sockets = listening_sockets("localhost:0", reuse_port=False)
    assert len({one.getsockname()[1] for one in sockets}) == 1
    for one in sockets:
        one.close()


def test_a_unix_socket_replaces_only_a_socket_that_was_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    (left,) = listening_sockets(f"unix:{path}", reuse_port=False)
    with pytest.raises(OSError, match="in use"):
        listening_sockets(f"unix:{path}", reuse_port=False)
    left.close()
    (one,) = listening_sockets(f"unix:{path}", reuse_port=False)
    one.close()
    path.unlink()
    path.write_text("not a socket")
    with pytest.raises(OSError, match="in use"):
        listening_sockets(f"unix:{path}", reuse_port=False)
    assert path.read_text() == "not a socket"


async def test_two_methods_cannot_share_a_path() -> None:
    method = direct("/test.Echo/Twice", lambda payload, call: call.reply(payload))
    with pytest.raises(ValueError, match=r"/test\.Echo/Twice"):
        TransportServer([method, method])
