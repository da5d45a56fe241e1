"""The pages beside the RPCs: /healthz, /readyz, /metrics, /openapi.json, and the event stream of Watch."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from tallykeeper_server.http import event_stream
from tallykeeper_server.http.application import Route
from tallykeeper_server.http.openapi import openapi_document
from tallykeeper_server.http.requests import Scope
from tallykeeper_server.http.responses import Send
from tallykeeper_server.http.rpcs import Rpc
from tallykeeper_server.metrics.endpoint import PATH as METRICS
from tallykeeper_server.metrics.endpoint import metrics_page
from tallykeeper_server.metrics.snapshots import GatherAll
from tallykeeper_server.transport.health import Health

_TEXT: Final = b"text/plain; charset=utf-8"


def pages_of(rpcs: Sequence[Rpc], *, health: Health, gather_all: GatherAll) -> Mapping[str, Route]:
    """Return the routes of the pages of a server."""
    document = cache(lambda: openapi_document(rpcs))
    pages: dict[str, Callable[[Scope, Any, Send], Awaitable[None]]] = {
        "/healthz": _page(lambda: (200, _TEXT, b"ok\n")),
        "/readyz": _page(lambda: (200, _TEXT, b"ready\n") if health.serves else (503, _TEXT, b"not ready\n")),
        "/openapi.json": _page(lambda: (200, b"application/json", document())),
        METRICS: metrics_page(gather_all),
    }
    routes = {path: Route(page, ("GET", "HEAD")) for path, page in pages.items()}
    for rpc in rpcs:
        if rpc.method.path == event_stream.METHOD:
            routes[event_stream.PATH] = Route(event_stream.event_stream(rpc.method), ("GET",))
    return routes


def _page(answer: Callable[[], tuple[int, bytes, bytes]]) -> Callable[[Scope, Any, Send], Awaitable[None]]:
    """Return the application of a page of which ``answer`` returns the status, the content type and the body."""

    async def page(_: Scope, __: Any, send: Send) -> None:  # noqa: ANN401  # ASGI's
        status, content_type, body = answer()
        headers = [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return page
