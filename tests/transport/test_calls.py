"""The four kinds of call, metadata, statuses, deadlines and cancellation, with grpcio's clients."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.methods import unary
from tallykeeper_server.transport.server import TransportServer
from tallykeeper_server.transport.status import Code, NoRoomError, StatusError
from tests.transport.handlers import DEADLINE_SECONDS, Channel, Serving, connected, serving


@pytest.fixture
async def served() -> AsyncIterator[Serving]:
    async with serving() as server:
        yield server


@pytest.fixture
async def channel(served: Serving) -> AsyncIterator[Channel]:
    async with connected(served.address) as one:
        yield one


async def test_unary_and_direct_methods_answer(channel: Channel) -> None:
    for method in ("Unary", "Direct"):
        assert await channel.unary_unary(f"/test.Echo/{method}")(b"hello", timeout=DEADLINE_SECONDS) == b"hello"


async def test_an_empty_message_is_a_message(channel: Channel) -> None:
    assert await channel.unary_unary("/test.Echo/Unary")(b"") == b""


async def test_streams_in_either_direction(channel: Channel) -> None:
    assert [part async for part in channel.unary_stream("/test.Echo/Repeat")(b"x")] == [b"x"] * 3
    assert await channel.stream_unary("/test.Echo/Join")(iter([b"a", b"b", b""])) == b"a,b,"
    assert await channel.stream_unary("/test.Echo/Join")(iter([])) == b""
    chat = channel.stream_stream("/test.Echo/Chat")()
    for text in (b"one", b"two"):
        await chat.write(text)
        assert await chat.read() == text
    await chat.done_writing()
    assert await chat.read() is grpc.aio.EOF
    assert await chat.code() is grpc.StatusCode.OK


async def test_blocking_clients_are_served(served: Serving) -> None:
    def call() -> tuple[bytes, list[bytes], bytes, list[bytes]]:
        channel: Channel
        with grpc.insecure_channel(served.address) as channel:
            return (
                channel.unary_unary("/test.Echo/Unary")(b"a"),
                list(channel.unary_stream("/test.Echo/Repeat")(b"b")),
                channel.stream_unary("/test.Echo/Join")(iter([b"c", b"d"])),
                list(channel.stream_stream("/test.Echo/Chat")(iter([b"e", b"f"]))),
            )

    assert await asyncio.to_thread(call) == (b"a", [b"b"] * 3, b"c,d", [b"e", b"f"])


async def test_a_call_knows_its_metadata_peer_and_deadline(served: Serving, channel: Channel) -> None:
    metadata = (("x-text", "value"), ("x-raw-bin", b"\x00\x01\xff"), ("x-text", "again"))
    await channel.unary_unary("/test.Echo/Unary")(b"", metadata=metadata, timeout=100)
    call = served.handlers.calls[0]
    # grpcio sends values of one name together.
    assert [pair for pair in call.metadata if pair[0].startswith("x-")] == [
        ("x-text", "value"),
        ("x-text", "again"),
        ("x-raw-bin", b"\x00\x01\xff"),
    ]
    assert not {"te", "content-type", "grpc-timeout", ":path"} & {name for name, _ in call.metadata}
    assert call.first(b"x-text") == b"value"
    assert call.first(b"x-none") is None
    assert call.path == "/test.Echo/Unary"
    assert call.peer.name.startswith("ipv4:127.0.0.1:")
    assert call.peer.address == "127.0.0.1"
    assert call.peer.certificate is None
    remaining = call.time_remaining()
    assert remaining is not None
    assert 0 < remaining <= 102  # grpcio rounds a timeout up


async def test_a_call_without_a_deadline_has_no_time_remaining(served: Serving, channel: Channel) -> None:
    await channel.unary_unary("/test.Echo/Unary")(b"")
    assert served.handlers.calls[0].time_remaining() is None


@pytest.mark.parametrize("message", ["plain", "100 % größer\nals \U0001f600", ""])
async def test_a_failure_has_code_message_details_and_metadata(channel: Channel, message: str) -> None:
    call = channel.unary_unary("/test.Echo/Fail")(message.encode())
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert raised.value.details() == message
    assert next(iter(raised.value.initial_metadata())) == ("x-initial", "one")
    assert dict(raised.value.trailing_metadata()) == {
        "x-trailing-bin": b"\x00\xff",
        "grpc-status-details-bin": b"\x01\x02\x03",
    }


async def test_a_stream_may_fail_after_a_response(channel: Channel) -> None:
    call = channel.unary_stream("/test.Echo/FailLater")(b"x")
    assert await call.read() == b"x"
    assert await call.code() is grpc.StatusCode.ABORTED
    assert await call.details() == "half way"


async def _responses(call: Channel) -> list[bytes]:
    return [response async for response in call]


@pytest.mark.parametrize("method", ["Crash", "DirectCrash", "StreamCrash", "NoBytes"])
async def test_a_defect_is_unknown_without_details(
    channel: Channel, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _responses(channel.unary_stream(f"/test.Echo/{method}")(b"", timeout=DEADLINE_SECONDS))
    assert raised.value.code() is grpc.StatusCode.UNKNOWN
    assert "secret" not in str(raised.value.details())
    assert f"a handler of /test.Echo/{method} has failed" in caplog.messages


class _FailingHandler(logging.Handler):
    """A handler of the log that cannot format a trace."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            raise SystemError


