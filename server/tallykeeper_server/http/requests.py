"""A request as the applications of this server see it: its headers, who sends it, and its body within limits."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from connectrpc.errors import ConnectError

from tallykeeper_server.http.calls import HttpCall
from tallykeeper_server.http.limits import HttpLimits
from tallykeeper_server.http.statuses import HttpRefusalError, connect_error, refusal
from tallykeeper_server.transport.http2.budget import Budget
from tallykeeper_server.transport.peers import Peer
from tallykeeper_server.transport.status import Code, HeaderFields, MessageTooLargeError, NoRoomError, StatusError

Scope: TypeAlias = Mapping[str, Any]
Message: TypeAlias = dict[str, Any]
"""An event of ASGI (https://asgi.readthedocs.io/en/latest/specs/www.html)."""

_ENVELOPE_BYTES: Final = 5
"""The size of what precedes a message in a body of Connect's streams and of gRPC-Web."""
_DISCARDED_BODIES_MAX: Final = 4
"""The number of largest bodies that are read and forgotten at most."""
_DISCARD_SECONDS: Final = 2.0
"""The time for reading and forgetting the rest of a request."""
_RETRY_AFTER_MS: Final = 200
_REQUEST: ContextVar["Request"] = ContextVar("tallykeeper_http_request")


class Request:
    """One request, and its state."""

    def __init__(
        self,
        scope: Scope,
        receive: Callable[[], Any],
        *,
        peer: Peer,
        limits: HttpLimits,
        held: Budget,
        explain: Callable[[StatusError], StatusError],
    ) -> None:
        """``held`` counts the bytes of all bodies in memory. ``explain`` gives refusals their details."""
        self.fields: HeaderFields = tuple(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.peer = peer
        self.refusal: HttpRefusalError | None = None
        """The reason for which the body was not taken."""
        self.call: HttpCall | None = None
        self.received_all = False
        self.body_head = b""
        """The first bytes of the body: in a stream, the head of the first envelope."""
        self._receive = receive
        self._limits = limits
        self._held = held
        self.explain = explain
        """Gives a refusal its reason and details."""
        self._bytes = 0
        self._deadline = asyncio.get_running_loop().time() + limits.body_seconds

    def values(self, name: bytes) -> list[str]:
        """Return the values of a header."""
        return [value.decode("latin-1") for field, value in self.fields if field == name]

    def first(self, name: bytes) -> str:
        """Return the first value of a header; empty if there is none."""
        return next(iter(self.values(name)), "")

    @property
    def content_type(self) -> str:
        """The content type of the body, in lower case and without parameters such as the character set."""
        return self.first(b"content-type").partition(";")[0].strip().lower()

    def begin_call(self, path: str, timeout_ms: float | None) -> HttpCall:
        """Return the call that this request makes."""
        loop = asyncio.get_running_loop()
        deadline = math.inf if timeout_ms is None else loop.time() + timeout_ms / 1_000
        self.call = HttpCall(path, self.fields, peer=self.peer, deadline=deadline, loop=loop)
        return self.call

    async def receive(self) -> Message:
        """Return the next event of the body, within the limits of size and time. It is the ``receive`` of ASGI.

        :raises ConnectError: the body is too large or too slow, or there is no room for it. ``refusal`` says more.
        """
        if self.received_all:
            event: Message = await self._receive()
            return event
        try:
            async with asyncio.timeout_at(self._deadline):
                event = await self._receive()
        except TimeoutError:
            raise self.refuse(_too_slow(self._limits.body_seconds)) from None
        if event["type"] == "http.request":
            body = event.get("body", b"")
            self.received_all = not event.get("more_body", False)
            self.body_head += body[: _ENVELOPE_BYTES - len(self.body_head)]
            await self._count(len(body))
        return event

    def release(self) -> None:
        """Release the bytes that the body has held."""
        self._held.add(-self._bytes)
        self._bytes = 0

    async def _count(self, size: int) -> None:
        self._bytes += size
        self._held.add(size)
        limit = self._limits.message_bytes_max
        if self._bytes > limit + _ENVELOPE_BYTES:
            error = MessageTooLargeError(f"the body has more than {limit} bytes", size=self._bytes, limit=limit)
            raise self.refuse(HttpRefusalError(413, error))
        if self._held.exceeded:
            message = "the server holds as many bytes of requests as it may; try again later"
            refused = NoRoomError(message, retry_after_ms=_RETRY_AFTER_MS)
            raise self.refuse(HttpRefusalError(429, refused))

    async def ended(self) -> bool:
        """Tell whether the whole request has arrived, so that the connection can take another request.

        If it has not, the rest is read and forgotten for a moment: a client that is still sending would lose its
        connection, and never see the response.
        """
        has_body = self.values(b"transfer-encoding") or self.first(b"content-length") not in {"", "0"}
        if self.received_all or not has_body:
            return True
        if self.values(b"expect"):
            return False  # the client waits for a response before it sends the body
        self.release()
        loop = asyncio.get_running_loop()
        seen, bytes_max = 0, _DISCARDED_BODIES_MAX * self._limits.message_bytes_max
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(self._deadline, loop.time() + _DISCARD_SECONDS)):
                while not self.received_all and seen < bytes_max:
                    event = await self._receive()
                    seen += len(event.get("body", b""))
                    self.received_all = not event.get("more_body", False)
        return self.received_all

    def refuse(self, refused: HttpRefusalError) -> ConnectError:
        """Note why the body is not taken, and return it as an error of the protocol."""
        refused.error = self.explain(refused.error)
        self.refusal = refused
        return connect_error(refused.error)


def _too_slow(seconds: float) -> HttpRefusalError:
    message = f"the body was not complete after {seconds:g} s"
    return refusal(408, Code.DEADLINE_EXCEEDED, "REQUEST_TOO_SLOW", message)


def current_request() -> Request:
    """Return the request that this task serves."""
    return _REQUEST.get()


def serve_request(request: Request) -> None:
    """Make a request the one that this task serves."""
    _REQUEST.set(request)
