"""Statuses of gRPC as HTTP carries them: as errors of the Connect protocol, and as JSON bodies with an HTTP status."""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from connectrpc.code import Code as ConnectCode
from connectrpc.errors import ConnectError, ErrorDetail
from google.protobuf import descriptor_pool, json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from protobuf.wkt import Any as ConnectAny

from tallykeeper_server.rpc import statuses
from tallykeeper_server.transport.status import Code, StatusError

DETAILS: Final = "grpc-status-details-bin"
PUSHBACK: Final = "grpc-retry-pushback-ms"
_TYPE_PREFIX: Final = "type.googleapis.com/"
_CONNECT_NAMES: Final = {Code.CANCELLED: "CANCELED"}
HTTP_STATUSES: Final[Mapping[Code, int]] = {
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
"""The mapping of google.rpc.Code (google/rpc/code.proto), which the Connect protocol uses, too."""


class ReasonedError(StatusError):
    """A failure that only HTTP has, with its reason. ``explained`` adds the details."""

    def __init__(self, code: Code, message: str, *, reason: str, facts: Mapping[str, str]) -> None:
        super().__init__(code, message)
        self.reason = reason
        self.facts = facts


class HttpRefusalError(Exception):
    """A refusal for a reason that only HTTP has. It has its own status, and a body like that of any error."""

    def __init__(self, http_status: int, error: StatusError, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(error.message)
        self.http_status = http_status
        self.error = error
        self.headers = headers


def refusal(
    http_status: int,
    code: Code,
    reason: str,
    message: str,
    *,
    facts: Mapping[str, str] | None = None,
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> HttpRefusalError:
    """Return a refusal with a reason, and facts for the metadata of its ErrorInfo."""
    return HttpRefusalError(http_status, ReasonedError(code, message, reason=reason, facts=facts or {}), headers)


def explained(error: StatusError) -> StatusError:
    """Return a refusal of the transport or of HTTP as one with a reason and details."""
    if not isinstance(error, ReasonedError):
        return statuses.explained(error)
    status = Status(code=error.code, message=error.message)
    status.details.add().Pack(ErrorInfo(reason=error.reason, domain=statuses.DOMAIN, metadata=error.facts))
    return StatusError(error.code, error.message, ((DETAILS, status.SerializeToString()),))


def connect_error(error: StatusError) -> ConnectError:
    """Return a status as an error of the Connect protocol, with the same details."""
    code = ConnectCode[_CONNECT_NAMES.get(error.code, error.code.name)]
    details = [ErrorDetail(ConnectAny(type_url=detail.type_url, value=detail.value)) for detail in _details_of(error)]
    return ConnectError(code, error.message, details)


def code_of(error: ConnectError) -> Code:
    """Return the code of an error of the Connect protocol."""
    return Code.CANCELLED if error.code is ConnectCode.CANCELED else Code[error.code.name]


def other_trailers(error: StatusError) -> Iterable[tuple[str, str | bytes]]:
    """Return the trailers of a status that are not its details."""
    return [(name, value) for name, value in error.trailers if name != DETAILS]


def retry_after(error: StatusError) -> Sequence[tuple[bytes, bytes]]:
    """Return the header Retry-After, in whole seconds, if a status of overload or a rate has a delay for a retry.

    The delay is that of RetryInfo, because a pushback is negative if it would be too long for gRPC's own retries.
    """
    if not any(name == PUSHBACK for name, _ in error.trailers):
        return ()
    for detail in _details_of(error):
        info = RetryInfo()
        if detail.Unpack(info):
            return ((b"retry-after", b"%d" % max(1, math.ceil(info.retry_delay.ToMilliseconds() / 1_000))),)
    return ()


def body_of(error: StatusError) -> bytes:
    """Return a status as the JSON body of an error: code, message, and details that can be read."""
    body: dict[str, Any] = {
        "code": ConnectCode[_CONNECT_NAMES.get(error.code, error.code.name)].value,
        "message": error.message,
    }
    details = [_readable(detail.type_url.removeprefix(_TYPE_PREFIX), detail.value) for detail in _details_of(error)]
    if details:
        body["details"] = details
    return json_body(body)


def with_readable_details(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an error of the Connect protocol in which each detail has its message as JSON, under ``debug``.

    Connect sends details as base64 of their binary form, which suits generated clients. A reader of JSON sees nothing
    in it. The protocol reserves ``debug`` for a form that people can read.
    """
    details = [_readable(each["type"], _from_base64(each["value"])) for each in error.get("details", ())]
    return {**error, "details": details} if details else error


def reason_in(error: Mapping[str, Any]) -> str:
    """Return the reason in the ErrorInfo of an error that ``with_readable_details`` has returned; empty if none."""
    for detail in error.get("details", ()):
        if "reason" in detail.get("debug", {}):
            return str(detail["debug"]["reason"])
    return ""


def json_body(value: object) -> bytes:
    """Return a value as the JSON of a body."""
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def _details_of(error: StatusError) -> Sequence[AnyMessage]:
    for name, value in error.trailers:
        if name == DETAILS and isinstance(value, bytes):
            return Status.FromString(value).details
    return ()


def _readable(type_name: str, value: bytes) -> dict[str, Any]:
    detail: dict[str, Any] = {"type": type_name, "value": base64.b64encode(value).decode().rstrip("=")}
    message = AnyMessage(type_url=_TYPE_PREFIX + type_name, value=value)
    try:
        shown = json_format.MessageToDict(message, descriptor_pool=descriptor_pool.Default())
    except (DecodeError, TypeError, json_format.Error):  # a type that this server does not know
        return detail
    shown.pop("@type", None)
    return {**detail, "debug": shown}


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
