"""What each error is on the wire. One table, one place."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from tallykeeper_server.domain.errors import InvalidFieldError, RefusedError, RefusedLine, RetryLaterError, TallyError

DOMAIN: Final = "tallykeeper.io"

CODES: Final = {
    "INVALID_FIELD": StatusCode.INVALID_ARGUMENT,
    "PAGE_TOKEN_INVALID": StatusCode.INVALID_ARGUMENT,
    "REQUEST_ID_REUSED": StatusCode.INVALID_ARGUMENT,
    "BATCH_TOO_LARGE": StatusCode.INVALID_ARGUMENT,
    "COUNTER_NOT_FOUND": StatusCode.NOT_FOUND,
    "ITEM_NOT_FOUND": StatusCode.NOT_FOUND,
    "RESERVATION_NOT_FOUND": StatusCode.NOT_FOUND,
    "RESERVATION_EXISTS": StatusCode.ALREADY_EXISTS,
    "COMMIT_EXCEEDS_RESERVED": StatusCode.FAILED_PRECONDITION,
    "INSUFFICIENT_STOCK": StatusCode.FAILED_PRECONDITION,
    "RESERVATION_COMMITTED": StatusCode.FAILED_PRECONDITION,
    "RESERVATION_EXPIRED": StatusCode.FAILED_PRECONDITION,
    "RESERVATION_RELEASED": StatusCode.FAILED_PRECONDITION,
    "STOCK_BELOW_RESERVED": StatusCode.FAILED_PRECONDITION,
    "STOCK_NOT_EMPTY": StatusCode.FAILED_PRECONDITION,
    "COUNTER_BOUND_EXCEEDED": StatusCode.OUT_OF_RANGE,
    "RESERVATION_LIFETIME_EXCEEDED": StatusCode.OUT_OF_RANGE,
    "REVISION_AHEAD": StatusCode.OUT_OF_RANGE,
    "REVISION_TRIMMED": StatusCode.OUT_OF_RANGE,
    "VALUE_OVERFLOW": StatusCode.OUT_OF_RANGE,
    "REVISIONS_LOST": StatusCode.DATA_LOSS,
    "LEVEL_DAMAGED": StatusCode.DATA_LOSS,
    "VALUE_CHANGED": StatusCode.ABORTED,
    "CREDENTIAL_EXPIRED": StatusCode.UNAUTHENTICATED,
    "CREDENTIAL_INVALID": StatusCode.UNAUTHENTICATED,
    "CREDENTIAL_MISSING": StatusCode.UNAUTHENTICATED,
    "PERMISSION_DENIED": StatusCode.PERMISSION_DENIED,
    "OVERLOADED": StatusCode.RESOURCE_EXHAUSTED,
    "RATE_LIMITED": StatusCode.RESOURCE_EXHAUSTED,
    "STORE_OUT_OF_MEMORY": StatusCode.RESOURCE_EXHAUSTED,
    "TOO_MANY_WATCHES": StatusCode.RESOURCE_EXHAUSTED,
    "WATCHER_TOO_SLOW": StatusCode.RESOURCE_EXHAUSTED,
    "SHUTTING_DOWN": StatusCode.UNAVAILABLE,
    "STORE_UNAVAILABLE": StatusCode.UNAVAILABLE,
    "OUTCOME_UNKNOWN": StatusCode.UNAVAILABLE,
    "NOT_DURABLE_YET": StatusCode.UNAVAILABLE,
    "DEADLINE_EXCEEDED": StatusCode.DEADLINE_EXCEEDED,
    "INTERNAL": StatusCode.INTERNAL,
}

Trailers: TypeAlias = tuple[tuple[str, str | bytes], ...]


def status_of(error: TallyError) -> tuple[StatusCode, str, Trailers]:
    """Return an error's code, its message, and trailers with its details and when to come back.

    The details travel as google.rpc.Status in ``grpc-status-details-bin``, as gRPC's richer error model says.
    """
    code = _code_of(error)
    status = Status(code=code.value[0], message=error.message)
    for detail in _details_of(error, code):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailers: Trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    if isinstance(error, RetryLaterError) and code is StatusCode.RESOURCE_EXHAUSTED:
        # Not when the store is away: the pushback would replace a client's growing backoff, and its attempts would
        # be spent before the store is back.
        trailers += (("grpc-retry-pushback-ms", str(int(error.retry_after_seconds * 1000))),)
    return code, error.message, trailers


def _code_of(error: TallyError) -> StatusCode:
    """Return an error's code: that of its reason, or UNKNOWN where a repeat might make a change twice.

    Retry policies repeat UNAVAILABLE, and no policy repeats UNKNOWN.
    """
    if isinstance(error, RetryLaterError) and not error.is_safe_to_repeat:
        return StatusCode.UNKNOWN
    return CODES[error.reason]


def _details_of(error: TallyError, code: StatusCode) -> Iterator[Message]:
    yield ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.facts)
    if error.reason == "REQUEST_ID_REUSED":
        yield BadRequest(field_violations=[BadRequest.FieldViolation(field="request_id", description=error.message)])
    if isinstance(error, InvalidFieldError):
        yield BadRequest(
            field_violations=[
                BadRequest.FieldViolation(field=field, description=rule) for field, rule in error.violations
            ]
        )
    if isinstance(error, RefusedError) and code is StatusCode.FAILED_PRECONDITION:
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
