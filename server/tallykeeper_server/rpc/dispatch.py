"""The way into every RPC and out of it: bytes to request, response to bytes, error to status."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from time import perf_counter
from typing import Any, Final, TypeAlias

import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tallykeeper_server.domain.errors import DefectError, InvalidFieldError, TallyError
from tallykeeper_server.engine.pending import Pending
from tallykeeper_server.metrics.meters import CallMeter, CallMeters
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.rpc.admission import Admission, Gatekeeper
from tallykeeper_server.rpc.calls import Call, Context
from tallykeeper_server.rpc.idempotency import is_mutation, require_request_id
from tallykeeper_server.rpc.overload import Overload
from tallykeeper_server.rpc.response_limits import LongAnswers
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.rpc.wire_text import broken_text_fields
from tallykeeper_server.transport.methods import Method, direct, response_stream
from tallykeeper_server.transport.status import Code, StatusError

_INTERNAL_MESSAGE: Final = "a defect of the server, which has logged it"
_DEADLINE_SLACK_SECONDS: Final = 0.01
"""A caller gives up at its deadline a moment before the server's own clock is there."""
_ABANDONED: Final = StatusError(Code.UNAVAILABLE, "the server stops")
"""For a call whose work was cancelled. Nobody reads it unless the server itself has cancelled."""

Answer: TypeAlias = Pending[Message] | Coroutine[Any, Any, Message]
"""The return value of a servicer's unary method."""

log = structlog.get_logger()


def service_methods(
    service: ServiceDescriptor,
    servicer: object,
    *,
    default_deadline_seconds: float,
    long_answers: LongAnswers,
    overload: Overload | None = None,
    meters: CallMeters | None = None,
    gate: Gatekeeper | None = None,
    require_request_ids: bool = False,
) -> Sequence[Method]:
    """Return the methods of a service. ``servicer`` has a method for each RPC, named like it.

    Each takes the request and the call, and returns a coroutine or a Pending of the response, or raises; a method that
    streams responses is an asynchronous generator of them. The deadline of a call is the caller's, or the default for a
    caller that sets none; a stream has none by default. ``long_answers`` limits long answers, ``overload`` refuses
    calls that would wait too long, ``meters`` count how calls end, and ``gate`` says who may call; without it,
    everybody may. ``require_request_ids`` refuses changes that have none.
    """
    meters = meters or CallMeters(Metrics())
    methods: list[Method] = []
    for method in service.methods:
        call = getattr(servicer, method.name)
        path = f"/{service.full_name}/{method.name}"
        meter = meters.of(service.full_name, method.name, streams=method.server_streaming)
        parse = _parser_of(method)
        if require_request_ids and is_mutation(method):
            parse = _parser_with_request_id(parse)
        admission = Admission(method, parse, gate)
        if method.server_streaming:
            methods.append(response_stream(path, _streaming(method, admission, call, meter)))
            continue
        limited = long_answers.limited(method, call)
        unary = _Unary(method, admission, limited, meter, default_deadline_seconds=default_deadline_seconds)
        methods.append(direct(path, unary.handle))
        if overload is not None:
            overload.watch(path, f"{service.name}.{method.name}", meter)
    return methods


