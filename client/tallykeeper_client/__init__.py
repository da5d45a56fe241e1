"""The Python client of Tallykeeper: counters and stock that many callers change at once.

`Client` blocks, and `AsyncClient` is awaited. Both have the same methods. Both repeat a call that met an unavailable
server, under the same request id, until the call's deadline. A call that fails raises a subclass of `TallykeeperError`.

    >>> with Client(target, namespace=namespace) as client:
    ...     print(client.increment("visitors").counter.value)
    ...     print(client.increment_copies("dune", copies=2).stock_level.available)
    ...     try:
    ...         client.decrement_copies("dune", copies=3, reference="order-17")
    ...     except InsufficientStock as error:
    ...         print(f"only {error.available} left")
    1
    2
    only 2 left

`Client.apply` makes many changes in one call, and `operations` makes these changes. `Client.watch` follows the changes:

    >>> from contextlib import closing
    >>> with Client(target, namespace=namespace) as client, closing(client.watch(after_revision=0)) as entries:
    ...     print([next(entries).revision for _ in range(2)])
    [1, 2]

Responses are the generated messages of `tallykeeper.v1`, so all languages use the same names.

In the examples, ``target`` is the address of a server, such as ``127.0.0.1:50051``, ``namespace`` is an unused
namespace, and ``client`` is a `Client` with both.
"""

from tallykeeper.v1.batch_pb2 import ApplyResponse, Operation, OperationResult
from tallykeeper.v1.counter_pb2 import Counter, NewCounter
from tallykeeper.v1.inventory_pb2 import AvailabilityLine, ShortagePolicy, StockKey, StockLevel
from tallykeeper.v1.ledger_pb2 import (
    CounterChange,
    Difference,
    DifferenceKind,
    Entry,
    EntryLine,
    OperationKind,
    RequestOutcome,
    StockChange,
    ThresholdCrossing,
    VerifyNamespaceResponse,
    VerifyProgress,
    VerifyResult,
    WatchResponse,
)
from tallykeeper.v1.reservation_pb2 import Reservation, ReservationLine, ReservationState, StockLine
from tallykeeper_client._calls.base import UNCHANGED, MutationOptions, ReadOptions, Unchanged, fresh_request_id
from tallykeeper_client._channel import TIMEOUT_SECONDS_DEFAULT, tls_credentials
from tallykeeper_client._status_details import FieldViolation, PreconditionViolation
from tallykeeper_client.async_client import AsyncClient
from tallykeeper_client.batch import Batch
from tallykeeper_client.client import Client
from tallykeeper_client.errors import (
    BatchRefused,
    BatchTooLarge,
    CommitExceedsReserved,
    CounterBoundExceeded,
    CounterNotFound,
    CredentialExpired,
    CredentialInvalid,
    CredentialMissing,
    DeadlineExceeded,
    ExcessLine,
    FailedOperation,
    InsufficientStock,
    InternalError,
    InvalidField,
    ItemNotFound,
    LevelDamaged,
    NotDurableYet,
    OutcomeUnknown,
    Overloaded,
    PageTokenInvalid,
    PermissionDenied,
    RateLimited,
    RequestIdReused,
    RequestTooLarge,
    ReservationCommitted,
    ReservationExists,
    ReservationExpired,
    ReservationLifetimeExceeded,
    ReservationNotFound,
    ReservationReleased,
    RevisionAhead,
    RevisionsLost,
    RevisionTrimmed,
    ShortLine,
    ShuttingDown,
    StockBelowReserved,
    StockNotEmpty,
    StoreOutOfMemory,
    StoreUnavailable,
    TallykeeperError,
    TooManyWatches,
    Unauthenticated,
    Unavailable,
    ValueChanged,
    ValueOverflow,
    WatcherTooSlow,
    error_of_result,
)
from tallykeeper_client.operations import operations

__all__ = [
    "TIMEOUT_SECONDS_DEFAULT",
    "UNCHANGED",
    "ApplyResponse",
    "AsyncClient",
    "AvailabilityLine",
    "Batch",
    "BatchRefused",
    "BatchTooLarge",
    "Client",
    "CommitExceedsReserved",
    "Counter",
    "CounterBoundExceeded",
    "CounterChange",
    "CounterNotFound",
    "CredentialExpired",
    "CredentialInvalid",
    "CredentialMissing",
    "DeadlineExceeded",
    "Difference",
    "DifferenceKind",
    "Entry",
    "EntryLine",
    "ExcessLine",
    "FailedOperation",
    "FieldViolation",
    "InsufficientStock",
    "InternalError",
    "InvalidField",
    "ItemNotFound",
    "LevelDamaged",
    "MutationOptions",
    "NewCounter",
    "NotDurableYet",
    "Operation",
    "OperationKind",
    "OperationResult",
    "OutcomeUnknown",
    "Overloaded",
    "PageTokenInvalid",
    "PermissionDenied",
    "PreconditionViolation",
    "RateLimited",
    "ReadOptions",
    "RequestIdReused",
    "RequestOutcome",
    "RequestTooLarge",
    "Reservation",
    "ReservationCommitted",
    "ReservationExists",
    "ReservationExpired",
    "ReservationLifetimeExceeded",
    "ReservationLine",
    "ReservationNotFound",
    "ReservationReleased",
    "ReservationState",
    "RevisionAhead",
    "RevisionTrimmed",
    "RevisionsLost",
    "ShortLine",
    "ShortagePolicy",
    "ShuttingDown",
    "StockBelowReserved",
    "StockChange",
    "StockKey",
    "StockLevel",
    "StockLine",
    "StockNotEmpty",
    "StoreOutOfMemory",
    "StoreUnavailable",
    "TallykeeperError",
    "ThresholdCrossing",
    "TooManyWatches",
    "Unauthenticated",
    "Unavailable",
    "Unchanged",
    "ValueChanged",
    "ValueOverflow",
    "VerifyNamespaceResponse",
    "VerifyProgress",
    "VerifyResult",
    "WatchResponse",
    "WatcherTooSlow",
    "error_of_result",
    "fresh_request_id",
    "operations",
    "tls_credentials",
]
