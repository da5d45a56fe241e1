"""The way into each RPC and out of it: bytes to request, response to bytes, error to status."""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, TypeAlias

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tallykeeper_server.access.authorizer import Authorizer
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.engine.pending_result import Pending
from tallykeeper_server.metrics.meters import CallMeter, CallMeters
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.rpc.admission import Admission, Call, Context, Overload
from tallykeeper_server.rpc.calls.failures import ABANDONED, code_of_abandoned, failure_of, undecodable
from tallykeeper_server.rpc.calls.streams import streaming
from tallykeeper_server.rpc.permissions import ROLES, WITHOUT_LANE, is_mutation, role_needed_by
from tallykeeper_server.rpc.response_limits import ResponseLimits
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.transport.methods import Method, direct, response_stream

Answer: TypeAlias = Pending[Message] | Coroutine[Any, Any, Message]
"""The return value of a servicer's unary method."""


def service_methods(
    service: ServiceDescriptor,
    servicer: object,
    *,
    mutations: Mapping[str, Callable[[Any, Call], Answer]],
    default_deadline_seconds: float,
    response_limits: ResponseLimits,
    overload: Overload | None = None,
    meters: CallMeters | None = None,
    authorizer: Authorizer | None = None,
    require_request_ids: bool = False,
    handlers: "Handlers | None" = None,
) -> Sequence[Method]:
    """Return the methods of a service.

    ``mutations`` has the methods that change something, by names such as ``CounterService.Increment``; ``servicer`` has
    the others as its own methods. Each takes the request and the call, and returns a coroutine or a Pending of the
    response, or raises. A method that streams responses is an asynchronous generator of them.

    The deadline of a call is the caller's, or the default if the caller sets none; a stream has no default.
    ``response_limits`` limits long responses, ``overload`` refuses calls for which there is no room, and ``meters``
    count how calls end. ``authorizer`` knows who may call; without it, everybody may. ``require_request_ids`` refuses
    changes without a request id. ``handlers`` makes the handlers; by default they record no spans.
    """
    meters = meters or CallMeters(Metrics())
    handlers = handlers or Handlers()
    methods: list[Method] = []
    for method in service.methods:
        name = f"{service.name}.{method.name}"
        call: Any = mutations.get(name) or getattr(servicer, method.name)
        path = f"/{service.full_name}/{method.name}"
        meter = meters.of(service.full_name, method.name, streams=method.server_streaming)
        parse = _parser_of(method)
        if require_request_ids and is_mutation(method):
            parse = _parser_with_request_id(parse)
        admission = Admission(role_needed_by(method), parse, authorizer)
        if method.server_streaming:
            methods.append(response_stream(path, handlers.stream(method, admission, call, meter)))
            continue
        limited = response_limits.wrap(method, call)
        handle = handlers.unary(method, admission, limited, meter, default_deadline_seconds=default_deadline_seconds)
        methods.append(direct(path, handle))
        if overload is not None and name not in WITHOUT_LANE:
            overload.watch(path, ROLES[name], meter)
    return methods


class Handlers:
    """Makes the handlers of methods. `tracing` has a subclass whose handlers record spans."""

    def unary(
        self,
        method: MethodDescriptor,
        admission: Admission,
        call: Callable[[Any, Call], Answer],
        meter: CallMeter,
        *,
        default_deadline_seconds: float,
    ) -> Callable[[bytes, Any], None]:
        """Return the handler of a method with one response."""
        return Unary(method, admission, call, meter, default_deadline_seconds=default_deadline_seconds).handle

    def stream(
        self,
        method: MethodDescriptor,
        admission: Admission,
        call: Callable[[Any, Call], AsyncGenerator[Message, None]],
        meter: CallMeter,
    ) -> Callable[[bytes, Any], AsyncGenerator[bytes, None]]:
        """Return the handler of a method that streams responses."""
        return streaming(method, admission, call, meter)


class Unary:
    """A method with one request and one response. Each call is two callbacks: ``handle`` and ``_finish``."""

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
        """Begin a call: find out who calls, parse the request and pass it to its method."""
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
        """Send the response or the error of a call whose work has ended."""
        try:
            response = self._serialize(work.result())
        except asyncio.CancelledError:
            self._meter.failed(began_at, code_of_abandoned(context, self._loop.time()))
            context.fail(ABANDONED)
        except Exception as error:  # noqa: BLE001  # every defect becomes a status
            self._fail(context, began_at, error)
        else:
            self._meter.succeeded(began_at)
            context.reply(response)

    def _fail(self, context: Context, began_at: float, error: Exception) -> None:
        failure = failure_of(self._method, error)
        status = status_of(failure)
        self._meter.failed(began_at, status.code.name, failure.reason)
        context.fail(status)


def _parser_of(method: MethodDescriptor) -> Callable[[bytes], Message]:
    from_string = GetMessageClass(method.input_type).FromString

    def parse(raw: bytes) -> Message:
        try:
            return from_string(raw)
        except DecodeError as error:
            raise undecodable(method, raw) from error

    return parse


def _parser_with_request_id(parse: Callable[[bytes], Message]) -> Callable[[bytes], Message]:
    """Return a parser that refuses a mutation without a request id."""

    def parse_mutation(raw: bytes) -> Message:
        request = parse(raw)
        if not request.request_id:  # type: ignore[attr-defined]  # every mutation has it
            rule = "is absent; this server applies no change without one, so that a repeat counts once"
            raise InvalidFieldError([("request_id", rule)])
        return request

    return parse_mutation
