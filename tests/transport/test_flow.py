"""Large messages, compression, and flow control in both directions."""

import asyncio
import zlib

import grpc
import grpc.aio
import pytest

from tallykeeper_server.transport.limits import TransportLimits
from tests.transport.handlers import DEADLINE_SECONDS, connected, serving, until

_MIB = 1 << 20


@pytest.mark.parametrize("method", ["Unary", "Direct"])
async def test_large_messages_pass_in_both_directions(method: str) -> None:
    message = bytes(3 * _MIB) + b"end"
    async with serving() as served, connected(served.address) as channel:
        assert await channel.unary_unary(f"/test.Echo/{method}")(message) == message
        await until(lambda: served.server.unread_response_bytes == 0)
        assert served.server.waiting_request_bytes == 0


async def test_many_large_messages_at_once_stay_within_the_connections_share() -> None:
    message = bytes(_MIB)
    limits = TransportLimits(waiting_request_bytes_per_connection_max=4 * _MIB)
    async with serving(limits=limits) as served, connected(served.address) as channel:
        method = channel.unary_unary("/test.Echo/Unary")
        answers = await asyncio.gather(*(method(message) for _ in range(3)))
        assert [len(answer) for answer in answers] == [_MIB] * 3
        assert served.server.waiting_request_bytes == 0


async def test_calls_beyond_the_connections_share_are_refused_before_their_payload() -> None:
    limits = TransportLimits(waiting_request_bytes_per_connection_max=2 * _MIB)
    async with serving(limits=limits) as served, connected(served.address) as channel:
        method = channel.unary_unary("/test.Echo/Wait")
        held = [asyncio.ensure_future(method(bytes(_MIB))) for _ in range(2)]
        await until(lambda: len(served.handlers.calls) == 2)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/test.Echo/Unary")(b"one more", timeout=DEADLINE_SECONDS)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-retry-pushback-ms" in dict(raised.value.trailing_metadata())
        served.handlers.release.set()
        assert [len(answer) for answer in await asyncio.gather(*held)] == [_MIB] * 2
        assert await channel.unary_unary("/test.Echo/Unary")(b"again") == b"again"
        assert served.server.waiting_request_bytes == 0


async def test_a_request_that_has_begun_waits_for_room_in_the_connections_share() -> None:
    limits = TransportLimits(waiting_request_bytes_per_connection_max=2 * _MIB, stream_window_bytes=64 << 10)
    async with serving(limits=limits) as served, connected(served.address) as channel:
        method = channel.unary_unary("/test.Echo/Wait")
        held = asyncio.ensure_future(method(bytes(2 * _MIB - 100)))
        await until(lambda: len(served.handlers.calls) == 1)
        waiting = asyncio.ensure_future(method(bytes(_MIB)))
        await until(lambda: served.server.waiting_request_bytes > 2 * _MIB)
        assert len(served.handlers.calls) == 1
        assert served.server.waiting_request_bytes < 2 * _MIB + (128 << 10)
        served.handlers.release.set()
        assert len(await held) == 2 * _MIB - 100
        assert len(await waiting) == _MIB


async def test_parts_of_requests_that_fill_the_connections_share_do_not_block_each_other() -> None:
    limits = TransportLimits(waiting_request_bytes_per_connection_max=2 * _MIB)
    async with serving(limits=limits) as served, connected(served.address) as channel:
        method = channel.unary_unary("/test.Echo/Unary")
        calls = [method(bytes(_MIB), timeout=DEADLINE_SECONDS) for _ in range(8)]
        codes = [await call.code() for call in calls]
        assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert grpc.StatusCode.OK in codes
        await until(lambda: served.server.waiting_request_bytes == 0)
        assert len(await method(bytes(_MIB))) == _MIB


