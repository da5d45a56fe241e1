"""The headers of a call, by the rules of Connect and gRPC-Web.

connectrpc has these rules too, but its own errors carry no details, and a few have no body. So this module finds the
fault first, and connectrpc gets the request without it. The refusal then travels as the protocol of the call says.

https://connectrpc.com/docs/protocol and https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md have the rules.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from tallykeeper_server.http.requests import Request, Scope
from tallykeeper_server.http.statuses import HTTP_STATUSES, HttpRefusalError, refusal
from tallykeeper_server.transport.status import Code

GRPC_WEB: Final = "application/grpc-web"
_CONNECT_STREAM: Final = "application/connect+"
_CONTENT_TYPE: Final = b"content-type"
_VERSION: Final = b"connect-protocol-version"
_CONNECT_TIMEOUT: Final = b"connect-timeout-ms"
_GRPC_TIMEOUT: Final = b"grpc-timeout"
_COMPRESSION: Final = b"content-encoding"
_STREAM_COMPRESSION: Final = b"connect-content-encoding"
_GRPC_COMPRESSION: Final = b"grpc-encoding"
_CHECKED: Final = frozenset(
    {_VERSION, _CONNECT_TIMEOUT, _GRPC_TIMEOUT, _COMPRESSION, _STREAM_COMPRESSION, _GRPC_COMPRESSION}
)
_COMPRESSIONS: Final = frozenset({"", "gzip", "identity"})
_SHOWN_CHARACTERS_MAX: Final = 80


def screened(scope: Scope, request: Request) -> tuple[Scope, HttpRefusalError | None]:
    """Return a scope that connectrpc accepts, and the refusal of the request if something in it is wrong."""
    content_type = request.content_type if request.method == "POST" else ""
    refused = next(_refusals(request, content_type), None)
    headers = [
        field for field in request.fields if field[0] != _CONTENT_TYPE and (refused is None or field[0] not in _CHECKED)
    ]
    if content_type:  # connectrpc compares it letter by letter, with its parameters
        headers.append((_CONTENT_TYPE, content_type.encode()))
    return {**scope, "headers": headers}, refused


def _refusals(request: Request, content_type: str) -> Iterator[HttpRefusalError]:
    if content_type.startswith(GRPC_WEB):
        yield from _of_timeout(request, _GRPC_TIMEOUT, r"[0-9]{1,8}[HMSmun]", "1 to 8 digits and H, M, S, m, u or n")
        yield from _of_compression(request, _GRPC_COMPRESSION)
        return
    versions = request.values(_VERSION)
    if versions and versions[0] != "1":
        yield _wrong_header(_VERSION, versions[0], "must be 1")
    yield from _of_timeout(request, _CONNECT_TIMEOUT, r"[0-9]{0,10}", "1 to 10 digits: the milliseconds")
    is_stream = content_type.startswith(_CONNECT_STREAM)
    yield from _of_compression(request, _STREAM_COMPRESSION if is_stream else _COMPRESSION)


def _of_timeout(request: Request, name: bytes, form: str, rule: str) -> Iterator[HttpRefusalError]:
    values = request.values(name)
    if values and not re.fullmatch(form, values[0]):
        yield _wrong_header(name, values[0], f"must be {rule}")


def _of_compression(request: Request, name: bytes) -> Iterator[HttpRefusalError]:
    value = request.first(name)
    if value not in _COMPRESSIONS:
        rule = "must be gzip or identity"
        message, facts = _described(name, value, rule)
        status = HTTP_STATUSES[Code.UNIMPLEMENTED]
        yield refusal(status, Code.UNIMPLEMENTED, "UNSUPPORTED_COMPRESSION", message, facts=facts)


def _wrong_header(name: bytes, value: str, rule: str) -> HttpRefusalError:
    message, facts = _described(name, value, rule)
    return refusal(400, Code.INVALID_ARGUMENT, "INVALID_HEADER", message, facts=facts)


def _described(name: bytes, value: str, rule: str) -> tuple[str, Mapping[str, str]]:
    field, shown = name.decode().title(), value[:_SHOWN_CHARACTERS_MAX]
    return f"{field} {shown!r} {rule}", {"field": field, "value": shown, "rule": rule}
