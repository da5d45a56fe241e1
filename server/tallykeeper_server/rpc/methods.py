"""The way into every RPC and out of it: bytes to request, response to bytes, error to status."""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import perf_counter
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tallykeeper_server.domain.errors import DefectError, InvalidFieldError, TallyError
from tallykeeper_server.metrics.meters import CallMeter, CallMeters
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.rpc.admission import Admission, Context, Gatekeeper
from tallykeeper_server.rpc.calls import Call
from tallykeeper_server.rpc.long_answers import LongAnswers
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.rpc.wire_text import broken_text_fields

_INTERNAL_MESSAGE: Final = "a defect of the server, which has logged it"
_DEADLINE_SLACK_SECONDS: Final = 0.01
"""A caller gives up at its deadline a moment before the server's own clock is there."""

log = structlog.get_logger()


def service_handler(
    service: ServiceDescriptor,
    servicer: object,
    *,
    default_deadline_seconds: float,
    long_answers: LongAnswers,
    meters: CallMeters | None = None,
    gate: Gatekeeper | None = None,
) -> grpc.GenericRpcHandler:
    """Return what serves a service. ``servicer`` has a coroutine method for each RPC, named like it.

    Each takes the request and the call, and returns the response or raises; one that answers with a stream is an
    asynchronous generator of responses. The deadline is the caller's, or the default for a caller that sets none, which
    for a stream is none. What is answered at length, ``long_answers`` limits. How calls end, the ``meters`` note. Who
    may call, the ``gate`` says; else everybody.
    """
    meters = meters or CallMeters(Metrics())
    handlers: dict[str, grpc.RpcMethodHandler[bytes, Any]] = {}
    for method in service.methods:
        call = getattr(servicer, method.name)
        meter = meters.of(service.full_name, method.name, streams=method.server_streaming)
        admission = Admission(method, _parser_of(method), gate)
        handlers[method.name] = (
            grpc.unary_stream_rpc_method_handler(
                _streaming(method, admission, call, meter),
                response_serializer=GetMessageClass(method.output_type).SerializeToString,
            )
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler(
                _behaviour(
                    method,
                    admission,
                    call,
                    meter,
                    long_answers=long_answers,
                    default_deadline_seconds=default_deadline_seconds,
                )
            )
        )
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _behaviour(
    method: MethodDescriptor,
    admission: Admission,
    call: Callable[[Any, Call], Awaitable[Message]],
    meter: CallMeter,
    *,
    long_answers: LongAnswers,
    default_deadline_seconds: float,
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    loop = asyncio.get_running_loop()
    enter = admission.enter
    serialize = GetMessageClass(method.output_type).SerializeToString
    call = long_answers.limited(method, call)

    async def behave(raw: bytes, context: Context) -> bytes:
        began_at, request = perf_counter(), None
        remaining: float | None = context.time_remaining()  # None if the caller set no deadline; the stubs miss it
        deadline = loop.time() + (default_deadline_seconds if remaining is None else remaining)
        try:
            request, caller = enter(raw, context)
            response = serialize(await call(request, Call(deadline, caller)))
        except Exception as error:  # noqa: BLE001  # every defect becomes a status, and its trace is logged
            failure = _failure_of(method, error)
        except asyncio.CancelledError:
            meter.failed(began_at, _code_of_cancelled(context))
            raise
        else:
            meter.succeeded(began_at)
            long_answers.hold(response, context)
            return response
        status = status_of(failure)
        meter.failed(began_at, status[0].name, failure.reason)
        # abort raises what the context keeps: a ring, by which this frame lives until the garbage collector comes by.
        del raw, request, failure
        await context.abort(*status)
        raise AssertionError  # not reached: abort raises

    return behave


def _streaming(
    method: MethodDescriptor,
    admission: Admission,
    call: Callable[[Any, Call], AsyncGenerator[Message, None]],
    meter: CallMeter,
) -> Callable[[bytes, Context], AsyncGenerator[Message, None]]:
    async def stream(raw: bytes, context: Context) -> AsyncGenerator[Message, None]:
        began_at, request = perf_counter(), None
        try:
            request, caller = admission.enter(raw, context)
            admitted = admission.admitted(context, request, caller)
            async with aclosing(call(request, Call(math.inf, caller))) as responses:
                async for response in responses:
                    admitted.check()
                    yield response
        except Exception as error:  # noqa: BLE001  # as above
            failure = _failure_of(method, error)
        except (asyncio.CancelledError, GeneratorExit):
            meter.failed(began_at, _code_of_cancelled(context))
            raise
        else:
            meter.succeeded(began_at)
            return
        status = status_of(failure)
        meter.failed(began_at, status[0].name, failure.reason)
        del raw, request, failure  # as above
        await context.abort(*status)

    return stream


def _code_of_cancelled(context: Context) -> str:
    """Return the code that the caller of a cancelled call sees: it left, or waited until its deadline."""
    remaining: float | None = context.time_remaining()  # as above
    expired = remaining is not None and remaining < _DEADLINE_SLACK_SECONDS
    return (grpc.StatusCode.DEADLINE_EXCEEDED if expired else grpc.StatusCode.CANCELLED).name


def _parser_of(method: MethodDescriptor) -> Callable[[bytes], Message]:
    from_string = GetMessageClass(method.input_type).FromString

    def parse(raw: bytes) -> Message:
        try:
            return from_string(raw)
        except DecodeError as error:
            raise _undecodable(method, raw) from error

    return parse


def _failure_of(method: MethodDescriptor, error: Exception) -> TallyError:
    """Return what the caller is told of an error. A defect is logged, and nothing of it shown.

    An error that is told is parted from its traceback: together they would hold the call's request, which may be large,
    until the garbage collector comes by.
    """
    if isinstance(error, TallyError) and not isinstance(error, DefectError):
        return error.with_traceback(None)
    told = error.message if isinstance(error, DefectError) else repr(error)
    log.error("defect", method=method.full_name, error=told, exc_info=error)
    return DefectError(_INTERNAL_MESSAGE)


def _undecodable(method: MethodDescriptor, raw: bytes) -> InvalidFieldError:
    broken = broken_text_fields(method.input_type, raw)
    if not broken:
        return InvalidFieldError([("", f"the request is not a {method.input_type.full_name}")])
    return InvalidFieldError([(field, "must be UTF-8") for field in broken])