async def test_a_message_above_the_limit_is_refused_before_it_has_arrived() -> None:
    async with serving(limits=TransportLimits(message_bytes_max=1_000)) as served, connected(served.address) as channel:
        assert len(await channel.unary_unary("/test.Echo/Unary")(bytes(1_000))) == 1_000
        for size in (1_001, _MIB):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary("/test.Echo/Unary")(bytes(size))
            assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "1000" in str(raised.value.details())
        stream = channel.stream_unary("/test.Echo/Join")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await stream(iter([b"a", bytes(1_001)]))
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(served.handlers.calls) == 2


@pytest.mark.parametrize("kind", ["Unary", "Chat"])
async def test_gzip_is_understood_and_answered_with_gzip(kind: str) -> None:
    message = b"again and again " * 10_000
    async with serving() as served, connected(served.address) as channel:
        if kind == "Unary":
            call = channel.unary_unary("/test.Echo/Unary")(message, compression=grpc.Compression.Gzip)
            assert await call == message
        else:
            call = channel.stream_stream("/test.Echo/Chat")(iter([message] * 2), compression=grpc.Compression.Gzip)
            assert [part async for part in call] == [message] * 2
        assert served.handlers.calls[0].first(b"grpc-encoding") == b"gzip"
        assert ("grpc-encoding", "gzip") not in served.handlers.calls[0].metadata


async def test_an_unknown_encoding_is_unimplemented() -> None:
    async with serving() as served, connected(served.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/test.Echo/Unary")(b"x" * 1_000, compression=grpc.Compression.Deflate)
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert not served.handlers.calls


async def test_a_compression_bomb_is_refused_before_it_unfolds() -> None:
    bomb = bytes(64 * _MIB)
    assert len(zlib.compress(bomb)) < 100_000
    async with serving() as served, connected(served.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/test.Echo/Unary")(bomb, compression=grpc.Compression.Gzip)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert not served.handlers.calls


async def test_a_stream_waits_while_its_peer_does_not_read() -> None:
    async with serving() as served, connected(served.address) as channel:
        call = channel.unary_stream("/test.Echo/Flood")(bytes(64 << 10))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await served.handlers.begun.wait()
        assert len(await call.read()) == 64 << 10
        # grpcio reads ahead, up to its window. The handler has 1,000 responses to send and stops long before.
        assert await channel.unary_unary("/test.Echo/Unary")(b"others are served") == b"others are served"
        assert served.handlers.sent < 500
        received = 1
        while (part := await call.read()) is not grpc.aio.EOF:
            received += len(part) // (64 << 10)
        assert received == served.handlers.sent == 1_000
        await until(lambda: served.server.unread_response_bytes == 0)


async def test_a_peer_waits_while_the_handler_does_not_read() -> None:
    limits = TransportLimits(stream_window_bytes=256 << 10)
    async with serving(limits=limits) as served, connected(served.address) as channel:
        call = channel.stream_stream("/test.Echo/Slow")()
        written = 0

        async def write() -> None:
            nonlocal written
            for _ in range(200):
                await call.write(bytes(64 << 10))
                written += 1
            await call.done_writing()

        writer = asyncio.ensure_future(write())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await served.handlers.begun.wait()
        await until(lambda: served.server.waiting_request_bytes >= 128 << 10)
        assert await channel.unary_unary("/test.Echo/Unary")(b"others are served") == b"others are served"
        assert served.server.waiting_request_bytes <= 512 << 10
        assert written < 200
        served.handlers.release.set()
        assert len([part async for part in call]) == 200
        await writer
        assert served.server.waiting_request_bytes == 0


async def test_a_stream_that_is_cancelled_ends_its_generator() -> None:
    async with serving() as served, connected(served.address) as channel:
        call = channel.unary_stream("/test.Echo/Flood")(bytes(64 << 10))
        await call.read()
        call.cancel()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await served.handlers.ended.wait()
        assert served.handlers.sent < 1_000
        await until(lambda: served.server.unread_response_bytes == 0)
