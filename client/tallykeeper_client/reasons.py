"""Which reason is which exception, for calls that fail and for operations of a batch that do."""

from collections.abc import Mapping
from typing import Final

from tallykeeper.v1.batch_pb2 import OperationResult
from tallykeeper_client._status_details import Failure, operation_failure
from tallykeeper_client.errors import (
    BatchRefused,
    BatchTooLarge,
    CredentialExpired,
    CredentialInvalid,
    CredentialMissing,
    DeadlineExceeded,
    FailedOperation,
    InternalError,
    InvalidField,
    LevelDamaged,
    NotDurableYet,
    OutcomeUnknown,
    Overloaded,
    PageTokenInvalid,
    PermissionDenied,
    RateLimited,
    RequestIdReused,
    RequestTooLarge,
    RevisionAhead,
    RevisionsLost,
    RevisionTrimmed,
    ShuttingDown,
    StoreOutOfMemory,
    StoreUnavailable,
    TallykeeperError,
    TooManyWatches,
    Unauthenticated,
    Unavailable,
    WatcherTooSlow,
)
from tallykeeper_client.refusals import (
    CommitExceedsReserved,
    CounterBoundExceeded,
    CounterNotFound,
    InsufficientStock,
    ItemNotFound,
    ReservationCommitted,
    ReservationExists,
    ReservationExpired,
    ReservationLifetimeExceeded,
    ReservationNotFound,
    ReservationReleased,
    StockBelowReserved,
    StockNotEmpty,
    ValueChanged,
    ValueOverflow,
)

CLASS_OF_REASON: Final[Mapping[str, type[TallykeeperError]]] = {
    "BATCH_REFUSED": BatchRefused,
    "BATCH_TOO_LARGE": BatchTooLarge,
    "COMMIT_EXCEEDS_RESERVED": CommitExceedsReserved,
    "COUNTER_BOUND_EXCEEDED": CounterBoundExceeded,
    "COUNTER_NOT_FOUND": CounterNotFound,
    "CREDENTIAL_EXPIRED": CredentialExpired,
    "CREDENTIAL_INVALID": CredentialInvalid,
    "CREDENTIAL_MISSING": CredentialMissing,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "INSUFFICIENT_STOCK": InsufficientStock,
    "INTERNAL": InternalError,
    "INVALID_FIELD": InvalidField,
    "ITEM_NOT_FOUND": ItemNotFound,
    "LEVEL_DAMAGED": LevelDamaged,
    "NOT_DURABLE_YET": NotDurableYet,
    "OUTCOME_UNKNOWN": OutcomeUnknown,
    "OVERLOADED": Overloaded,
    "PAGE_TOKEN_INVALID": PageTokenInvalid,
    "PERMISSION_DENIED": PermissionDenied,
    "RATE_LIMITED": RateLimited,
    "REQUEST_ID_REUSED": RequestIdReused,
    "REQUEST_TOO_LARGE": RequestTooLarge,
    "RESERVATION_COMMITTED": ReservationCommitted,
    "RESERVATION_EXISTS": ReservationExists,
    "RESERVATION_EXPIRED": ReservationExpired,
    "RESERVATION_LIFETIME_EXCEEDED": ReservationLifetimeExceeded,
    "RESERVATION_NOT_FOUND": ReservationNotFound,
    "RESERVATION_RELEASED": ReservationReleased,
    "REVISIONS_LOST": RevisionsLost,
    "REVISION_AHEAD": RevisionAhead,
    "REVISION_TRIMMED": RevisionTrimmed,
    "SHUTTING_DOWN": ShuttingDown,
    "STOCK_BELOW_RESERVED": StockBelowReserved,
    "STOCK_NOT_EMPTY": StockNotEmpty,
    "STORE_OUT_OF_MEMORY": StoreOutOfMemory,
    "STORE_UNAVAILABLE": StoreUnavailable,
    "TOO_MANY_WATCHES": TooManyWatches,
    "UNAUTHENTICATED": Unauthenticated,
    "UNAVAILABLE": Unavailable,
    "VALUE_CHANGED": ValueChanged,
    "VALUE_OVERFLOW": ValueOverflow,
    "WATCHER_TOO_SLOW": WatcherTooSlow,
}


def error_of(failure: Failure) -> TallykeeperError:
    """Make the exception of a failure; the plain one where values that its reason promises are missing.

    A reason that is not known is the class of its code, if that is one.
    """
    of_code = CLASS_OF_REASON.get(failure.code.name, TallykeeperError)
    kind = CLASS_OF_REASON.get(failure.reason, of_code)
    try:
        if kind is BatchRefused:
            failed = (FailedOperation(index, error_of(each)) for index, each in failure.failed_operations)
            return BatchRefused(failure, failed)
        return kind(failure)
    except (KeyError, ValueError):
        return TallykeeperError(failure)


def error_of_result(result: OperationResult, *, request_id: str = "") -> TallykeeperError | None:
    """Make the exception that an operation's own call would have raised; None if the operation did not fail.

    ``request_id`` is what the exception is to name: that of the batch.
    """
    if not result.HasField("error"):
        return None
    return error_of(operation_failure(result.error, request_id=request_id))
