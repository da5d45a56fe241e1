"""A gRPC server that gives the answers of a test's script, and records the requests.

It stands in for networks and servers that fail at a certain moment. Other tests check Tallykeeper's answers on a real
server.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeAlias

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

Trailers = tuple[tuple[str, str | bytes], ...]
_STREAMING: Final = ("/Watch", "/VerifyNamespace")
_Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error."""

    code: grpc.StatusCode
    message: str = "as scripted"
    trailers: Trailers = ()


class Stream:
    """An answer of many messages, and then an error, an end, or silence."""

    def __init__(self, *messages: Message, then: Refusal | None = None, ends: bool = False) -> None:
        self.messages = messages
        self.then = then
        self.ends = ends
        self.was_left = asyncio.Event()


@dataclass(frozen=True, slots=True)
class Asked:
    """A received attempt of a call."""

    path: str
    body: bytes


class ScriptedServer(grpc.GenericRpcHandler):
    """A server that gives its answers one after another to any request, and then empty messages."""

    def __init__(self) -> None:
        self.asked: Final[list[Asked]] = []
        self.was_asked = asyncio.Event()
        self._answers: deque[Message | Refusal | Stream | None] = deque()
        self._server = grpc.aio.server()
        self._port = 0
        self._unscripted: set[str] = set()

    @property
    def target(self) -> str:
        """The server's address; any port before it has started."""
        return f"127.0.0.1:{self._port}"

    def will_answer(self, *answers: Message | Refusal | Stream | None) -> None:
        """Give these answers next. None is an answer that never comes.

        A watch and a verification get a stream or a refusal.
        """
        self._answers.extend(answers)

    def will_pass_over(self, *methods: str) -> None:
        """Always answer these methods with an empty message, and do not record their calls."""
        self._unscripted.update(methods)

    async def start(self) -> None:
        """Listen, at the same port as before if the server was stopped."""
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self,))
        self._port = self._server.add_insecure_port(self.target)
        await self._server.start()

    async def stop(self) -> None:
        """Stop at once, and break off the calls in flight."""
        await self._server.stop(None)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        """Handle any method."""
        if handler_call_details.method.endswith(_STREAMING):
            return grpc.unary_stream_rpc_method_handler(self._stream_of(handler_call_details.method))
        return grpc.unary_unary_rpc_method_handler(self._answer_to(handler_call_details.method))

    def _answer_to(self, path: str) -> Callable[[bytes, _Context], Awaitable[bytes]]:
        async def answer(body: bytes, context: _Context) -> bytes:
            if path.rpartition("/")[2] in self._unscripted:
                return b""
            self.asked.append(Asked(path, body))
            self.was_asked.set()
            given = self._answers.popleft() if self._answers else Empty()
            if isinstance(given, Refusal):
                await context.abort(given.code, given.message, given.trailers)
            if given is None:
                await asyncio.Event().wait()
            assert isinstance(given, Message)
            return given.SerializeToString()

        return answer

    def _stream_of(self, path: str) -> Callable[[bytes, _Context], AsyncIterator[bytes]]:
        async def stream(body: bytes, context: _Context) -> AsyncIterator[bytes]:
            self.asked.append(Asked(path, body))
            async with aclosing(self._stream(context)) as messages:
                async for message in messages:
                    yield message

        return stream

    async def _stream(self, context: _Context) -> AsyncGenerator[bytes]:
        self.was_asked.set()
        given = self._answers.popleft() if self._answers else Stream()
        if isinstance(given, Refusal):
            await context.abort(given.code, given.message, given.trailers)
        assert isinstance(given, Stream)
        try:
            for message in given.messages:
                yield message.SerializeToString()
            if given.then:
                await context.abort(given.then.code, given.then.message, given.then.trailers)
            if not given.ends:
                await asyncio.Event().wait()
        finally:
            given.was_left.set()
