"""The ASGI application: it finds the route of a request, refuses bad requests, and lets the route's part answer."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from tallykeeper_server.http.connections import Connections
from tallykeeper_server.http.limits import HttpLimits
from tallykeeper_server.http.origins import Headers, Origins
from tallykeeper_server.http.requests import Message, Request, Scope, serve_request
from tallykeeper_server.http.responses import Response, Send
from tallykeeper_server.http.statuses import HttpRefusalError, refusal
from tallykeeper_server.transport.http2.budget import Budget
from tallykeeper_server.transport.status import Code, StatusError

Receive: TypeAlias = Callable[[], Awaitable[Message]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONNECT_TYPES: Final = frozenset({"application/proto", "application/json"})
_STREAM_TYPES: Final = frozenset({"application/connect+proto", "application/connect+json"})
_GRPC_WEB_TYPES: Final = frozenset(
    {"application/grpc-web", "application/grpc-web+proto", "application/grpc-web+json"},
)
_SHOWN_CHARACTERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Route:
    """A path: who answers, to which methods, and which content types it takes."""

    application: Application
    methods: Sequence[str]
    content_types: frozenset[str] | None = None
    """The media types of its body; None if it has no body, so that any type passes."""


def rpc_route(application: Application, *, streams: bool, has_side_effects: bool) -> Route:
    """Return the route of an RPC."""
    types = (_STREAM_TYPES if streams else _CONNECT_TYPES) | _GRPC_WEB_TYPES
    return Route(application, ("POST",) if has_side_effects or streams else ("POST", "GET"), types)


class HttpApplication:
    """The ASGI application of the HTTP server."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        *,
        origins: Origins,
        connections: Connections,
        limits: HttpLimits,
        explain: Callable[[StatusError], StatusError],
    ) -> None:
        """``explain`` gives a refusal of a body its reason and details."""
        self._routes = routes
        self._origins = origins
        self._connections = connections
        self._limits = limits
        self._explain = explain
        self._held = Budget(limits.waiting_request_bytes_max)
        self._requests: set[Request] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        client = scope["client"]
        peer = self._connections.peer(client)
        if scope["type"] != "http" or peer is None:  # None: its client has left
            return
        self._connections.begin_request(client)
        request = Request(scope, receive, peer=peer, limits=self._limits, held=self._held, explain=self._explain)
        response = Response(request, send, closes=lambda: self._connections.draining)
        self._requests.add(request)
        serve_request(request)
        try:
            await self._answer(scope, request, response)
        finally:
            self._requests.discard(request)
            request.release()
            if request.call is not None:
                request.call.finish()
            self._connections.end_request(client)

    def abort(self) -> None:
        """End all calls with UNAVAILABLE, because the server stops."""
        for request in self._requests:
            if request.call is not None:
                request.call.stop()

    async def _answer(self, scope: Scope, request: Request, response: Response) -> None:
        try:
            response.headers = self._origins.headers_for(request)
            _check_encoding(scope, request)
            route = self._route_of(request)
            if request.method == "OPTIONS":
                await response.send_empty(204, _options(route, request))
                return
            _check_method(route, request)
            _check_content_type(route, request)
        except HttpRefusalError as refused:
            await response.send_refusal(refused)
            return
        try:
            await route.application(scope, request.receive, response.send)
        except HttpRefusalError as refused:
            await response.send_refusal(refused)

    def _route_of(self, request: Request) -> Route:
        route = self._routes.get(request.path)
        if route is None:
            shown = request.path[:_SHOWN_CHARACTERS_MAX]
            message = (
                f"there is nothing at {shown!r}; /openapi.json has all paths, such as POST /PACKAGE.SERVICE/METHOD"
            )
            facts = {"field": "path", "value": ascii(shown)[1:-1], "rule": "must be one of those in /openapi.json"}
            raise refusal(404, Code.UNIMPLEMENTED, "UNKNOWN_PATH", message, facts=facts)
        return route


def _options(route: Route, request: Request) -> Headers:
    methods = ", ".join((*route.methods, "OPTIONS"))
    allow = (b"allow", methods.encode())
    return (allow, *Origins.preflight(methods)) if request.values(b"origin") else (allow,)


def _check_encoding(scope: Scope, request: Request) -> None:
    """Check that the path and the query are percent-encoded UTF-8, and that headers are ASCII."""
    for name, raw in (("path", scope["raw_path"]), ("query", scope["query_string"])):
        broken = _PERCENT.search(raw)
        if broken is not None:
            shown = raw[broken.start() : broken.start() + 3].decode("latin-1")
            rule = f"% at character {broken.start() + 1} needs two hexadecimal digits"
            message = f"the {name} has {shown!r}; {rule}"
            raise _invalid_encoding(shown, message, field=name, rule=rule)
    if "\ufffd" in scope["path"]:
        rule = "must be UTF-8 when its percent-encoding is undone"
        message = "the path is not UTF-8 when its percent-encoding is undone"
        raise _invalid_encoding(request.path, message, field="path", rule=rule)
    for header, value in request.fields:
        if not value.isascii():
            name = header.decode("latin-1")
            message = f"the header {name} has a character beyond ASCII"
            raise _invalid_encoding(value.decode("latin-1"), message, field=name, rule="must be ASCII")


def _invalid_encoding(value: str, message: str, *, field: str, rule: str) -> HttpRefusalError:
    facts = {"field": field, "value": value[:_SHOWN_CHARACTERS_MAX], "rule": rule}
    return refusal(400, Code.INVALID_ARGUMENT, "INVALID_ENCODING", message, facts=facts)


def _check_method(route: Route, request: Request) -> None:
    if request.method not in route.methods:
        allowed = ", ".join((*route.methods, "OPTIONS"))
        shown = request.method[:_SHOWN_CHARACTERS_MAX]
        message = f"{request.path} takes {allowed}, and not {shown}"
        facts = {"field": "method", "value": shown, "rule": f"must be one of {allowed}"}
        headers = ((b"allow", allowed.encode()),)
        raise refusal(405, Code.UNKNOWN, "METHOD_NOT_ALLOWED", message, facts=facts, headers=headers)


def _check_content_type(route: Route, request: Request) -> None:
    if route.content_types is None or request.method != "POST":
        return
    if request.content_type in route.content_types:
        return
    content_type = request.first(b"content-type")[:_SHOWN_CHARACTERS_MAX]
    shown = repr(content_type) if content_type else "absent"
    allowed = ", ".join(sorted(route.content_types))
    message = f"Content-Type is {shown}; {request.path} takes {allowed}. gRPC is at the address of the gRPC server"
    facts = {"field": "Content-Type", "value": content_type, "rule": f"must be one of {allowed}"}
    headers = ((b"accept-post", allowed.encode()),)
    raise refusal(415, Code.UNKNOWN, "UNSUPPORTED_CONTENT_TYPE", message, facts=facts, headers=headers)