async def test_a_defect_is_answered_though_it_cannot_be_logged(channel: Channel) -> None:
    log, handler = logging.getLogger("tallykeeper_server.transport"), _FailingHandler()
    log.addHandler(handler)
    try:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/test.Echo/Crash")(b"", timeout=DEADLINE_SECONDS)
    finally:
        log.removeHandler(handler)
    assert raised.value.code() is grpc.StatusCode.UNKNOWN


async def test_a_call_whose_admission_fails_is_unknown_without_details() -> None:
    def fail(path: str) -> None:
        message = f"a secret of {path}"
        raise ZeroDivisionError(message)

    async with serving(admit=fail) as other, connected(other.address) as its_channel:
        call = its_channel.unary_unary("/test.Echo/Unary")(b"")
        assert await call.code() is grpc.StatusCode.UNKNOWN
        assert "secret" not in await call.details()


async def test_unknown_methods_and_services_are_unimplemented(channel: Channel) -> None:
    for path in ("/test.Echo/None", "/test.None/Unary"):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary(path)(b"")
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert path in str(raised.value.details())


async def test_a_deadline_ends_the_call_and_its_handler(served: Serving, channel: Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await channel.unary_unary("/test.Echo/Wait")(b"", timeout=0.1)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(DEADLINE_SECONDS):
        await served.handlers.ended.wait()
    assert served.handlers.cancelled == 1
    assert served.handlers.calls[0].done
    remaining = served.handlers.calls[0].time_remaining()
    assert remaining is not None
    assert remaining < 0.05  # a timer of uvloop may fire a few milliseconds early


@pytest.mark.parametrize("method", ["Wait", "DirectWait"])
async def test_a_cancelled_call_ends_its_handler(served: Serving, channel: Channel, method: str) -> None:
    call = channel.unary_unary(f"/test.Echo/{method}")(b"")
    async with asyncio.timeout(DEADLINE_SECONDS):
        await served.handlers.begun.wait()
        call.cancel()
        await served.handlers.ended.wait()
    assert served.handlers.calls[0].done
    served.handlers.calls[0].reply(b"too late")
    served.handlers.calls[0].fail(StatusError(Code.ABORTED, "too late"))
    assert await channel.unary_unary("/test.Echo/Unary")(b"still here") == b"still here"


async def test_a_peer_that_leaves_ends_its_calls(served: Serving) -> None:
    channel: Channel = grpc.aio.insecure_channel(served.address)
    call = channel.unary_unary("/test.Echo/Wait")(b"")
    async with asyncio.timeout(DEADLINE_SECONDS):
        await served.handlers.begun.wait()
        await channel.close()
        await served.handlers.ended.wait()
    assert call.cancelled()
    assert served.handlers.cancelled == 1


async def test_the_work_of_an_answered_call_is_not_cancelled(served: Serving, channel: Channel) -> None:
    call = channel.unary_unary("/test.Echo/DirectWait")(b"")
    async with asyncio.timeout(DEADLINE_SECONDS):
        await served.handlers.begun.wait()
        served.handlers.calls[0].reply(b"now")
        assert await call == b"now"
        assert await channel.unary_unary("/test.Echo/Unary")(b"next") == b"next"
    assert served.handlers.cancelled == 0


async def test_tasks_and_timeouts_work_in_handlers() -> None:
    seen = []

    async def handler(_: bytes, __: Call) -> bytes:
        seen.append(asyncio.current_task())
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return b"timed out"
        return b"not reached"

    server = TransportServer([unary("/test.Own/Method", handler)])
    async with connected(await server.listen("127.0.0.1:0")) as channel:
        method = channel.unary_unary("/test.Own/Method")
        assert list(await asyncio.gather(method(b""), method(b""))) == [b"timed out"] * 2
    await server.stop(0.0)
    assert None not in seen
    assert len(set(seen)) == 2


async def test_a_refused_call_never_reaches_its_handler() -> None:
    refusal = NoRoomError("try later", retry_after_ms=250)
    async with (
        serving(admit=lambda path: refusal if path.endswith("Unary") else None) as served,
        connected(served.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await channel.unary_unary("/test.Echo/Unary")(b"x" * 3_000_000)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert dict(raised.value.trailing_metadata())["grpc-retry-pushback-ms"] == "250"
        assert not served.handlers.calls
        assert await channel.unary_unary("/test.Echo/Direct")(b"in") == b"in"


@pytest.mark.parametrize("listen", ["[::1]:0", "localhost:0", "unix"])
async def test_listens_on_ipv6_names_and_unix_sockets(listen: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    address = f"unix:{path}" if listen == "unix" else listen
    async with (
        serving(listen=address) as served,
        connected(served.address) as channel,
    ):
        assert await channel.unary_unary("/test.Echo/Unary")(b"x") == b"x"
        assert served.handlers.calls[0].peer.name.startswith(("ipv6:[::1]:", "unix:", "ipv4:127.0.0.1:"))
    assert not path.exists()
