"""Translates errors into gRPC statuses. One table gives the code of each reason."""

from collections.abc import Iterable, Iterator, Mapping, MutableSequence, Sequence
from typing import Final, TypeAlias

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

from tallykeeper.v1 import batch_pb2, inventory_pb2
from tallykeeper_server.domain.errors import (
    BatchRefusedError,
    InvalidFieldError,
    OverloadedError,
    RefusedError,
    RefusedLine,
    RequestTooLargeError,
    RetryLaterError,
    TallyError,
)
from tallykeeper_server.transport.http2.request_headers import header_list_bytes
from tallykeeper_server.transport.status import Code, MessageTooLargeError, NoRoomError, StatusError

DOMAIN: Final = "tallykeeper.io"

_FAILED_OPERATIONS_BYTES_MAX: Final = 3_600
"""The bytes that the list of failed operations in an error may take. They travel in base64."""
_TRAILERS_BYTES_MAX: Final = 7_900
"""The size of an error's trailers, as HTTP/2 counts it. gRPC's clients refuse a part of the answers whose headers and
trailers take more than 8,192 bytes. The caller would then lose the code and the reason. The headers take 200 bytes."""

CODES: Final = {
    "INVALID_FIELD": Code.INVALID_ARGUMENT,
    "PAGE_TOKEN_INVALID": Code.INVALID_ARGUMENT,
    "REQUEST_ID_REUSED": Code.INVALID_ARGUMENT,
    "BATCH_TOO_LARGE": Code.INVALID_ARGUMENT,
    "BATCH_REFUSED": Code.FAILED_PRECONDITION,  # or the code of its first failed operation
    "COUNTER_NOT_FOUND": Code.NOT_FOUND,
    "ITEM_NOT_FOUND": Code.NOT_FOUND,
    "RESERVATION_NOT_FOUND": Code.NOT_FOUND,
    "RESERVATION_EXISTS": Code.ALREADY_EXISTS,
    "COMMIT_EXCEEDS_RESERVED": Code.FAILED_PRECONDITION,
    "INSUFFICIENT_STOCK": Code.FAILED_PRECONDITION,
    "RESERVATION_COMMITTED": Code.FAILED_PRECONDITION,
    "RESERVATION_EXPIRED": Code.FAILED_PRECONDITION,
    "RESERVATION_RELEASED": Code.FAILED_PRECONDITION,
    "STOCK_BELOW_RESERVED": Code.FAILED_PRECONDITION,
    "STOCK_NOT_EMPTY": Code.FAILED_PRECONDITION,
    "COUNTER_BOUND_EXCEEDED": Code.OUT_OF_RANGE,
    "RESERVATION_LIFETIME_EXCEEDED": Code.OUT_OF_RANGE,
    "REVISION_AHEAD": Code.OUT_OF_RANGE,
    "REVISION_TRIMMED": Code.OUT_OF_RANGE,
    "VALUE_OVERFLOW": Code.OUT_OF_RANGE,
    "REVISIONS_LOST": Code.DATA_LOSS,
    "LEVEL_DAMAGED": Code.DATA_LOSS,
    "VALUE_CHANGED": Code.ABORTED,
    "CREDENTIAL_EXPIRED": Code.UNAUTHENTICATED,
    "CREDENTIAL_INVALID": Code.UNAUTHENTICATED,
    "CREDENTIAL_MISSING": Code.UNAUTHENTICATED,
    "PERMISSION_DENIED": Code.PERMISSION_DENIED,
    "OVERLOADED": Code.RESOURCE_EXHAUSTED,
    "REQUEST_TOO_LARGE": Code.RESOURCE_EXHAUSTED,
    "RATE_LIMITED": Code.RESOURCE_EXHAUSTED,
    "STORE_OUT_OF_MEMORY": Code.RESOURCE_EXHAUSTED,
    "TOO_MANY_WATCHES": Code.RESOURCE_EXHAUSTED,
    "WATCHER_TOO_SLOW": Code.RESOURCE_EXHAUSTED,
    "SHUTTING_DOWN": Code.UNAVAILABLE,
    "STORE_UNAVAILABLE": Code.UNAVAILABLE,
    "OUTCOME_UNKNOWN": Code.UNAVAILABLE,
    "NOT_DURABLE_YET": Code.UNAVAILABLE,
    "DEADLINE_EXCEEDED": Code.DEADLINE_EXCEEDED,
    "INTERNAL": Code.INTERNAL,
}

