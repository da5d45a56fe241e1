"""The methods of a server: their path, their kind of call and their handler."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.requests import Requests

UnaryHandler: TypeAlias = Callable[[bytes, Call], Awaitable[bytes]]
ResponseStreamHandler: TypeAlias = Callable[[bytes, Call], AsyncGenerator[bytes, None]]
RequestStreamHandler: TypeAlias = Callable[[Requests, Call], Awaitable[bytes]]
StreamHandler: TypeAlias = Callable[[Requests, Call], AsyncGenerator[bytes, None]]
DirectHandler: TypeAlias = Callable[[bytes, Call], None]


@dataclass(frozen=True, slots=True)
class Method:
    """One method. Use the functions of this module to make one.

    Handlers take and return the bytes of messages. They raise StatusError to fail with a status; any other exception is
    logged and becomes UNKNOWN. A handler runs in a task, which is cancelled when the peer leaves, the deadline passes
    or the server stops: until then ``asyncio.current_task`` and ``asyncio.timeout`` are as in any task.
    """

    path: str
    """The path: ``/package.Service/Method``."""
    handler: Callable[[Any, Call], Any]
    streams_requests: bool = False
    streams_responses: bool = False
    direct: bool = False


def unary(path: str, handler: UnaryHandler) -> Method:
    """Return a method with one request and one response. Each call runs in a task.

    A task costs 4.0 µs for a handler that answers at once and 6.5 µs for one that waits once (Python 3.11, uvloop). A
    pool of tasks, each for many calls, would cost 2.0 and 4.2 µs, but a call would see the context variables of the
    call before it. ``direct`` costs 0.3 and 1.2 µs.
    """
    return Method(path, handler)


def direct(path: str, handler: DirectHandler) -> Method:
    """Return a method with one request and one response, whose handler is called without a task.

    The handler returns at once. It, or a later callback, calls ``reply`` or ``fail`` of the call once. If the peer
    leaves or the deadline passes first, ``done`` becomes true and the work of ``cancel_if_abandoned`` is cancelled. A
    later reply has no effect.
    """
    return Method(path, handler, direct=True)


def response_stream(path: str, handler: ResponseStreamHandler) -> Method:
    """Return a method with one request and a stream of responses, which the handler generates."""
    return Method(path, handler, streams_responses=True)


def request_stream(path: str, handler: RequestStreamHandler) -> Method:
    """Return a method with a stream of requests, which the handler iterates over, and one response."""
    return Method(path, handler, streams_requests=True)


def stream(path: str, handler: StreamHandler) -> Method:
    """Return a method with streams of requests and of responses, each at its own pace."""
    return Method(path, handler, streams_requests=True, streams_responses=True)
