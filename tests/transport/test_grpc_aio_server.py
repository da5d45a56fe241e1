"""The adapter for gRPC's Python server gives callers the same answers as the transport."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509

from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.transport.http2.server_state import Admit
from tallykeeper_server.transport.status import Code, StatusError
from tests.support.grpc_aio_server import aio_servers
from tests.transport.handlers import Channel, Handlers, connected, serving, until

_METADATA = (("x-text", "one"), ("x-raw-bin", b"\x00\xff"), ("x-text", "two"))


@asynccontextmanager
async def _aio_serving(handlers: Handlers, *, admit: Admit | None = None, count: int = 1) -> AsyncIterator[str]:
    servers = aio_servers(handlers.methods(), admit=admit, count=count)
    port = 0
    for server in servers:
        port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        for server in servers:
            await server.stop(0.0)


@asynccontextmanager
async def _connected(*, count: int = 1, admit: Admit | None = None) -> AsyncIterator[tuple[Channel, Handlers]]:
    handlers = Handlers()
    async with _aio_serving(handlers, admit=admit, count=count) as address, connected(address) as channel:
        yield channel, handlers


async def _outcome(channel: Channel, method: str, payload: bytes) -> tuple[Any, ...]:
    """Return everything that a caller sees of a unary call."""
    call = channel.unary_unary(f"/test.Echo/{method}")(payload, metadata=_METADATA)
    response = None
    with suppress(grpc.aio.AioRpcError):
        response = await call
    return (
        response,
        await call.code(),
        await call.details(),
        tuple(await call.initial_metadata()),
        tuple(await call.trailing_metadata()),
    )


@pytest.mark.parametrize("method", ["Unary", "Direct", "Fail", "Crash", "DirectCrash", "NoBytes"])
async def test_unary_callers_see_the_same_as_with_the_transport(method: str) -> None:
    async with serving() as served, connected(served.address) as ours, _connected() as (theirs, _):
        assert await _outcome(theirs, method, b"what") == await _outcome(ours, method, b"what")


async def test_a_call_has_the_same_metadata_as_on_the_transport() -> None:
    async with serving() as served, connected(served.address) as ours, _connected() as (theirs, handlers):
        for channel in (ours, theirs):
            await _outcome(channel, "Direct", b"x")
        (expected,), (call,) = served.handlers.calls, handlers.calls
    # gRPC keeps the order of values with one name only.
    assert sorted(map(str, call.metadata)) == sorted(map(str, expected.metadata))
    assert set(_METADATA) <= set(call.metadata)
    assert call.first(b"x-text") == expected.first(b"x-text") == b"one"
    assert call.path == expected.path == "/test.Echo/Direct"
    assert call.peer.address == expected.peer.address == "127.0.0.1"
    assert call.peer.name.startswith("ipv4:127.0.0.1:")
    assert call.peer.certificate is None


async def test_a_call_knows_its_deadline() -> None:
    async with _connected() as (channel, handlers):
        await channel.unary_unary("/test.Echo/Unary")(b"x", timeout=60.0)
        await channel.unary_unary("/test.Echo/Unary")(b"x")
        limited, unlimited = handlers.calls
        remaining = limited.time_remaining()
        assert remaining is not None
        assert 0.0 < remaining < 61.0  # gRPC may round the time up
        assert unlimited.time_remaining() is None


async def test_streams_give_responses_and_failures() -> None:
    async with _connected() as (channel, _):
        assert [part async for part in channel.unary_stream("/test.Echo/Repeat")(b"x")] == [b"x"] * 3
        assert await channel.stream_unary("/test.Echo/Join")(iter([b"a", b"b"])) == b"a,b"
        assert [part async for part in channel.stream_stream("/test.Echo/Chat")(iter([b"a", b"b"]))] == [b"a", b"b"]
        failing = channel.unary_stream("/test.Echo/FailLater")(b"x")
        received = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            received += [part async for part in failing]
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.ABORTED, "half way")


@pytest.mark.parametrize("method", ["Wait", "DirectWait"])
async def test_a_caller_that_leaves_ends_its_call(method: str) -> None:
    async with _connected() as (channel, handlers):
        call = channel.unary_unary(f"/test.Echo/{method}")(b"x")
        await handlers.begun.wait()
        call.cancel()
        await handlers.ended.wait()
        await until(lambda: handlers.calls[0].done)
        assert handlers.cancelled == 1
        handlers.calls[0].reply(b"too late")


async def test_a_later_reply_and_a_later_failure_reach_the_caller() -> None:
    async with _connected() as (channel, handlers):
        calls = [channel.unary_unary("/test.Echo/DirectWait")(b"x") for _ in range(2)]
        await until(lambda: len(handlers.calls) == 2)
        handlers.calls[0].reply(b"yes")
        handlers.calls[1].fail(StatusError(Code.ABORTED, "no"))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert b"yes" in outcomes
    (failure,) = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert (failure.code(), failure.details()) == (grpc.StatusCode.ABORTED, "no")


async def test_a_refused_call_does_not_begin() -> None:
    def refuse(_: str) -> StatusError:
        return StatusError(Code.RESOURCE_EXHAUSTED, "no room", (("grpc-retry-pushback-ms", "200"),))

    async with _connected(admit=refuse) as (channel, handlers):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/test.Echo/Direct")(b"x")
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ("grpc-retry-pushback-ms", "200") in tuple(caught.value.trailing_metadata())
        assert not handlers.calls


async def test_several_servers_share_a_port() -> None:
    async with _connected(count=3) as (channel, _):
        assert await channel.unary_unary("/test.Echo/Direct")(b"x") == b"x"


async def test_a_call_names_the_certificate_of_its_peer(tmp_path: Path) -> None:
    make_certificates(tmp_path, hosts=["localhost"], clients=["shop"], days=1)
    authority, key, chain, server_key, server_chain = (
        (tmp_path / name).read_bytes() for name in ("ca.pem", "shop.key", "shop.pem", "server.key", "server.pem")
    )
    handlers = Handlers()
    (server,) = aio_servers(handlers.methods(), secure=True)
    port = server.add_secure_port(
        "localhost:0", grpc.ssl_server_credentials([(server_key, server_chain)], authority, require_client_auth=True)
    )
    await server.start()
    credentials = grpc.ssl_channel_credentials(authority, key, chain)
    async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
        echo: Any = channel.unary_unary("/test.Echo/Direct")
        await echo(b"x")
    await server.stop(0.0)
    certificate = handlers.calls[0].peer.certificate
    assert certificate is not None
    assert "spiffe://tallykeeper/shop" in certificate.alternative_names
    assert x509.load_der_x509_certificate(certificate.der) == x509.load_pem_x509_certificate(chain)