SHORTAGE_REASONS: Final = frozenset({"INSUFFICIENT_STOCK", "COMMIT_EXCEEDS_RESERVED"})
"""The reasons whose errors carry a tallykeeper.v1.Shortages."""
_SHORTAGE_NUMBERS: Final = ("requested", "available", "backorder_limit", "reserved")

Trailers: TypeAlias = tuple[tuple[str, str | bytes], ...]
_PUSHBACK: Final = "grpc-retry-pushback-ms"
"""The trailer of gRFC A6: the milliseconds after which a client tries again, or a negative number if it must not."""
_PUSHBACK_SECONDS_MAX: Final = 1.0
"""The longest delay for which gRPC's own retries wait. The caller does not learn the reason while they wait."""


def status_of(error: TallyError) -> StatusError:
    """Return the status of an error: its code, its message, and trailers with its details and a retry delay.

    The details travel as google.rpc.Status in ``grpc-status-details-bin``, as gRPC's richer error model says.
    """
    code = _code_of(error)
    trailers = _pushback_trailer_of(error, code)
    details = list(_details_of(error, code))
    status = _status(code, error.message, details, trailers)
    while header_list_bytes(status.fields) > _TRAILERS_BYTES_MAX and _shorten(details):
        status = _status(code, error.message, details, trailers)
    return status


def _status(code: Code, message: str, details: Sequence[Message], trailers: Trailers) -> StatusError:
    status = Status(code=code, message=message, details=_packed(details))
    return StatusError(code, message, (("grpc-status-details-bin", status.SerializeToString()), *trailers))


def _shorten(details: Iterable[Message]) -> bool:
    """Drop the second half of the longest list in some details. Return whether there was one to shorten."""
    lists = [
        content for detail in details for _, content in detail.ListFields() if isinstance(content, MutableSequence)
    ]
    longest = max(lists, key=len, default=[None])
    if len(longest) == 1:
        return False
    del longest[(len(longest) + 1) // 2 :]
    return True


def _pushback_trailer_of(error: TallyError, code: Code) -> Trailers:
    if isinstance(error, RetryLaterError) and code is Code.RESOURCE_EXHAUSTED:
        # There is no pushback while the store is away. It would replace the growing delay of a client's retries, and
        # the client would use up its attempts before the store is back.
        return ((_PUSHBACK, _pushback_of(error.retry_after_seconds)),)
    if isinstance(error, RequestTooLargeError):
        return ((_PUSHBACK, "-1"),)
    return ()


def _pushback_of(retry_after_seconds: float) -> str:
    """Return the pushback for a delay: the delay in milliseconds if it is short, otherwise -1, which means no retry.

    A longer delay than a call's deadline would make DEADLINE_EXCEEDED of a refusal that names its reason and delay.
    """
    if retry_after_seconds > _PUSHBACK_SECONDS_MAX:
        return "-1"
    return str(int(retry_after_seconds * 1000))


def _code_of(error: TallyError) -> Code:
    """Return the code of an error: that of its reason, or UNKNOWN if a repeat might make a change twice.

    Retry policies repeat UNAVAILABLE, and no policy repeats UNKNOWN.
    """
    if isinstance(error, RetryLaterError) and not error.is_safe_to_repeat:
        return Code.UNKNOWN
    if isinstance(error, BatchRefusedError):
        _, first = error.failed[0]
        return CODES[first.reason]
    return CODES[error.reason]


def operation_status(error: RefusedError) -> batch_pb2.Status:
    """Return the message for the error of an operation in a batch, with the details that its own RPC would give."""
    code = CODES[error.reason]
    return batch_pb2.Status(code=code, message=error.message, details=_packed(_details_of(error, code)))


def _batch_refused(error: BatchRefusedError) -> batch_pb2.BatchRefused:
    """Return the detail that lists failed operations: at least one, and more while the trailers have room."""
    detail = batch_pb2.BatchRefused(failed_count=error.failed_count)
    size = len(error.message.encode())
    for index, refused in error.failed:
        status = batch_pb2.Status(
            code=CODES[refused.reason], message=refused.message, details=_packed(_brief_details_of(refused))
        )
        size += status.ByteSize()
        if detail.operations and size > _FAILED_OPERATIONS_BYTES_MAX:
            break
        detail.operations.append(batch_pb2.FailedOperation(index=index, error=status))
    return detail


def _packed(details: Iterable[Message]) -> list[Any]:
    """Return details, each packed into an Any with its type."""
    packed = []
    for detail in details:
        packed.append(Any())
        packed[-1].Pack(detail)
    return packed


def _info_of(error: TallyError) -> ErrorInfo:
    return ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.facts)


