"""Handlers for the tests, and a server with these handlers."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeAlias

import grpc.aio

from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.http2.server_state import Admit
from tallykeeper_server.transport.limits import TransportLimits
from tallykeeper_server.transport.methods import Method, direct, request_stream, response_stream, stream, unary
from tallykeeper_server.transport.requests import Requests
from tallykeeper_server.transport.server import TransportServer
from tallykeeper_server.transport.status import Code, StatusError
from tallykeeper_server.transport.tls import ServerTls

DEADLINE_SECONDS = 20.0
"""The seconds after which a test that waits has failed."""

Channel: TypeAlias = Any
"""A channel of grpc.aio. Its stubs require a serializer, and these calls have none."""


class Serving(NamedTuple):
    """A running server."""

    address: str
    server: TransportServer
    handlers: "Handlers"


class Handlers:
    """The methods of /test.Echo, and a record of their calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.cancelled = 0
        self.begun = asyncio.Event()
        self.release = asyncio.Event()
        self.ended = asyncio.Event()
        self.sent = 0
        self.taken = 0

    def methods(self) -> list[Method]:
        """Return one method of each kind, and some that wait or fail."""
        return [
            unary("/test.Echo/Unary", self.echo),
            direct("/test.Echo/Direct", self.echo_directly),
            response_stream("/test.Echo/Repeat", self.repeat),
            request_stream("/test.Echo/Join", self.join),
            stream("/test.Echo/Chat", self.chat),
            unary("/test.Echo/Wait", self.wait),
            direct("/test.Echo/DirectWait", self.wait_directly),
            response_stream("/test.Echo/Flood", self.flood),
            stream("/test.Echo/Slow", self.slow),
            unary("/test.Echo/Fail", self.fail),
            unary("/test.Echo/Crash", self.crash),
            direct("/test.Echo/DirectCrash", self.crash_directly),
            response_stream("/test.Echo/StreamCrash", self.crash_later),
            unary("/test.Echo/NoBytes", self.answer_with_text),
            response_stream("/test.Echo/FailLater", self.fail_later),
        ]

    async def echo(self, payload: bytes, call: Call) -> bytes:
        self.calls.append(call)
        return payload

    def echo_directly(self, payload: bytes, call: Call) -> None:
        self.calls.append(call)
        call.reply(payload)

    async def repeat(self, payload: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        self.calls.append(call)
        for _ in range(3):
            yield payload

    async def join(self, payloads: Requests, call: Call) -> bytes:
        self.calls.append(call)
        return b",".join([payload async for payload in payloads])

    async def chat(self, payloads: Requests, call: Call) -> AsyncGenerator[bytes, None]:
        self.calls.append(call)
        async for payload in payloads:
            yield payload

    async def wait(self, payload: bytes, call: Call) -> bytes:
        self.calls.append(call)
        self.begun.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.ended.set()
        return payload

    def wait_directly(self, _payload: bytes, call: Call) -> None:
        self.calls.append(call)
        work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        work.add_done_callback(self._count_cancelled)
        call.cancel_if_abandoned(work)
        self.begun.set()

    def _count_cancelled(self, _work: asyncio.Future[None]) -> None:
        self.cancelled += 1
        self.ended.set()

    async def flood(self, payload: bytes, _call: Call) -> AsyncGenerator[bytes, None]:
        self.begun.set()
        try:
            for _ in range(1_000):
                self.sent += 1
                yield payload
        finally:
            self.ended.set()

    async def slow(self, payloads: Requests, _: Call) -> AsyncGenerator[bytes, None]:
        self.begun.set()
        await self.release.wait()
        async for payload in payloads:
            self.taken += 1
            yield b"%d" % len(payload)

    async def fail(self, payload: bytes, call: Call) -> bytes:
        self.calls.append(call)
        call.set_initial_metadata([("x-initial", "one")])
        call.set_trailing_metadata([("x-trailing-bin", b"\x00\xff")])
        raise StatusError(Code.FAILED_PRECONDITION, payload.decode(), (("grpc-status-details-bin", b"\x01\x02\x03"),))

    async def crash(self, _: bytes, __: Call) -> bytes:
        message = "a secret"
        raise ZeroDivisionError(message)

    def crash_directly(self, _: bytes, __: Call) -> None:
        message = "a secret"
        raise ZeroDivisionError(message)

    async def crash_later(self, payload: bytes, _: Call) -> AsyncGenerator[bytes, None]:
        yield payload
        message = "a secret"
        raise ZeroDivisionError(message)

    async def answer_with_text(self, _: bytes, __: Call) -> Any:  # noqa: ANN401  # a type that no handler should return
        return "a secret"

    async def fail_later(self, payload: bytes, _: Call) -> AsyncGenerator[bytes, None]:
        yield payload
        raise StatusError(Code.ABORTED, "half way")


@asynccontextmanager
async def serving(
    *,
    limits: TransportLimits | None = None,
    admit: Admit | None = None,
    tls: ServerTls | None = None,
    listen: str = "127.0.0.1:0",
) -> AsyncIterator[Serving]:
    """Serve the handlers."""
    handlers = Handlers()
    server = TransportServer(handlers.methods(), limits=limits, admit=admit)
    try:
        yield Serving(await server.listen(listen, tls=tls), server, handlers)
    finally:
        await server.stop(0.0)


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Channel]:
    """Yield a channel to an address."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110  # the condition has no event
            await asyncio.sleep(0.005)
