"""The end of the server: every call that has begun is finished, and no caller sees CANCELLED."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.transport import acceptor, server
from tallykeeper_server.transport.http2 import connection
from tallykeeper_server.transport.http2.session import Engine, ErrorCode
from tallykeeper_server.transport.limits import TransportLimits
from tallykeeper_server.transport.sockets import listening_sockets
from tallykeeper_server.transport.tls import ServerTls
from tests.fuzz.frames import ACK, DATA, GO_AWAY, PING, PREFACE, SETTINGS, call, frame
from tests.transport.handlers import DEADLINE_SECONDS, Channel, Serving, connected, serving, until
from tests.transport.raw import RawPeer, raw_peer

_WAIT = "/test.Echo/Wait"


async def test_a_drain_finishes_calls_that_have_begun() -> None:
    async with serving() as served, connected(served.address) as channel:
        begun = asyncio.ensure_future(channel.unary_unary(_WAIT)(b"begun"))
        await until(served.handlers.begun.is_set)
        stopping = asyncio.create_task(served.server.stop(DEADLINE_SECONDS))
        await _refuses_connections(served.address)
        assert not stopping.done()
        served.handlers.release.set()
        assert await begun == b"begun"
        await stopping
        assert served.server.connections == 0


async def test_a_drain_says_goaway_twice_and_takes_calls_in_between() -> None:
    async with serving() as served, raw_peer(served.address) as peer:
        peer.greet().send(call(_WAIT, b"first"))
        await until(served.handlers.begun.is_set)
        stopping = asyncio.create_task(served.server.stop(DEADLINE_SECONDS))
        assert (await peer.goaway())[:2] == (2**31 - 1, 0)
        ping = await peer.of(PING)
        peer.send(call(_WAIT, b"on its way", stream=3))
        peer.send(frame(PING, ping.payload, flags=ACK))
        assert (await peer.goaway())[:2] == (3, 0)
        peer.send(call(_WAIT, b"too late", stream=5))
        served.handlers.release.set()
        answered = {(await peer.of(DATA)).stream, (await peer.of(DATA)).stream}
        assert answered == {1, 3}
        assert await peer.closed()
        await stopping
        assert len(served.handlers.calls) == 2


async def test_a_peer_that_leaves_during_a_drain_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """The Rust h2 crate answers the first GOAWAY with its own, in addition to the acknowledgement of the PING."""
    async with serving() as served, raw_peer(served.address) as peer:
        peer.greet()
        await peer.of(SETTINGS)
        stopping = asyncio.create_task(served.server.stop(DEADLINE_SECONDS))
        ping = await peer.of(PING)
        peer.send(frame(PING, ping.payload, flags=ACK), frame(GO_AWAY, bytes(8)))
        assert await peer.closed()
        await stopping
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize(
    "send",
    [
        lambda engine: engine.ping(b"draining"),
        Engine.announce_shutdown,
        Engine.refuse_new_streams,
        lambda engine: engine.terminate(ErrorCode.ENHANCE_YOUR_CALM, b"too many"),
    ],
    ids=["ping", "announce_shutdown", "refuse_new_streams", "terminate"],
)
async def test_nothing_is_sent_to_a_peer_that_has_ended_the_connection(send: Callable[[Engine], None]) -> None:
    limits = {"streams_max": 1, "stream_window_bytes": 1 << 16, "connection_window_bytes": 1 << 16}
    engine = Engine(**limits, header_list_bytes_max=1 << 14)
    engine.receive(PREFACE + frame(SETTINGS))
    engine.outgoing(1 << 20)
    engine.receive(frame(SETTINGS, flags=ACK) + frame(GO_AWAY, bytes(8)))
    send(engine)
    assert engine.ended
    assert not engine.outgoing(1 << 20)


async def test_calls_that_outlast_the_grace_end_unavailable() -> None:
    async with serving() as served, connected(served.address) as channel:
        long = channel.unary_unary(_WAIT)(b"")
        await until(served.handlers.begun.is_set)
        await served.server.stop(0.05)
        assert await long.code() is grpc.StatusCode.UNAVAILABLE
        assert served.handlers.cancelled == 1


@pytest.mark.parametrize("method", ["Unary", "Direct"])
async def test_callers_meet_no_error_while_servers_are_replaced(method: str) -> None:
    """Callers wait while nobody listens. GOAWAY lets grpcio repeat the calls that did not begin."""
    codes: set[grpc.StatusCode] = set()
    async with serving() as served:
        address = served.address
        stop = asyncio.Event()
        async with connected(address) as channel:
            callers = [asyncio.create_task(_call_until(channel, method, stop, codes)) for _ in range(8)]
            await until(lambda: len(served.handlers.calls) > 100)
            await served.server.stop(DEADLINE_SECONDS)
            async with serving(listen=address) as next_one:
                await until(lambda: len(next_one.handlers.calls) > 100)
                stop.set()
                await asyncio.gather(*callers)
    assert codes == {grpc.StatusCode.OK}


async def test_a_waiting_stream_is_ended_by_the_stop() -> None:
    async with serving() as served, connected(served.address) as channel:
        chat = channel.stream_stream("/test.Echo/Chat")()
        await chat.write(b"x")
        assert await chat.read() == b"x"
        await served.server.stop(0.05)
        assert await chat.code() is grpc.StatusCode.UNAVAILABLE


async def _call_until(channel: Channel, method: str, stop: asyncio.Event, codes: set[Any]) -> None:
    while not stop.is_set():
        one = channel.unary_unary(f"/test.Echo/{method}")(b"x", wait_for_ready=True)
        codes.add(await one.code())


async def _refuses_connections(address: str) -> None:
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionError:
                return
            writer.close()


@pytest.mark.parametrize("secured", [False, True])
async def test_connections_that_wait_to_be_accepted_are_not_reset_by_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, secured: bool
) -> None:
    """The kernel completes connections by itself. It resets those that were not accepted when a listener closes."""
    monkeypatch.setattr(server, "_GREETING_SECONDS", DEADLINE_SECONDS)
    monkeypatch.setattr(connection, "_DRAIN_SECONDS", DEADLINE_SECONDS)
    make_certificates(tmp_path, hosts=["127.0.0.1"], clients=[], days=1)
    tls = ServerTls(tmp_path / "server.pem", tmp_path / "server.key", None) if secured else None
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem") if secured else None
    if context is not None:
        context.set_alpn_protocols(["h2"])
    async with serving(tls=tls) as served:
        host, _, port = served.address.rpartition(":")
        # They block, so that the server, in this thread, cannot accept any of them.
        waiting = [socket.create_connection((host, int(port))) for _ in range(200)]
        stopping = asyncio.create_task(served.server.stop(DEADLINE_SECONDS))
        for one in waiting:
            peer = RawPeer(
                *await asyncio.open_connection(sock=one, ssl=context, server_hostname=host if secured else None)
            )
            peer.greet()
            assert (await peer.goaway())[:2] == (2**31 - 1, 0)
            peer.close()
        await stopping


async def test_a_silent_handshake_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    make_certificates(tmp_path, hosts=["127.0.0.1"], clients=[], days=1)
    tls = ServerTls(tmp_path / "server.pem", tmp_path / "server.key", None)
    async with serving(tls=tls, limits=TransportLimits(handshake_seconds=3_600.0)) as served:
        host, _, port = served.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await until(lambda: served.server.connections == 1)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await served.server.stop(3_600.0)
            with suppress(ConnectionError):
                assert await reader.read() == b""
        assert served.server.connections == 0
        writer.close()


class _Exhausted(socket.socket):
    """A listening socket whose first accept fails because the process has no free file descriptor."""

    fails = True

    def accept(self) -> tuple[socket.socket, Any]:
        if self.fails:
            self.fails = False
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


@asynccontextmanager
async def _exhausted(monkeypatch: pytest.MonkeyPatch, *, pause_seconds: float) -> AsyncIterator[Serving]:
    """Serve on a socket that cannot accept the first connection, and pauses then."""

    def sockets(address: str, *, reuse_port: bool) -> list[socket.socket]:
        found = [_Exhausted(fileno=one.detach()) for one in listening_sockets(address, reuse_port=reuse_port)]
        for one in found:
            one.settimeout(0)
        return list(found)

    monkeypatch.setattr(server, "listening_sockets", sockets)
    monkeypatch.setattr(acceptor, "_PAUSE_SECONDS", pause_seconds)
    async with serving() as served:
        yield served


async def test_a_process_without_file_descriptors_accepts_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with _exhausted(monkeypatch, pause_seconds=0.01) as served, connected(served.address) as channel:
        assert await channel.unary_unary("/test.Echo/Unary")(b"x") == b"x"
        address = served.address
    assert f"no connection can be accepted at {address}: [Errno 24] Too many open files" in caplog.messages


async def test_a_stop_does_not_wait_for_file_descriptors(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with _exhausted(monkeypatch, pause_seconds=3_600.0) as served, raw_peer(served.address) as peer:
        await until(lambda: bool(caplog.messages))
        peer.greet()
        stopping = asyncio.create_task(served.server.stop(DEADLINE_SECONDS))
        assert (await peer.goaway())[:2] == (2**31 - 1, 0)
        peer.close()
        await stopping
