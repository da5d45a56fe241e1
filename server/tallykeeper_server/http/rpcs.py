"""Every RPC over HTTP: Connect and gRPC-Web, in binary form and as JSON, on the handlers of the gRPC server.

connectrpc speaks the protocols. This module gives it the methods, codecs that pass binary messages on as they are, and
the server's own errors.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from connectrpc.compression.gzip import GzipCompression
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectASGIApplication, Endpoint
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.http import json_messages
from tallykeeper_server.http.calls import HttpCall
from tallykeeper_server.http.connect.errors import ErrorDetails
from tallykeeper_server.http.connect.headers import screened
from tallykeeper_server.http.requests import current_request
from tallykeeper_server.http.statuses import HttpRefusalError, connect_error, other_trailers, refusal, retry_after
from tallykeeper_server.rpc.permissions import is_mutation
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.transport.metadata import encoded
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.status import Code, HeaderFields, MessageTooLargeError, StatusError

_REQUEST_ID: Final = "request_id"
_SHOWN_CHARACTERS_MAX: Final = 80
_SHOWN_BYTES_MAX: Final = 16
_QUOTED_CHARACTERS_MIN: Final = 2
_LEVELS: Final = {
    MethodOptions.IDEMPOTENCY_UNKNOWN: IdempotencyLevel.UNKNOWN,
    MethodOptions.NO_SIDE_EFFECTS: IdempotencyLevel.NO_SIDE_EFFECTS,
    MethodOptions.IDEMPOTENT: IdempotencyLevel.IDEMPOTENT,
}
_KEY: Final = b"idempotency-key"

Admit: TypeAlias = Callable[[str], StatusError | None]
Context: TypeAlias = RequestContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Rpc:
    """A method that is served, and its descriptor."""

    method: Method
    descriptor: MethodDescriptor

    @property
    def request_class(self) -> type[Message]:
        """The class of the request."""
        return GetMessageClass(self.descriptor.input_type)

    @property
    def response_class(self) -> type[Message]:
        """The class of the responses."""
        return GetMessageClass(self.descriptor.output_type)


@dataclass(frozen=True, slots=True)
class _Response:
    """A response in binary form, and its class."""

    data: bytes
    message_class: type[Message]


class _BinaryCodec:
    """Passes on messages in binary form. The handlers read and write them."""

    def name(self) -> str:
        """Return the name of the codec in content types."""
        return "proto"

    def encode(self, message: _Response) -> bytes:
        """Return a response as it is."""
        return message.data

    def decode(self, data: bytes | bytearray, message_class: type[Message]) -> bytes:  # noqa: ARG002  # as the protocol says
        """Return a request as it is."""
        return bytes(data)


class _JsonCodec:
    """Reads and writes messages as JSON."""

    def name(self) -> str:
        """Return the name of the codec in content types."""
        return "json"

    def encode(self, message: _Response) -> bytes:
        """Return a response as JSON."""
        return json_messages.write(message.message_class.FromString(message.data))

    def decode(self, data: bytes | bytearray, message_class: type[Message]) -> Message:
        """Return the message of a request.

        :raises ConnectError: the text is no such message.
        """
        try:
            return json_messages.read(bytes(data), message_class)
        except InvalidFieldError as error:
            raise connect_error(status_of(error)) from error


class _Gzip(GzipCompression):
    """gzip, within the limit of a message's size."""

    def __init__(self, message_bytes_max: int) -> None:
        super().__init__(level=1)  # as the gRPC server: a higher level costs more time than it saves
        self._limit = message_bytes_max

    def decompress(self, data: bytes | bytearray | memoryview, read_max_bytes: int | None = None) -> bytes:  # noqa: ARG002  # the limit is this server's
        """Decompress the body of a request.

        :raises ConnectError: it is larger than the limit, or broken.
        """
        try:
            return super().decompress(data, self._limit)
        except ConnectError:
            error = MessageTooLargeError(
                f"the body has more than {self._limit} bytes", size=self._limit + 1, limit=self._limit
            )
            raise current_request().refuse(HttpRefusalError(413, error)) from None
        except (EOFError, zlib.error) as error:
            message = f"the body is not gzip, as its header says: {error}"
            facts = {"field": "body", "value": f"0x{bytes(data[:_SHOWN_BYTES_MAX]).hex()}", "rule": "must be gzip"}
            refused = refusal(400, Code.INVALID_ARGUMENT, "INVALID_ENCODING", message, facts=facts)
            raise current_request().refuse(refused) from error


class _Admission:
    """Refuses calls for which there is no room, before their bodies are read."""

    def __init__(self, admit: Admit) -> None:
        self._admit = admit

    async def on_start(self, ctx: Context) -> None:
        """Return if there is room for a call."""
        refused = self._admit(f"/{ctx.method.service_name}/{ctx.method.name}")
        if refused is not None:
            raise _failure(refused, ctx)

    async def on_end(self, token: None, ctx: Context, error: Exception | None, /) -> None:
        """Do nothing."""


