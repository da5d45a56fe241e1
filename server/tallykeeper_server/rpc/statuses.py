"""What each error is on the wire. One table, one place."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status

from tallykeeper_server.domain.errors import (
    InvalidFieldError,
    OverloadedError,
    RefusedError,
    RefusedLine,
    RequestTooLargeError,
    RetryLaterError,
    TallyError,
)
from tallykeeper_server.transport.status import Code, MessageTooLargeError, NoRoomError, StatusError

DOMAIN: Final = "tallykeeper.io"

CODES: Final = {
    "INVALID_FIELD": Code.INVALID_ARGUMENT,
    "PAGE_TOKEN_INVALID": Code.INVALID_ARGUMENT,
    "REQUEST_ID_REUSED": Code.INVALID_ARGUMENT,
    "BATCH_TOO_LARGE": Code.INVALID_ARGUMENT,
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

Trailers: TypeAlias = tuple[tuple[str, str | bytes], ...]
_PUSHBACK: Final = "grpc-retry-pushback-ms"
"""gRFC A6: the milliseconds after which a client may try again; a negative number: it shall not."""


def status_of(error: TallyError) -> StatusError:
    """Return an error as a status: its code and message, and trailers with its details and a retry delay.

    The details travel as google.rpc.Status in ``grpc-status-details-bin``, as gRPC's richer error model says.
    """
    code = _code_of(error)
    status = Status(code=code, message=error.message)
    for detail in _details_of(error, code):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailers: Trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    if isinstance(error, RetryLaterError) and code is Code.RESOURCE_EXHAUSTED:
        # Not when the store is away: the pushback would replace a client's growing backoff, and its attempts would
        # be spent before the store is back.
        trailers += ((_PUSHBACK, str(int(error.retry_after_seconds * 1000))),)
    elif isinstance(error, RequestTooLargeError):
        trailers += ((_PUSHBACK, "-1"),)
    return StatusError(code, error.message, trailers)


def _code_of(error: TallyError) -> Code:
    """Return an error's code: that of its reason, or UNKNOWN where a repeat might make a change twice.

    Retry policies repeat UNAVAILABLE, and no policy repeats UNKNOWN.
    """
    if isinstance(error, RetryLaterError) and not error.is_safe_to_repeat:
        return Code.UNKNOWN
    return CODES[error.reason]


def explained(refusal: StatusError) -> StatusError:
    """Return a refusal that the transport itself makes as one with a reason and details."""
    if isinstance(refusal, MessageTooLargeError):
        return status_of(RequestTooLargeError(size=refusal.size, limit=refusal.limit))
    if isinstance(refusal, NoRoomError):
        error = OverloadedError(refusal.message)
        error.retry_after_seconds = refusal.retry_after_ms / 1_000
        return status_of(error)
    return refusal


def _details_of(error: TallyError, code: Code) -> Iterator[Message]:
    yield ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.facts)
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
                for line in error.lines or (RefusedLine(error.message, error.facts),)
            ]
        )
    if isinstance(error, RetryLaterError) and error.is_safe_to_repeat:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_seconds * 1000))
        yield RetryInfo(retry_delay=delay)


def _subject_of(facts: Mapping[str, str]) -> str:
    if "item" in facts:
        return f"{facts['item']} at {facts['location']}"
    return facts["reservation_id"]
