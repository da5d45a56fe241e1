"""Watch for browsers: ``GET /v1/watch`` as ``text/event-stream``, which EventSource reads and resumes by itself.

https://html.spec.whatwg.org/multipage/server-sent-events.html describes the format.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import parse_qsl

from tallykeeper.v1 import ledger_pb2
from tallykeeper_server.domain.errors import InvalidFieldError
from tallykeeper_server.http import json_messages
from tallykeeper_server.http.requests import Message, Request, Scope, current_request
from tallykeeper_server.http.responses import Send
from tallykeeper_server.http.statuses import HTTP_STATUSES, HttpRefusalError, body_of
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.transport.methods import Method
from tallykeeper_server.transport.status import Code, StatusError

PATH: Final = "/v1/watch"
METHOD: Final = "/tallykeeper.v1.LedgerService/Watch"
_LISTS: Final = ("items", "counters", "reservation_ids", "locations")
_SINGLE: Final = ("namespace", "after_revision", "include_levels")
_LAST_EVENT_ID: Final = b"last-event-id"
_RECONNECT_MS: Final = 1_000
"""The time after which EventSource connects again: a restart closes the port for 1 to 4 s."""
_HEAD: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx sends events on at once
)
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_SHOWN_CHARACTERS_MAX: Final = 60


def event_stream(method: Method) -> Callable[[Scope, Any, Send], Awaitable[None]]:
    """Return the application of the path, on the handler of Watch."""

    async def answer(scope: Scope, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        request = current_request()
        try:
            watch = watch_request(scope["query_string"], request.first(_LAST_EVENT_ID))
        except InvalidFieldError as error:
            status = status_of(error)
            raise HttpRefusalError(HTTP_STATUSES[status.code], status) from None
        streaming = asyncio.create_task(_stream(method, watch, request, send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({streaming, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not streaming.done():
                streaming.cancel()
            await asyncio.wait({streaming, leaving})
        if not streaming.cancelled():
            await streaming

    return answer


def watch_request(query: bytes, last_event_id: str) -> ledger_pb2.WatchRequest:
    """Return the request of a query string. The id of the last event takes the place of ``after_revision``.

    :raises InvalidFieldError: a parameter is unknown, is there twice, or has a wrong value.
    """
    request = ledger_pb2.WatchRequest()
    violations: list[tuple[str, str]] = []
    singles: dict[str, str] = {}
    for name, value in _parameters(query):
        if name in _LISTS:
            getattr(request, name).append(value)
        elif name not in _SINGLE:
            known = ", ".join((*_SINGLE, *_LISTS))
            violations.append((ascii(name)[1:-1][:_SHOWN_CHARACTERS_MAX], f"is no parameter; {PATH} has {known}"))
        elif name in singles:
            violations.append((name, "is there twice"))
        else:
            singles[name] = value
    request.namespace = singles.get("namespace", "")
    _read_start(request, singles, last_event_id, violations)
    if violations:
        raise InvalidFieldError(violations)
    return request


def _read_start(
    request: ledger_pb2.WatchRequest, singles: Mapping[str, str], last_event_id: str, violations: list[tuple[str, str]]
) -> None:
    if last_event_id:
        name, revision = "Last-Event-ID", last_event_id
    else:
        name, revision = "after_revision", singles.get("after_revision", "")
        levels = singles.get("include_levels", "false")
        if levels not in {"true", "false"}:
            violations.append(("include_levels", f"{_shown(levels)} must be true or false"))
        request.include_levels = levels == "true"
    if _DIGITS.fullmatch(revision) and int(revision) < 1 << 63:
        request.after_revision = int(revision)
    elif revision:
        violations.append((name, f"{_shown(revision)} is no revision; send the id of the last event"))


def _parameters(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode(), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidFieldError([("", "the query is not UTF-8 when its percent-encoding is undone")]) from error


def _shown(value: str) -> str:
    return ascii(value[:_SHOWN_CHARACTERS_MAX])


async def _left(receive: Callable[[], Awaitable[Message]]) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(method: Method, watch: ledger_pb2.WatchRequest, request: Request, send: Send) -> None:
    """Send the events, and at last the failure with which they end."""
    call = request.begin_call(METHOD, None)
    begun = False

    async def send_event(event: bytes) -> None:
        nonlocal begun
        if not begun:
            begun = True
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEAD)})
            event = b"retry: %d\n%s" % (_RECONNECT_MS, event)
        await send({"type": "http.response.body", "body": event, "more_body": True})

    try:
        async with aclosing(_events(method.handler(watch.SerializeToString(), call))) as events:
            async for event in events:
                await send_event(event)
    except StatusError as error:
        failure = error
    except asyncio.CancelledError:
        stopped = call.settle_stop()
        if stopped is None:
            raise
        failure = stopped
    else:
        return
    if not begun and failure.code is not Code.UNAVAILABLE:
        raise HttpRefusalError(HTTP_STATUSES[failure.code], failure)
    # EventSource connects again after the end of a stream, and never after a status such as 503.
    await send_event(b"event: failure\ndata: %s\n\n" % body_of(failure))
    await send({"type": "http.response.body", "body": b""})


async def _events(responses: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(responses):
        async for data in responses:
            response = ledger_pb2.WatchResponse.FromString(data)
            is_bookmark = not (response.entries or response.stock_levels or response.counters)
            kind = b"event: bookmark\n" if is_bookmark else b""
            yield b"id: %d\n%sdata: %s\n\n" % (response.revision, kind, json_messages.write(response))