class ConnectApplication(ConnectASGIApplication[Sequence[Rpc]]):
    """The ASGI application of all RPCs."""

    def __init__(self, rpcs: Sequence[Rpc], *, admit: Admit, message_bytes_max: int) -> None:
        """``admit`` takes the path of each call before its body is read, and may return a refusal."""
        super().__init__(
            service=rpcs,
            endpoints=_endpoints_of,
            interceptors=(ErrorDetails(), _Admission(admit)),
            read_max_bytes=None,  # requests.Request and _Gzip limit it, with the error that this server has for it
            compressions=(_Gzip(message_bytes_max),),
            codecs=(_BinaryCodec(), _JsonCodec()),
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  # the types of ASGI are asgiref's
        """Answer a request."""
        request = current_request()
        scope, request.refusal = screened(scope, request)
        await super().__call__(scope, receive, send)

    @property
    def path(self) -> str:
        """The path under which it is mounted: empty, because the paths of its methods are complete."""
        return ""


def has_side_effects(descriptor: MethodDescriptor) -> bool:
    """Return whether a method may change something. A method that is declared not to can be called with GET."""
    return _level_of(descriptor) is not IdempotencyLevel.NO_SIDE_EFFECTS


def _level_of(descriptor: MethodDescriptor) -> IdempotencyLevel:
    return _LEVELS[descriptor.GetOptions().idempotency_level]


def _endpoints_of(rpcs: Sequence[Rpc]) -> Mapping[str, Any]:
    return {rpc.method.path: _endpoint_of(rpc) for rpc in rpcs}


def _endpoint_of(rpc: Rpc) -> object:
    streams = rpc.method.streams_responses
    info = MethodInfo(
        name=rpc.descriptor.name,
        service_name=rpc.descriptor.containing_service.full_name,
        input=rpc.request_class,
        output=rpc.response_class,
        idempotency_level=_level_of(rpc.descriptor),
        stream_type=StreamType.SERVER_STREAM if streams else StreamType.UNARY,
    )
    make: Callable[..., object] = Endpoint.server_stream if streams else Endpoint.unary
    return make(info, _streaming(rpc) if streams else _unary(rpc))


def _unary(rpc: Rpc) -> Callable[[Any, Context], Any]:
    async def answer(request: Message | bytes, ctx: Context) -> _Response:
        call = current_request().begin_call(rpc.method.path, ctx.timeout_ms)
        try:
            data = await call.answer(rpc.method, _binary(rpc, request))
        except InvalidFieldError as error:
            raise _failure(status_of(error), ctx) from error
        except StatusError as error:
            _pass_metadata(call, ctx)
            raise _failure(error, ctx) from error
        _pass_metadata(call, ctx)
        return _Response(data, rpc.response_class)

    return answer


def _streaming(rpc: Rpc) -> Callable[[Any, Context], AsyncGenerator[_Response, None]]:
    async def stream(request: Message | bytes, ctx: Context) -> AsyncGenerator[_Response, None]:
        call = current_request().begin_call(rpc.method.path, ctx.timeout_ms)
        try:
            async with aclosing(rpc.method.handler(_binary(rpc, request), call)) as responses:
                async for data in responses:
                    _pass_headers(call, ctx)
                    yield _Response(data, rpc.response_class)
        except InvalidFieldError as error:
            raise _failure(status_of(error), ctx) from error
        except StatusError as error:
            _pass_metadata(call, ctx)
            raise _failure(error, ctx) from error
        except asyncio.CancelledError:
            stopped = call.settle_stop()
            if stopped is None:
                raise
            raise _failure(stopped, ctx) from None
        _pass_metadata(call, ctx)

    return stream


def _binary(rpc: Rpc, request: Message | bytes) -> bytes:
    """Return a request in binary form, with the Idempotency-Key of its header as request id if it is a mutation.

    :raises InvalidFieldError: the key is not a request id, or the request has a different request id.
    """
    keys = current_request().values(_KEY)
    if keys:
        return _with_request_id(rpc.descriptor, request, keys)
    return request if isinstance(request, bytes) else request.SerializeToString()


def _with_request_id(method: MethodDescriptor, request: Message | bytes, keys: Sequence[str]) -> bytes:
    """Return a request in binary form, with the value of its Idempotency-Key header as request id if it is a mutation.

    Other methods ignore the header, because some clients send it with every POST. The double quotes around a value,
    which draft-ietf-httpapi-idempotency-key-header prescribes, are removed.

    :raises InvalidFieldError: the key is empty, there are two, or the request has another id.
    """
    if not is_mutation(method):
        return request if isinstance(request, bytes) else request.SerializeToString()
    if isinstance(request, bytes):
        raw = request
        try:
            request = GetMessageClass(method.input_type).FromString(raw)
        except DecodeError:
            return raw  # its handler reports the fault
    if "" in map(_unquoted, keys):
        raise InvalidFieldError(
            [(_REQUEST_ID, "is empty in Idempotency-Key; send 1 to 64 characters, or no such header")]
        )
    sent = sorted({_unquoted(key) for key in keys} | {getattr(request, _REQUEST_ID)} - {""})
    if len(sent) > 1:
        shown = " and ".join(repr(each[:_SHOWN_CHARACTERS_MAX]) for each in sent)
        rule = f"has two values, {shown}, in the body and in Idempotency-Key; send one of them, or the same in both"
        raise InvalidFieldError([(_REQUEST_ID, rule)])
    setattr(request, _REQUEST_ID, sent[0])
    return request.SerializeToString()


def _unquoted(key: str) -> str:
    quoted = len(key) >= _QUOTED_CHARACTERS_MIN and key[0] == key[-1] == '"'
    return key[1:-1] if quoted else key


def _failure(error: StatusError, ctx: Context) -> ConnectError:
    """Return the error of a call. Trailers without details, and Retry-After, go into its headers."""
    _add(ctx.response_headers.add, retry_after(error))
    _add(ctx.response_trailers.add, encoded(other_trailers(error)))
    return connect_error(error)


def _pass_headers(call: HttpCall, ctx: Context) -> None:
    _add(ctx.response_headers.add, call.response_headers)


def _pass_metadata(call: HttpCall, ctx: Context) -> None:
    _pass_headers(call, ctx)
    _add(ctx.response_trailers.add, call.response_trailers)


def _add(add: Callable[[str, str], None], fields: HeaderFields | Iterable[tuple[bytes, bytes]]) -> None:
    for name, value in fields:
        add(name.decode(), value.decode())
