"""The status of a failed call, and the details in its trailers. `errors` turns them into exceptions."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

from tallykeeper.v1 import batch_pb2
from tallykeeper.v1.inventory_pb2 import Shortages

_DOMAIN: Final = "tallykeeper.io"
_DETAILS_KEY: Final = "grpc-status-details-bin"
_CODES: Final[Mapping[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}

_DetailT = TypeVar("_DetailT", bound=Message)


class FieldViolation(NamedTuple):
    """A field of the request, by its path, and the rule that it breaks."""

    field: str
    description: str


class PreconditionViolation(NamedTuple):
    """A condition that was not met: its type, its subject, and a sentence about it."""

    type: str
    subject: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed call as the server reported it."""

    code: grpc.StatusCode
    reason: str
    message: str
    request_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after_seconds: float | None = None
    field_violations: tuple[FieldViolation, ...] = ()
    precondition_violations: tuple[PreconditionViolation, ...] = ()
    shortages: Shortages = field(default_factory=Shortages)
    """The lines that ask for too many copies; empty unless that is the reason."""
    failed_operations: "tuple[tuple[int, Failure], ...]" = ()
    """The operations of an atomic batch that failed, each with its index."""


def read_failure(error: grpc.RpcError, *, target: str, request_id: str) -> Failure:
    """Read an error of gRPC. Without details from the server, the reason is the name of the code."""
    code = error.code()
    status = _status_of(error.trailing_metadata() or ())
    info = _detail(status, ErrorInfo)
    if info.domain != _DOMAIN:
        message = _message_without_details(code, error.details() or "", target)
        return Failure(code=code, reason=code.name, message=message, request_id=request_id)
    return _failure_of(status, code, request_id)


def operation_failure(error: batch_pb2.Status, *, request_id: str) -> Failure:
    """Read the error of an operation of a batch."""
    return _failure_of(error, _CODES.get(error.code, grpc.StatusCode.UNKNOWN), request_id)


def _failure_of(status: Status | batch_pb2.Status, code: grpc.StatusCode, request_id: str) -> Failure:
    info, retry = _detail(status, ErrorInfo), _detail(status, RetryInfo)
    refused = _detail(status, batch_pb2.BatchRefused)
    return Failure(
        code=code,
        reason=info.reason or code.name,
        message=status.message,
        request_id=request_id,
        metadata=dict(info.metadata),
        retry_after_seconds=(
            retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None
        ),
        field_violations=tuple(
            FieldViolation(each.field, each.description) for each in _detail(status, BadRequest).field_violations
        ),
        precondition_violations=tuple(
            PreconditionViolation(each.type, each.subject, each.description)
            for each in _detail(status, PreconditionFailure).violations
        ),
        shortages=_detail(status, Shortages),
        failed_operations=tuple(
            (each.index, operation_failure(each.error, request_id=request_id)) for each in refused.operations
        ),
    )


def unreachable(target: str, waited_seconds: float) -> Failure:
    """Return the failure of a client that got no connection within a time."""
    code = grpc.StatusCode.UNAVAILABLE
    message = _message_without_details(code, f"no connection within {waited_seconds:g} s", target)
    return Failure(code=code, reason=code.name, message=message)


def _status_of(trailers: Iterable[Any]) -> Status:
    """Decode the status among (key, value) pairs. Return an empty one if there is none, or it cannot be decoded."""
    for key, value in trailers:
        if key == _DETAILS_KEY:
            with suppress(DecodeError):
                return Status.FromString(value)
    return Status()


def _detail(status: Status | batch_pb2.Status, kind: type[_DetailT]) -> _DetailT:
    """Return the detail of one kind. Return an empty one if there is none, or it cannot be decoded."""
    for packed in status.details:
        detail = kind()
        with suppress(DecodeError):
            if packed.Unpack(detail):
                return detail
    return kind()


def _message_without_details(code: grpc.StatusCode, details: str, target: str) -> str:
    match code:
        case grpc.StatusCode.UNAVAILABLE:
            return f"no Tallykeeper server answers at {target}: {details}"
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{target} did not answer before the deadline: it could not be reached, or was too slow"
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"the gRPC server at {target} does not know this call: it is an older server or another program"
        case _:
            return f"the call to {target} failed with {code.name}: {details}"
