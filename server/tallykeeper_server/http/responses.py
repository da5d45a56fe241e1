"""The response to a request: connectrpc's, with our headers and readable details; or one of our own."""

import json
import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from tallykeeper_server.http.requests import Message, Request
from tallykeeper_server.http.statuses import (
    HttpRefusalError,
    body_of,
    json_body,
    reason_in,
    retry_after,
    with_readable_details,
)

Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Sequence[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")
_GRPC_WEB: Final = "application/grpc-web"
_CONNECT_STREAM: Final = b"application/connect+"
_END_OF_STREAM: Final = b"\x02"
"""The flags of the last envelope of a Connect stream that is not compressed. It has the error, if there is one."""
_ENVELOPE: Final = struct.Struct(">cI")
_STATUS_OF_REASON: Final = {"REQUEST_TOO_LARGE": 413}
_CLOSE: Final = (b"connection", b"close")


class Response:
    """Sends the response to a request."""

    def __init__(self, request: Request, send: Send, *, closes: Callable[[], bool]) -> None:
        """``closes`` tells whether the connection closes after this response."""
        self.headers: Headers = ()
        """Further headers, for browsers."""
        self._request = request
        self._send = send
        self._closes = closes
        self._streams = False
        """The response is a Connect stream."""
        self._error: Message | None = None
        self._body: list[bytes] = []

    async def send(self, event: Message) -> None:
        """Send an event of an application. It is the ``send`` of ASGI.

        An error of the Connect protocol gets details that people can read, and the status that HTTP has for its reason.
        """
        if event["type"] == "http.response.start":
            self._streams = any(
                name == b"content-type" and value.startswith(_CONNECT_STREAM) for name, value in event["headers"]
            )
            if event["status"] >= 400 and _JSON in event["headers"]:  # noqa: PLR2004  # the errors of HTTP
                self._error = event
                return
            await self._start(event)
            return
        if self._error is None:
            body = event.get("body", b"")
            if self._streams and body.startswith(_END_OF_STREAM):
                event = {**event, "body": _readable_end(body)}
            await self._send(event)
            return
        self._body.append(event.get("body", b""))
        if not event.get("more_body", False):
            await self._send_error(self._error, b"".join(self._body))

    async def send_empty(self, status: int, headers: Headers) -> None:
        """Send a response without a body."""
        await self._start({"type": "http.response.start", "status": status, "headers": list(headers)})
        await self._send({"type": "http.response.body", "body": b""})

    async def send_refusal(self, refused: HttpRefusalError) -> None:
        """Send an error as JSON; to a client of gRPC-Web, in headers alone, as trailers without a message."""
        error = self._request.explain(refused.error)
        headers = [*refused.headers, *retry_after(error)]
        request = self._request
        if request.first(b"content-type").startswith(_GRPC_WEB) or request.values(b"x-grpc-web"):
            await self._send_whole(refused.http_status, [*headers, *error.fields], b"")
        else:
            await self._send_whole(refused.http_status, [_JSON, *headers], body_of(error))

    async def _send_error(self, start: Message, body: bytes) -> None:
        error = with_readable_details(json.loads(body))
        refused = self._request.refusal
        reason = reason_in(error)
        status: int = start["status"]
        if reason in _STATUS_OF_REASON:
            status = _STATUS_OF_REASON[reason]
        if refused is not None:
            status = refused.http_status
        await self._send_whole(status, start["headers"], json_body(error))

    async def _send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        length = (b"content-length", b"%d" % len(body))
        await self._start({"type": "http.response.start", "status": status, "headers": [*headers, length]})
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, event: Message) -> None:
        headers = [*event["headers"], *self.headers]
        if self._closes() or not await self._request.ended():
            headers.append(_CLOSE)
        await self._send({**event, "headers": headers})


def _readable_end(envelope: bytes) -> bytes:
    """Return the last envelope of a Connect stream, with details that people can read if it has an error."""
    end = json.loads(envelope[_ENVELOPE.size :])
    if "error" not in end:
        return envelope
    body = json_body({**end, "error": with_readable_details(end["error"])})
    return _ENVELOPE.pack(_END_OF_STREAM, len(body)) + body
