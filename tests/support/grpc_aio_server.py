"""Serves the transport's methods with gRPC's own Python server, to compare the two.

The tests compare codes, messages, details and metadata. The benchmark compares speed. The server's own code never
imports this module.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from math import inf
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

import grpc
import grpc.aio

from tallykeeper_server.transport.call import Call, Cancellable
from tallykeeper_server.transport.http2.exchange import DEFECT
from tallykeeper_server.transport.http2.server_state import Admit
from tallykeeper_server.transport.metadata import decoded, encoded
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.peers import Certificate, Peer
from tallykeeper_server.transport.status import HeaderFields, StatusError

Context: TypeAlias = Any
"""A grpc.aio.ServicerContext. The stubs lack a part of it."""

_BINARY: Final = "-bin"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

log = logging.getLogger(__name__)


class AioCall(Call):
    """A call that gRPC's Python server has received."""

    __slots__ = ("_context", "_initial_sent", "_work", "answer")

    def __init__(self, path: str, context: Context, *, secure: bool, loop: asyncio.AbstractEventLoop) -> None:
        """Take the context of a call. ``secure``: the server uses TLS, so that a peer may have a certificate."""
        remaining = context.time_remaining()
        deadline = inf if remaining is None else loop.time() + remaining
        super().__init__(path, _fields_of(context), peer=_peer_of(context, secure=secure), deadline=deadline, loop=loop)
        self._context = context
        self._initial_sent = False
        self._work: Cancellable | None = None
        self.answer: asyncio.Future[bytes] = loop.create_future()
        """The response of a direct method, or the StatusError with which it failed."""
        context.add_done_callback(self._closed)

    def reply(self, message: bytes) -> None:
        """Answer with a message and the status OK. This has no effect if the call is done."""
        if not (self.done or self.answer.done()):
            self.done = True
            self.answer.set_result(message)

    def fail(self, error: StatusError) -> None:
        """Answer with a failure. This has no effect if the call is done."""
        if not (self.done or self.answer.done()):
            self.done = True
            self.answer.set_exception(error)

    def cancel_if_abandoned(self, work: Cancellable) -> None:
        """Cancel work if the peer leaves, the deadline passes or the server stops before the answer."""
        self._work = work

    def send_initial_metadata(self) -> None:
        """Send the initial metadata now, before the first response."""
        if not (self._initial_sent or self.done):
            self._initial_sent = True
            sending = self._loop.create_task(self._context.send_initial_metadata(_metadata_of(self._initial)))
            sending.add_done_callback(_ignore_failure)

    async def begin(self) -> None:
        """Send the initial metadata, if it was not sent before."""
        if self._initial and not self._initial_sent:
            self._initial_sent = True
            await self._context.send_initial_metadata(_metadata_of(self._initial))

    async def end(self) -> None:
        """Set the trailing metadata of a call that ends with OK."""
        await self.begin()
        if self._trailing:
            self._context.set_trailing_metadata(_metadata_of(self._trailing))

    async def abort(self, error: StatusError) -> None:
        """End the call with a failure. Always raises the exception that gRPC's server expects after it."""
        self.done = True
        await self.begin()
        trailers = (*_metadata_of(self._trailing), *error.trailers)
        await self._context.abort(_CODES[error.code], error.message, trailers)

    def abandon(self) -> None:
        """Mark the call as done, because nobody waits for an answer any more."""
        self.done = True
        if self._work is not None and not self._work.done():
            self._work.cancel()

    def _closed(self, _: Context) -> None:
        if not self.done:
            self.abandon()


def aio_servers(
    methods: Iterable[Method],
    *,
    count: int = 1,
    admit: Admit | None = None,
    secure: bool = False,
    options: Sequence[tuple[str, Any]] = (),
) -> list[grpc.aio.Server]:
    """Return servers of grpc.aio for the transport's methods. The caller gives them ports and starts them.

    ``count`` is the number of servers. Several can share a port, because each accepts one call at a time. ``admit``
    looks at each call before its handler begins, and may return a refusal. ``secure``: the caller will add ports with
    TLS.
    """
    handlers = [_Handlers(methods, admit, secure=secure)]
    servers = [grpc.aio.server(options=[("grpc.so_reuseport", int(count > 1)), *options]) for _ in range(count)]
    for server in servers:
        server.add_generic_rpc_handlers(handlers)
    return servers