def explained(refusal: StatusError) -> StatusError:
    """Return a refusal of the transport with the reason and the details that an error of this layer has."""
    if isinstance(refusal, MessageTooLargeError):
        return status_of(RequestTooLargeError(size=refusal.size, limit=refusal.limit))
    if isinstance(refusal, NoRoomError):
        error = OverloadedError(refusal.message)
        error.retry_after_seconds = refusal.retry_after_ms / 1_000
        return status_of(error)
    return refusal


def _brief_details_of(error: RefusedError) -> Iterator[Message]:
    """Yield the details of an operation that failed: those from which programs read the values."""
    yield _info_of(error)
    if error.reason in SHORTAGE_REASONS:
        yield _shortages_of(error)


def _details_of(error: TallyError, code: Code) -> Iterator[Message]:
    yield _info_of(error)
    if isinstance(error, BatchRefusedError):
        yield _batch_refused(error)
    if error.reason == "REQUEST_ID_REUSED":
        yield BadRequest(field_violations=[BadRequest.FieldViolation(field="request_id", description=error.message)])
    if isinstance(error, InvalidFieldError):
        yield BadRequest(
            field_violations=[
                BadRequest.FieldViolation(field=field, description=rule) for field, rule in error.violations
            ]
        )
    if isinstance(error, RefusedError) and code is Code.FAILED_PRECONDITION:
        yield PreconditionFailure(
            violations=[
                PreconditionFailure.Violation(
                    type=error.reason, subject=_subject_of(line.facts), description=line.sentence
                )
                for line in _lines_of(error)
            ]
        )
    if error.reason in SHORTAGE_REASONS and isinstance(error, RefusedError):
        yield _shortages_of(error)
    if isinstance(error, RetryLaterError) and error.is_safe_to_repeat:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_seconds * 1000))
        yield RetryInfo(retry_delay=delay)


def _lines_of(error: RefusedError) -> Sequence[RefusedLine]:
    """Return the lines that were refused. A mutation of one level has one line."""
    return error.lines or (RefusedLine(error.message, error.facts),)


def _shortages_of(error: RefusedError) -> inventory_pb2.Shortages:
    """Return the detail that lists the lines with too few copies, with their figures as numbers."""
    lines = _lines_of(error)
    detail = inventory_pb2.Shortages(count=int(error.facts.get("lines", len(lines))))
    for line in lines:
        numbers = {name: int(line.facts[name]) for name in _SHORTAGE_NUMBERS if name in line.facts}
        detail.shortages.add(item=line.facts["item"], location=line.facts["location"], **numbers)
    return detail


def _subject_of(facts: Mapping[str, str]) -> str:
    if "item" in facts:
        return f"{facts['item']} at {facts['location']}"
    return facts["reservation_id"]
