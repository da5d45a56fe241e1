"""Each limit: a peer that exceeds it gets the error of the protocol, and others are served."""

import asyncio
import gzip
import itertools
from collections.abc import Iterator

import pytest

from tallykeeper_server.transport.limits import TransportLimits
from tallykeeper_server.transport.status import NoRoomError
from tests.fuzz.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    RESET,
    SETTINGS,
    call,
    frame,
    opening,
    packed,
)
from tests.transport.handlers import DEADLINE_SECONDS, Serving, connected, serving, until
from tests.transport.raw import ENHANCE_YOUR_CALM, REFUSED_STREAM, SETTINGS_TIMEOUT, Frame, RawPeer, raw_peer

_SOON = TransportLimits(check_seconds=0.02).check_seconds
_UNARY = "/test.Echo/Unary"
_WAIT = "/test.Echo/Wait"
_CANCEL = (8).to_bytes(4, "big")


async def assert_serves(served: Serving) -> None:
    """Check that another peer is served."""
    async with connected(served.address) as channel:
        assert await channel.unary_unary("/test.Echo/Direct")(b"well") == b"well"


@pytest.mark.parametrize("name", ["connections_max", "connections_per_address_max"])
async def test_connections_beyond_the_limit_are_turned_away(name: str) -> None:
    async with serving(limits=TransportLimits(**{name: 2})) as served:
        async with raw_peer(served.address) as first, raw_peer(served.address) as second:
            for peer in (first, second):
                await peer.greet().of(SETTINGS)
            async with raw_peer(served.address) as third:
                assert (await third.goaway()).code == ENHANCE_YOUR_CALM
                assert await third.closed()
            assert served.server.connections == 2
        await until(lambda: served.server.connections == 0)
        await assert_serves(served)


@pytest.mark.parametrize("greeting", [b"", PREFACE[:5], PREFACE])
async def test_a_peer_that_does_not_greet_is_disconnected(greeting: bytes) -> None:
    limits = TransportLimits(handshake_seconds=0.1, check_seconds=_SOON)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        assert (await peer.send(greeting).goaway()).code == SETTINGS_TIMEOUT
        assert await peer.closed()