class _Handlers(grpc.GenericRpcHandler):
    """Finds methods by their path, as the transport does, because registered methods make grpc.aio slower."""

    def __init__(self, methods: Iterable[Method], admit: Admit | None, *, secure: bool) -> None:
        self._handlers = {
            method.path: _handler(method, _Opening(method.path, admit, secure=secure)) for method in methods
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return the handler of a method, or None if there is no such method."""
        return self._handlers.get(handler_call_details.method)


class _Opening:
    """Serves the calls of one method."""

    def __init__(self, path: str, admit: Admit | None, *, secure: bool) -> None:
        self._path = path
        self._admit = admit
        self._secure = secure

    async def __call__(self, context: Context) -> AioCall:
        call = AioCall(self._path, context, secure=self._secure, loop=asyncio.get_running_loop())
        refusal = None if self._admit is None else self._admit(call.path)
        if refusal is not None:
            await call.abort(refusal)
        return call


def _handler(method: Method, opening: _Opening) -> "grpc.RpcMethodHandler[Any, Any]":
    match (method.streams_requests, method.streams_responses):
        case (False, False):
            return grpc.unary_unary_rpc_method_handler(
                _unary(_directly if method.direct else _awaited, method, opening)
            )
        case (False, True):
            return grpc.unary_stream_rpc_method_handler(_stream(method, opening))
        case (True, False):
            return grpc.stream_unary_rpc_method_handler(_unary(_awaited, method, opening))
        case _:
            return grpc.stream_stream_rpc_method_handler(_stream(method, opening))


async def _directly(method: Method, request: bytes, call: AioCall) -> bytes:
    method.handler(request, call)
    return await call.answer


async def _awaited(method: Method, request: Any, call: AioCall) -> bytes:  # noqa: ANN401  # bytes or an iterator of them
    return bytes(await method.handler(request, call))


def _unary(
    run: Callable[[Method, Any, AioCall], Awaitable[bytes]], method: Method, opening: _Opening
) -> Callable[[Any, Context], Awaitable[bytes]]:
    async def behave(request: Any, context: Context) -> bytes:  # noqa: ANN401  # bytes or an iterator
        call = await opening(context)
        try:
            response = await run(method, request, call)
        except asyncio.CancelledError:
            call.abandon()
            raise
        except Exception as error:  # noqa: BLE001  # any defect of a handler becomes a status
            failure = _failure_of(method, error)
        else:
            call.done = True
            await call.end()
            return response
        await call.abort(failure)
        raise AssertionError  # not reached, because abort raises

    return behave


def _stream(method: Method, opening: _Opening) -> Callable[[Any, Context], AsyncGenerator[bytes, None]]:
    async def stream(request: Any, context: Context) -> AsyncGenerator[bytes, None]:  # noqa: ANN401  # or an iterator
        call = await opening(context)
        try:
            async with aclosing(method.handler(request, call)) as responses:
                async for response in responses:
                    await call.begin()
                    yield response
        except (asyncio.CancelledError, GeneratorExit):
            call.abandon()
            raise
        except Exception as error:  # noqa: BLE001  # any defect becomes a status
            failure = _failure_of(method, error)
        else:
            call.done = True
            await call.end()
            return
        await call.abort(failure)

    return stream


def _failure_of(method: Method, error: Exception) -> StatusError:
    if isinstance(error, StatusError):
        return error
    log.error("a handler of %s has failed", method.path, exc_info=error)
    return DEFECT


def _fields_of(context: Context) -> HeaderFields:
    """Return the metadata in the transport's form: header fields, with binary values in base64."""
    return tuple(
        encoded([(name, value)])[0] if name.endswith(_BINARY) else (name.encode(), _raw(value))
        for name, value in context.invocation_metadata()
    )


def _raw(value: str | bytes) -> bytes:
    return value.encode("latin-1") if isinstance(value, str) else value


def _metadata_of(fields: HeaderFields) -> tuple[tuple[str, str | bytes], ...]:
    return decoded(fields)


def _peer_of(context: Context, *, secure: bool) -> Peer:
    name = unquote(context.peer())
    kind, _, rest = name.partition(":")
    address = rest.rpartition(":")[0].strip("[]") if kind in {"ipv4", "ipv6"} else ""
    return Peer(name, address, _certificate_of(context.auth_context()) if secure else None)


def _certificate_of(properties: dict[str, Sequence[bytes]]) -> Certificate | None:
    chain = properties.get("x509_pem_cert")
    if not chain:
        return None
    names = properties.get("x509_subject_alternative_name", ())
    return Certificate(ssl.PEM_cert_to_DER_cert(chain[0].decode()), tuple(name.decode() for name in names))


def _ignore_failure(sending: "asyncio.Task[None]") -> None:
    """Read the error of a task that nobody awaits, because the peer has left."""
    if not sending.cancelled():
        sending.exception()
