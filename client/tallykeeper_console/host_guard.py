"""Refuses requests that a page of another site has sent.

Any site that a browser visits can send requests to loopback. A foreign ``Host`` shows a name that was rebound to this
address, and a foreign ``Origin`` shows a page of another site. Both are refused before NiceGUI sees them.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS: Final = (
    (b"content-security-policy", b"frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""Headers of every response: no other site may show the console in a frame and catch clicks, or learn an address."""

_REFUSAL: Final = b"The console refuses this Host or Origin. Open the address that it printed, or add --allow-host.\n"


class HostGuard:
    """An ASGI application that passes on requests to the given host names alone."""

    def __init__(self, app: App, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif self.permits(scope["headers"]):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": _REFUSAL})

    def permits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Return True if the host is known and the origin, if there is one, is that host."""
        values = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
        host = values.get("host", "")
        origin = values.get("origin")
        return _name_in(host) in self._names and (origin is None or urlsplit(origin).netloc.lower() == host.lower())


def _name_in(host: str) -> str:
    """Return the name in a ``Host`` header, without the port; an empty text if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _with_headers(send: Send) -> Send:
    async def with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return with_headers
