"""Browsers (CORS): the pages that may call, and the headers that permit their calls."""

from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

from tallykeeper_server.http.requests import Request
from tallykeeper_server.http.statuses import HttpRefusalError, refusal
from tallykeeper_server.transport.status import Code

_REQUEST_HEADERS: Final = (
    "Accept, Authorization, Connect-Accept-Encoding, Connect-Content-Encoding, Connect-Protocol-Version,"
    " Connect-Timeout-Ms, Content-Encoding, Content-Type, Grpc-Accept-Encoding, Grpc-Encoding, Grpc-Timeout,"
    " Idempotency-Key, Last-Event-ID, X-Grpc-Web, X-User-Agent"
)
_RESPONSE_HEADERS: Final = (
    "Content-Encoding, Connect-Content-Encoding, Grpc-Encoding, Grpc-Message, Grpc-Status, Grpc-Status-Details-Bin,"
    " Retry-After, Trailer-Grpc-Retry-Pushback-Ms"
)
_PREFLIGHT_SECONDS: Final = 7_200
"""Chromium keeps the answer to a preflight no longer."""
_SHOWN_CHARACTERS_MAX: Final = 100
_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})

Headers = Sequence[tuple[bytes, bytes]]


class Origins:
    """The origins of pages that may call this server from a browser. All others are refused."""

    def __init__(self, allowed: Collection[str], *, only_loopback_hosts: bool) -> None:
        """``only_loopback_hosts``: refuse requests for other hosts than this machine and those of the origins.

        A page of a foreign site can let its own name point to 127.0.0.1, and is then of the same origin as the server
        for the browser, which sends no ``Origin`` with a GET.
        """
        self._allowed = frozenset(allowed)
        self._hosts = _LOOPBACK_HOSTS | {urlsplit(origin).hostname or "" for origin in allowed}
        self._only_these_hosts = only_loopback_hosts

    def headers_for(self, request: Request) -> Headers:
        """Return the headers that let a page read the response; none for a client that is no browser.

        :raises HttpRefusalError: the page's origin is not among those that may call.
        """
        if self._only_these_hosts:
            self._check_host(request.first(b"host"))
        origins = request.values(b"origin")
        if not origins:
            return ()
        if len(origins) > 1 or origins[0] not in self._allowed:
            raise _foreign(origins[0])
        return (
            (b"access-control-allow-origin", origins[0].encode("latin-1")),
            (b"access-control-expose-headers", _RESPONSE_HEADERS.encode()),
            (b"vary", b"Origin"),
        )

    @staticmethod
    def preflight(methods: str) -> Headers:
        """Return the further headers of the answer to a preflight."""
        return (
            (b"access-control-allow-methods", methods.encode()),
            (b"access-control-allow-headers", _REQUEST_HEADERS.encode()),
            (b"access-control-max-age", b"%d" % _PREFLIGHT_SECONDS),
        )

    def _check_host(self, host: str) -> None:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            name = ""
        if host and name not in self._hosts:
            message = (
                f"Host {host[:_SHOWN_CHARACTERS_MAX]!r} does not name this machine, and the server has no access file;"
                " call it as localhost, or add the page's origin to http_origins"
            )
            facts = {"field": "Host", "value": host[:_SHOWN_CHARACTERS_MAX], "rule": "must name this machine"}
            raise refusal(403, Code.PERMISSION_DENIED, "FOREIGN_ORIGIN", message, facts=facts)


def _foreign(origin: str) -> HttpRefusalError:
    shown = origin[:_SHOWN_CHARACTERS_MAX]
    message = f"pages of the origin {shown!r} may not call this server; add it to http_origins to permit them"
    facts = {"field": "Origin", "value": shown, "rule": "must be one of http_origins"}
    return refusal(403, Code.PERMISSION_DENIED, "FOREIGN_ORIGIN", message, facts=facts)