class _Unary:
    """A method with one request and one response. A call of it is two callbacks: ``handle`` and ``_finish``."""

    __slots__ = ("_call", "_default_seconds", "_enter", "_loop", "_meter", "_method", "_serialize")

    def __init__(
        self,
        method: MethodDescriptor,
        admission: Admission,
        call: Callable[[Any, Call], Answer],
        meter: CallMeter,
        *,
        default_deadline_seconds: float,
    ) -> None:
        self._method = method
        self._enter = admission.enter
        self._call = call
        self._meter = meter
        self._default_seconds = default_deadline_seconds
        self._serialize = GetMessageClass(method.output_type).SerializeToString
        self._loop = asyncio.get_running_loop()

    def handle(self, raw: bytes, context: Context) -> None:
        """Begin a call: check who calls, read the request and hand it to the servicer."""
        began_at = perf_counter()
        deadline = context.deadline
        if deadline == math.inf:
            deadline = self._loop.time() + self._default_seconds
        try:
            request, caller = self._enter(raw, context)
            pending = self._call(request, Call(deadline, caller))
        except Exception as error:  # noqa: BLE001  # every defect becomes a status, and its trace is logged
            self._fail(context, began_at, error)
            return
        if isinstance(pending, Pending):
            context.cancel_if_abandoned(pending.call)
            pending.call.when_done(partial(self._finish, pending, context, began_at))
        else:
            task = self._loop.create_task(pending)
            context.cancel_if_abandoned(task)
            task.add_done_callback(partial(self._finish, task, context, began_at))

    def _finish(self, work: Any, context: Context, began_at: float, _: object) -> None:  # noqa: ANN401  # Pending or task
        """Answer a call whose work is done."""
        try:
            response = self._serialize(work.result())
        except asyncio.CancelledError:
            self._meter.failed(began_at, _code_of_abandoned(context, self._loop.time()))
            context.fail(_ABANDONED)
        except Exception as error:  # noqa: BLE001  # as above
            self._fail(context, began_at, error)
        else:
            self._meter.succeeded(began_at)
            context.reply(response)

    def _fail(self, context: Context, began_at: float, error: Exception) -> None:
        failure = _failure_of(self._method, error)
        status = status_of(failure)
        self._meter.failed(began_at, status.code.name, failure.reason)
        context.fail(status)


def _streaming(
    method: MethodDescriptor,
    admission: Admission,
    call: Callable[[Any, Call], AsyncGenerator[Message, None]],
    meter: CallMeter,
) -> Callable[[bytes, Context], AsyncGenerator[bytes, None]]:
    loop = asyncio.get_running_loop()

    async def stream(raw: bytes, context: Context) -> AsyncGenerator[bytes, None]:
        began_at = perf_counter()
        try:
            request, caller = admission.enter(raw, context)
            admitted = admission.admitted(context, request, caller)
            async with aclosing(call(request, Call(math.inf, caller))) as responses:
                async for response in responses:
                    admitted.check()
                    yield response.SerializeToString()
        except Exception as error:  # noqa: BLE001  # as above
            failure = _failure_of(method, error)
        except (asyncio.CancelledError, GeneratorExit):
            meter.failed(began_at, _code_of_abandoned(context, loop.time()))
            raise
        else:
            meter.succeeded(began_at)
            return
        status = status_of(failure)
        meter.failed(began_at, status.code.name, failure.reason)
        raise status

    return stream


def _code_of_abandoned(context: Context, now: float) -> str:
    """Return the code that the caller of a cancelled call sees: it left, or waited until its deadline."""
    expired = context.deadline - now < _DEADLINE_SLACK_SECONDS
    return (Code.DEADLINE_EXCEEDED if expired else Code.CANCELLED).name


def _parser_of(method: MethodDescriptor) -> Callable[[bytes], Message]:
    from_string = GetMessageClass(method.input_type).FromString

    def parse(raw: bytes) -> Message:
        try:
            return from_string(raw)
        except DecodeError as error:
            raise _undecodable(method, raw) from error

    return parse


def _parser_with_request_id(parse: Callable[[bytes], Message]) -> Callable[[bytes], Message]:
    def parse_mutation(raw: bytes) -> Message:
        request = parse(raw)
        require_request_id(request)
        return request

    return parse_mutation


def _failure_of(method: MethodDescriptor, error: Exception) -> TallyError:
    """Return the error that the caller gets. A defect is logged, and nothing of it shown.

    The error is parted from its traceback: together they would hold the call's request, which may be large, until the
    garbage collector runs.
    """
    if isinstance(error, TallyError) and not isinstance(error, DefectError):
        return error.with_traceback(None)
    shown = error.message if isinstance(error, DefectError) else repr(error)
    log.error("defect", method=method.full_name, error=shown, exc_info=error)
    return DefectError(_INTERNAL_MESSAGE)


def _undecodable(method: MethodDescriptor, raw: bytes) -> InvalidFieldError:
    broken = broken_text_fields(method.input_type, raw)
    if not broken:
        return InvalidFieldError([("", f"the request is not a {method.input_type.full_name}")])
    return InvalidFieldError([(field, "must be UTF-8") for field in broken])
