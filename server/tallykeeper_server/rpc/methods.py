"""The way into every RPC and out of it: bytes to request, response to bytes, error to status."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tallykeeper_server.domain.errors import DefectError, InvalidFieldError, TallyError
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.rpc.wire_text import broken_text_fields

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

_INTERNAL_MESSAGE: Final = "a defect of the server, which has logged it"

log = structlog.get_logger()


def service_handler(
    service: ServiceDescriptor, servicer: object, *, default_deadline_seconds: float
) -> grpc.GenericRpcHandler:
    """Return what serves a service. ``servicer`` has a coroutine method for each RPC, named like it.

    Each takes the request and the deadline in the event loop's time, and returns the response or raises. The
    deadline is the caller's, or the default for a caller that sets none.
    """
    handlers: dict[str, grpc.RpcMethodHandler[bytes, Message]] = {
        method.name: grpc.unary_unary_rpc_method_handler(
            _behaviour(method, getattr(servicer, method.name), default_deadline_seconds),
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _behaviour(
    method: MethodDescriptor,
    call: Callable[[Any, float], Awaitable[Message]],
    default_deadline_seconds: float,
) -> Callable[[bytes, grpc.aio.ServicerContext[bytes, Message]], Awaitable[Message]]:
    loop = asyncio.get_running_loop()
    parse = GetMessageClass(method.input_type).FromString

    async def behave(raw: bytes, context: grpc.aio.ServicerContext[bytes, Message]) -> Message:
        remaining: float | None = context.time_remaining()  # None if the caller set no deadline; the stubs miss it
        deadline = loop.time() + (default_deadline_seconds if remaining is None else remaining)
        try:
            try:
                request = parse(raw)
            except DecodeError as error:
                raise _undecodable(method, raw) from error
            return await call(request, deadline)
        except TallyError as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # every defect becomes a status, and its trace is logged
            failure = DefectError(repr(error))
            failure.__cause__ = error
        if isinstance(failure, DefectError):
            log.error("defect", method=method.full_name, error=failure.message, exc_info=failure)
            failure = DefectError(_INTERNAL_MESSAGE)
        await context.abort(*status_of(failure))
        raise failure  # not reached: abort raises

    return behave


def _undecodable(method: MethodDescriptor, raw: bytes) -> InvalidFieldError:
    broken = broken_text_fields(method.input_type, raw)
    if not broken:
        return InvalidFieldError([("", f"the request is not a {method.input_type.full_name}")])
    return InvalidFieldError([(field, "must be UTF-8") for field in broken])