async def test_another_protocol_is_answered_with_goaway() -> None:
    async with serving() as served, raw_peer(served.address) as peer:
        assert (await peer.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").goaway()).code == 1
        assert await peer.closed()


async def test_streams_beyond_the_limit_are_refused_until_the_peer_knows_it() -> None:
    limits = TransportLimits(streams_per_connection_max=2)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        peer.send(PREFACE, frame(SETTINGS))
        for stream in (1, 3, 5):
            peer.send(call(_WAIT, b"", stream=stream))
        assert await peer.reset_code(5) == REFUSED_STREAM
        peer.send(frame(SETTINGS, flags=ACK))
        served.handlers.release.set()
        await peer.of(DATA, stream=3)


async def test_streams_beyond_the_limit_end_the_connection_of_a_peer_that_knows_it() -> None:
    limits = TransportLimits(streams_per_connection_max=2)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        settings = await peer.greet().of(SETTINGS)
        assert b"\x00\x03\x00\x00\x00\x02" in settings.payload
        for stream in (1, 3, 5):
            peer.send(call(_WAIT, b"", stream=stream))
        assert (await peer.goaway()).code == 1
        await until(lambda: served.handlers.cancelled == len(served.handlers.calls))


async def test_connections_share_the_calls_of_the_server() -> None:
    limits = TransportLimits(streams_per_connection_max=100, streams_max=128)
    async with serving(limits=limits) as served, raw_peer(served.address) as first:
        assert streams_max_of(await first.greet().of(SETTINGS)) == 100
        async with raw_peer(served.address) as second:
            assert streams_max_of(await second.greet().of(SETTINGS)) == 64
            assert await streams_max_after(first) == 64
        await until(lambda: served.server.connections == 1)
        assert await streams_max_after(first) == 100


async def test_sockets_that_do_not_serve_yet_take_their_share_too() -> None:
    limits = TransportLimits(streams_per_connection_max=100, streams_max=128, check_seconds=3_600.0)
    async with serving(limits=limits) as served, raw_peer(served.address) as first:
        assert streams_max_of(await first.greet().of(SETTINGS)) == 100
        async with raw_peer(served.address), raw_peer(served.address):
            assert await streams_max_after(first) == 64
            assert await streams_max_after(first) == 32


async def test_long_streams_do_not_count_towards_a_connections_share() -> None:
    limits = TransportLimits(streams_per_connection_max=100, streams_max=1)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        least = streams_max_of(await peer.greet().of(SETTINGS))
        peer.send(call("/test.Echo/Flood", b"x"))
        assert await streams_max_after(peer) == least + 1


async def test_a_peer_whose_calls_find_no_room_may_have_fewer_of_them() -> None:
    refusal = NoRoomError("full", retry_after_ms=1)
    limits = TransportLimits(streams_per_connection_max=4, narrow_seconds=0.01)
    async with serving(admit=lambda _: refusal, limits=limits) as served, raw_peer(served.address) as peer:
        assert streams_max_of(await peer.greet().of(SETTINGS)) == 4
        streams = itertools.count(1, 2)
        assert await streams_max_after_calls(peer, streams) == 2
        assert await streams_max_after_calls(peer, streams) == 1


async def test_a_peer_may_have_more_calls_again_when_there_is_room() -> None:
    refusals = [NoRoomError("full", retry_after_ms=1)]
    limits = TransportLimits(streams_per_connection_max=4, widen_seconds=0.05)
    async with (
        serving(admit=lambda _: refusals.pop() if refusals else None, limits=limits) as served,
        raw_peer(served.address) as peer,
    ):
        assert streams_max_of(await peer.greet().of(SETTINGS)) == 4
        streams = itertools.count(1, 2)
        assert await streams_max_after_calls(peer, streams) == 2
        assert await streams_max_after_calls(peer, streams) == 4


async def test_connections_may_have_fewer_calls_while_many_times_the_maximum_are_in_flight() -> None:
    limits = TransportLimits(streams_per_connection_max=16, streams_max=1)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        assert streams_max_of(await peer.greet().of(SETTINGS)) == 16
        peer.send(*(call(_WAIT, b"", stream=stream) for stream in range(1, 17, 2)))
        await until(lambda: served.server.calls_in_flight == 8)
        peer.send(call(_WAIT, b"", stream=17), call(_WAIT, b"", stream=19))
        assert await streams_max_after(peer) == 8
        assert served.server.calls_in_flight == 10

        served.handlers.release.set()
        await until(lambda: served.server.calls_in_flight == 0)


async def test_calls_of_lost_connections_are_in_flight_no_longer() -> None:
    async with serving() as served:
        async with raw_peer(served.address) as peer:
            peer.greet().send(call(_WAIT, b"", stream=1), call("/test.Echo/Flood", b"x", stream=3))
            await until(lambda: served.server.calls_in_flight == 1)
        await until(lambda: served.server.calls_in_flight == 0)


async def test_several_refusals_within_a_moment_reduce_the_calls_of_a_peer_once() -> None:
    limits = TransportLimits(streams_per_connection_max=64)
    refusal = NoRoomError("full", retry_after_ms=1)
    async with serving(admit=lambda _: refusal, limits=limits) as served, raw_peer(served.address) as peer:
        assert streams_max_of(await peer.greet().of(SETTINGS)) == 64
        peer.send(*(call(_UNARY, b"", stream=stream) for stream in (1, 3, 5, 7)))
        assert await streams_max_after(peer) == 32


def streams_max_of(settings: Frame) -> int:
    """Return SETTINGS_MAX_CONCURRENT_STREAMS."""
    (value,) = (
        settings.payload[at + 2 : at + 6]
        for at in range(0, len(settings.payload), 6)
        if settings.payload[at : at + 2] == b"\0\3"
    )
    return int.from_bytes(value, "big")


async def streams_max_after(peer: RawPeer) -> int:
    """Return the limit in the next SETTINGS that is not an acknowledgement, and acknowledge it."""
    while (settings := await peer.of(SETTINGS)).flags & ACK:
        pass
    peer.send(frame(SETTINGS, flags=ACK))
    return streams_max_of(settings)


async def streams_max_after_calls(peer: RawPeer, streams: Iterator[int]) -> int:
    """Make calls on streams with these numbers until the server sends another limit. Return the limit."""
    limit = asyncio.create_task(streams_max_after(peer))
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not limit.done():
            peer.send(call(_UNARY, b"", stream=next(streams)))
            await asyncio.sleep(0.01)
    return await limit


async def test_metadata_above_the_limit_fails_its_call_alone() -> None:
    async with (
        serving(limits=TransportLimits(header_list_bytes_max=4_096)) as served,
        raw_peer(served.address) as peer,
    ):
        fields = {f"x-{index}": "v" * 100 for index in range(50)}
        block = opening(_UNARY) + packed(fields)
        peer.greet().send(frame(HEADERS, block, flags=END_HEADERS | END_STREAM, stream=1))
        answer = await peer.of(HEADERS, stream=1)
        assert answer.ends_stream
        assert not served.handlers.calls
        peer.send(call(_UNARY, b"x", stream=3))
        assert (await peer.of(DATA, stream=3)).payload == b"\0\0\0\0\1x"


async def test_a_header_bomb_ends_the_connection() -> None:
    """One field in HPACK's table, which each further byte repeats, unfolds to megabytes."""
    name, value = b"x-bomb", b"v" * 4_000
    length = bytes((0x7F,)) + _varint(len(value) - 127)
    first = b"\x40" + bytes((len(name),)) + name + length + value
    async with serving() as served, raw_peer(served.address) as peer:
        peer.greet().send(call(_WAIT, b"x"))
        block = opening(_UNARY) + first + b"\xbe" * 10_000
        goaway = await peer.send(_headers(block, stream=3)).goaway()
        assert goaway.code == ENHANCE_YOUR_CALM
        assert goaway.last_stream >= 1, "the peer may take the first call for one that did not begin"
        assert await peer.closed()
        assert [one.path for one in served.handlers.calls] in ([], [_WAIT])
        await assert_serves(served)


async def test_endless_continuations_end_the_connection() -> None:
    async with serving() as served, raw_peer(served.address) as peer:
        peer.greet().send(frame(HEADERS, opening(_UNARY), stream=1))
        for _ in range(100):
            peer.send(frame(CONTINUATION, packed({"x-a": "b" * 100}), stream=1))
        assert (await peer.goaway()).code == ENHANCE_YOUR_CALM
        assert await peer.closed()


async def test_rapid_resets_end_the_connection() -> None:
    async with serving(limits=TransportLimits(resets_per_second=100)) as served:
        async with raw_peer(served.address) as peer:
            peer.greet()
            for stream in range(1, 1_000, 2):
                peer.send(call(_WAIT, b"", stream=stream), frame(RESET, _CANCEL, stream=stream))
            assert (await peer.goaway())[1:] == (ENHANCE_YOUR_CALM, "too_many_resets")
            assert await peer.closed()
            assert len(served.handlers.calls) < 500, "calls that the same read resets do not begin"
        await until(lambda: served.server.connections == 0)
        await assert_serves(served)


@pytest.mark.parametrize("is_honest", [True, False])
async def test_compression_bombs_are_refused_and_end_the_connection(*, is_honest: bool) -> None:
    limits = TransportLimits(message_bytes_max=100_000, bad_compressions_per_second=3)
    bomb = gzip.compress(bytes(10_000_000))
    if not is_honest:
        bomb = bomb[:-4] + (1_000).to_bytes(4, "little")
    prefix = b"\1" + len(bomb).to_bytes(4, "big")
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        peer.greet()
        for stream in range(1, 8, 2):
            peer.send(call(_UNARY, bomb, stream=stream, prefix=prefix, grpc_encoding="gzip"))
        assert (await peer.of(HEADERS, stream=1)).ends_stream
        assert (await peer.goaway())[1:] == (ENHANCE_YOUR_CALM, "too_many_bad_compressions")
        assert await peer.closed()
        assert not served.handlers.calls
        await assert_serves(served)


async def test_pings_without_responses_end_the_connection() -> None:
    async with serving(limits=TransportLimits(pings_per_second=5)) as served, raw_peer(served.address) as peer:
        peer.greet().send(frame(PING, b"12345678") * 6)
        goaway = await peer.goaway()
        assert (goaway.code, goaway.text) == (ENHANCE_YOUR_CALM, "too_many_pings")
        assert await peer.closed()


async def test_pings_between_responses_are_free() -> None:
    async with serving(limits=TransportLimits(pings_per_second=5)) as served, raw_peer(served.address) as peer:
        peer.greet()
        for stream in range(1, 41, 2):
            peer.send(frame(PING, b"12345678"), call(_UNARY, b"x", stream=stream))
            await peer.of(PING)
            await peer.of(DATA, stream=stream)


@pytest.mark.parametrize("flood", ["settings", "empty data"])
async def test_floods_of_control_frames_end_the_connection(flood: str) -> None:
    async with (
        serving(limits=TransportLimits(control_frames_per_second=50)) as served,
        raw_peer(served.address) as peer,
    ):
        peer.greet().open(_WAIT)
        one = frame(SETTINGS) if flood == "settings" else frame(DATA, stream=1)
        goaway = await peer.send(one * 60).goaway()
        assert (goaway.code, goaway.text) == (ENHANCE_YOUR_CALM, "too_many_control_frames")
        assert await peer.closed()


async def test_a_silent_peer_that_does_not_answer_a_ping_is_disconnected() -> None:
    limits = TransportLimits(keepalive_seconds=_SOON, keepalive_timeout_seconds=_SOON, check_seconds=_SOON)
    async with serving(limits=limits) as served:
        async with raw_peer(served.address) as peer:
            await peer.greet().of(PING)
            assert await peer.closed()
        await until(lambda: served.server.connections == 0)


async def test_a_silent_peer_that_answers_pings_stays() -> None:
    limits = TransportLimits(keepalive_seconds=_SOON, keepalive_timeout_seconds=10.0, check_seconds=_SOON)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        peer.greet()
        for _ in range(3):
            peer.send(frame(PING, (await peer.of(PING)).payload, flags=ACK))
        peer.send(call(_UNARY, b"x"))
        assert (await peer.of(DATA, stream=1)).payload == b"\0\0\0\0\1x"


async def test_an_idle_connection_is_closed_politely() -> None:
    limits = TransportLimits(idle_seconds=0.1, check_seconds=_SOON)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        peer.greet()
        assert (await peer.goaway())[:2] == (2**31 - 1, 0)
        peer.send(frame(PING, (await peer.of(PING)).payload, flags=ACK))
        assert (await peer.goaway())[:2] == (0, 0)
        assert await peer.closed()


async def test_an_idle_peer_that_does_not_answer_is_closed_too() -> None:
    limits = TransportLimits(idle_seconds=0.1, check_seconds=_SOON)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        assert await peer.greet().closed()


async def test_an_old_connection_finishes_its_calls() -> None:
    limits = TransportLimits(connection_age_seconds=0.1, check_seconds=_SOON)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        peer.greet().send(call(_WAIT, b"x"))
        assert (await peer.goaway()).last_stream == 2**31 - 1
        peer.send(frame(PING, (await peer.of(PING)).payload, flags=ACK))
        assert (await peer.goaway()).last_stream == 1
        served.handlers.release.set()
        assert (await peer.of(DATA, stream=1)).payload == b"\0\0\0\0\1x"
        assert await peer.closed()


async def test_an_old_connection_ends_its_last_calls_after_its_grace() -> None:
    limits = TransportLimits(connection_age_seconds=0.1, connection_age_grace_seconds=0.1, check_seconds=_SOON)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        peer.greet().send(call(_WAIT, b"x"))
        answer = await peer.of(HEADERS, stream=1)
        assert answer.ends_stream
        assert await peer.closed()
        assert served.handlers.cancelled == 1


@pytest.mark.parametrize("path", [_UNARY, "/test.Echo/Join"])
async def test_an_incomplete_message_is_given_up(path: str) -> None:
    limits = TransportLimits(half_sent_call_seconds=0.1, check_seconds=_SOON)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        peer.greet().open(path).send(frame(DATA, b"\0\0\0\0\x09half", stream=1))
        assert (await peer.of(HEADERS, stream=1)).ends_stream
        assert await peer.reset_code(1) == 0
        assert served.server.waiting_request_bytes == 0


async def test_a_stream_may_be_slow_between_messages() -> None:
    limits = TransportLimits(half_sent_call_seconds=0.1, check_seconds=_SOON)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        peer.greet().open("/test.Echo/Chat").send(frame(DATA, b"\0\0\0\0\1a", stream=1))
        assert (await peer.of(DATA, stream=1)).payload == b"\0\0\0\0\1a"
        # The server drops an incomplete call, so it has checked the limit of this stream too.
        peer.open(_UNARY, stream=3)
        assert await peer.reset_code(3) == 0
        peer.send(frame(DATA, b"\0\0\0\0\1b", flags=END_STREAM, stream=1))
        assert (await peer.of(DATA, stream=1)).payload == b"\0\0\0\0\1b"


async def test_a_peer_that_reads_nothing_is_disconnected() -> None:
    limits = TransportLimits(stalled_seconds=0.2, check_seconds=_SOON)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        # A window of 2 GiB, and a flood of responses that fill the socket's buffers.
        peer.greet(b"\x00\x04\x7f\xff\xff\xff").send(frame(8, (2**30).to_bytes(4, "big")))
        for stream in range(1, 129, 2):
            peer.send(call("/test.Echo/Flood", bytes(16_000), stream=stream))
        await until(lambda: served.server.connections == 0)
        await assert_serves(served)
        assert served.server.unread_response_bytes == 0


async def test_a_peer_with_too_many_unread_responses_is_refused_more() -> None:
    limits = TransportLimits(unread_response_bytes_per_connection_max=100_000)
    async with serving(limits=limits) as served, raw_peer(served.address) as peer:
        peer.greet(b"\x00\x04\x00\x00\x00\x00")  # a window of 0, so that the server may send nothing
        for stream in range(1, 15, 2):
            peer.send(call(_UNARY, bytes(16_000), stream=stream))
        await until(lambda: served.server.unread_response_bytes > 7 * 16_000)
        peer.send(call(_UNARY, b"more", stream=101))
        assert (await peer.of(HEADERS, stream=101)).ends_stream
        assert len(served.handlers.calls) == 7


async def test_the_peer_with_the_most_unread_responses_makes_room() -> None:
    limits = TransportLimits(unread_response_bytes_max=200_000)
    async with (
        serving(limits=limits) as served,
        raw_peer(served.address) as greedy,
        raw_peer(served.address) as modest,
    ):
        modest.greet(b"\x00\x04\x00\x00\x00\x00").send(call(_UNARY, bytes(16_000)))
        await until(lambda: served.server.unread_response_bytes >= 16_000)
        greedy.greet(b"\x00\x04\x00\x00\x00\x00")
        for stream in range(1, 33, 2):
            greedy.send(call(_UNARY, bytes(16_000), stream=stream))
        assert (await greedy.goaway()).code == ENHANCE_YOUR_CALM
        await until(lambda: served.server.connections == 1)
        assert 16_000 <= served.server.unread_response_bytes < 20_000
        modest.send(frame(8, (100_000).to_bytes(4, "big"), stream=1))
        assert await modest.of(DATA, stream=1)


async def test_requests_of_all_connections_have_a_limit() -> None:
    async with (
        serving(limits=TransportLimits(waiting_request_bytes_max=50_000)) as served,
        raw_peer(served.address) as first,
        raw_peer(served.address) as second,
    ):
        first.greet()
        for stream in range(1, 9, 2):
            first.send(call(_WAIT, bytes(16_000), stream=stream))
        await until(lambda: served.server.waiting_request_bytes > 50_000)
        second.greet().send(call(_UNARY, b"x"))
        assert (await second.of(HEADERS, stream=1)).ends_stream
        served.handlers.release.set()
        await until(lambda: served.server.waiting_request_bytes == 0)
        second.send(call(_UNARY, b"x", stream=3))
        assert (await second.of(DATA, stream=3)).payload == b"\0\0\0\0\1x"


async def test_silent_connections_do_not_keep_others_out() -> None:
    limits = TransportLimits(handshake_seconds=0.2, check_seconds=_SOON)
    async with serving(limits=limits) as served:
        host, _, port = served.address.rpartition(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(200)]
        await assert_serves(served)
        await until(lambda: served.server.connections <= 1)
        for _, writer in silent:
            writer.close()


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_is_greater_than_zero(value: float) -> None:
    with pytest.raises(ValueError, match="idle_seconds"):
        TransportLimits(idle_seconds=value)


def _headers(block: bytes, *, stream: int) -> bytes:
    head, rest = block[:16_000], block[16_000:]
    return frame(HEADERS, head, flags=END_STREAM | (0 if rest else END_HEADERS), stream=stream) + (
        frame(CONTINUATION, rest, flags=END_HEADERS, stream=stream) if rest else b""
    )


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 128:
        encoded.append(value % 128 + 128)
        value //= 128
    return bytes((*encoded, value))
