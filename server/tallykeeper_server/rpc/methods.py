"""The way into every RPC and out of it: bytes to request, response to bytes, error to status."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, TypeAlias

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tallykeeper_server.domain.errors import DefectError, InvalidFieldError, TallyError
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.rpc.wire_text import broken_text_fields

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, Message]"

_INTERNAL_MESSAGE: Final = "a defect of the server, which has logged it"

log = structlog.get_logger()


def service_handler(
    service: ServiceDescriptor, servicer: object, *, default_deadline_seconds: float
) -> grpc.GenericRpcHandler:
    """Return what serves a service. ``servicer`` has a coroutine method for each RPC, named like it.

    Each takes the request and the deadline in the event loop's time, and returns the response or raises; one that
    answers with a stream is an asynchronous generator of responses. The deadline is the caller's, or the default for
    a caller that sets none, which for a stream is none.
    """
    handlers: dict[str, grpc.RpcMethodHandler[bytes, Message]] = {}
    for method in service.methods:
        call = getattr(servicer, method.name)
        serialize = GetMessageClass(method.output_type).SerializeToString
        handlers[method.name] = (
            grpc.unary_stream_rpc_method_handler(_streaming(method, call), response_serializer=serialize)
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler(
                _behaviour(method, call, default_deadline_seconds), response_serializer=serialize
            )
        )
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _behaviour(
    method: MethodDescriptor,
    call: Callable[[Any, float], Awaitable[Message]],
    default_deadline_seconds: float,
) -> Callable[[bytes, Context], Awaitable[Message]]:
    loop = asyncio.get_running_loop()
    parse = _parser_of(method)

    async def behave(raw: bytes, context: Context) -> Message:
        remaining: float | None = context.time_remaining()  # None if the caller set no deadline; the stubs miss it
        deadline = loop.time() + (default_deadline_seconds if remaining is None else remaining)
        try:
            return await call(parse(raw), deadline)
        except Exception as error:  # noqa: BLE001  # every defect becomes a status, and its trace is logged
            failure = _failure_of(method, error)
        await context.abort(*status_of(failure))
        raise failure  # not reached: abort raises

    return behave


def _streaming(
    method: MethodDescriptor, call: Callable[[Any, float], AsyncGenerator[Message, None]]
) -> Callable[[bytes, Context], AsyncGenerator[Message, None]]:
    parse = _parser_of(method)

    async def stream(raw: bytes, context: Context) -> AsyncGenerator[Message, None]:
        try:
            async with aclosing(call(parse(raw), math.inf)) as responses:
                async for response in responses:
                    yield response
        except Exception as error:  # noqa: BLE001  # as above
            await context.abort(*status_of(_failure_of(method, error)))

    return stream


def _parser_of(method: MethodDescriptor) -> Callable[[bytes], Message]:
    from_string = GetMessageClass(method.input_type).FromString

    def parse(raw: bytes) -> Message:
        try:
            return from_string(raw)
        except DecodeError as error:
            raise _undecodable(method, raw) from error

    return parse


def _failure_of(method: MethodDescriptor, error: Exception) -> TallyError:
    """Return what the caller is told of an error. A defect is logged, and nothing of it shown."""
    if isinstance(error, TallyError) and not isinstance(error, DefectError):
        return error
    told = error.message if isinstance(error, DefectError) else repr(error)
    log.error("defect", method=method.full_name, error=told, exc_info=error)
    return DefectError(_INTERNAL_MESSAGE)


def _undecodable(method: MethodDescriptor, raw: bytes) -> InvalidFieldError:
    broken = broken_text_fields(method.input_type, raw)
    if not broken:
        return InvalidFieldError([("", f"the request is not a {method.input_type.full_name}")])
    return InvalidFieldError([(field, "must be UTF-8") for field in broken])
