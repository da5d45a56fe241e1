"""The exceptions that calls raise, one for each reason of the contract. All are `TallykeeperError`.

A class has the name of its reason. The values that the server sends with the reason become its attributes.
"""
# ruff: noqa: N818 -- each class has the name of its reason

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import get_annotations
from types import NoneType
from typing import Any, ClassVar, Final, NamedTuple, get_args, get_type_hints

import grpc

from tallykeeper.v1.batch_pb2 import OperationResult
from tallykeeper_client._status_details import Failure, FieldViolation, PreconditionViolation, operation_failure

_CLASSES: Final[dict[str, type["TallykeeperError"]]] = {}

Convert = Callable[[str | None], object]


class TallykeeperError(Exception):
    """A call that failed.

    Attributes:
        code: The status code of gRPC.
        reason: The contract's word for the failure, such as ``INSUFFICIENT_STOCK``. The name of ``code`` if the server
            sent none.
        message: A sentence for people.
        metadata: The values that belong to the reason, as text.
        retry_after_seconds: The seconds that the server asks for before another attempt; None if it asks for none.
        request_id: The request id that was sent; empty for a read. If the outcome of a mutation is unknown, the same
            call with this id returns it.

    Example:
        >>> try:
        ...     client.decrement_copies("dune", copies=2)
        ... except TallykeeperError as error:
        ...     print(error.reason, error.metadata["item"])
        ITEM_NOT_FOUND dune

    """

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str]
    retry_after_seconds: float | None
    request_id: str

    _values: ClassVar[Mapping[str, Convert]] = {}
    """The function that makes an attribute of each value that belongs to the reason."""

    def __init_subclass__(cls, *, reason: str | None = None, values: Iterable[str] | None = None) -> None:
        """Make this the class of a reason.

        ``values`` names the attributes that the metadata holds. By default, these are all annotated attributes of the
        class.
        """
        super().__init_subclass__()
        types = {name: kind for name, kind in get_type_hints(cls).items() if name in get_annotations(cls)}
        names = types if values is None else values
        cls._values = {**cls._values, **{name: _conversion(name, types[name]) for name in names}}
        if reason is not None:
            _CLASSES[reason] = cls

    def __init__(self, failure: Failure) -> None:
        """Take the values of a failure.

        Raises IndexError, KeyError or ValueError if a value that the reason needs is missing.
        """
        super().__init__(failure)
        self.code = failure.code
        self.reason = failure.reason
        self.message = failure.message
        self.metadata = failure.metadata
        self.retry_after_seconds = failure.retry_after_seconds
        self.request_id = failure.request_id
        for name, convert in self._values.items():
            setattr(self, name, convert(failure.metadata.get(name)))

    def __str__(self) -> str:
        return self.message


def _conversion(name: str, kind: Any) -> Convert:  # noqa: ANN401  # a type, or a union with None
    """Return the function that converts a text of the metadata to the type of its attribute."""
    kinds = get_args(kind) or (kind,)
    number = int in kinds

    def convert(text: str | None) -> object:
        if text is None:
            if NoneType not in kinds:
                raise KeyError(name)
            return None
        return int(text) if number else text

    return convert


class InvalidField(TallykeeperError, reason="INVALID_FIELD", values=()):
    """Fields of the request break a rule, and nothing was changed. ``violations`` has each field with its rule."""

    violations: tuple[FieldViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.violations = failure.field_violations


class PageTokenInvalid(InvalidField, reason="PAGE_TOKEN_INVALID"):
    """The page token does not belong to this listing. Begin the listing again without a token."""


class RequestIdReused(TallykeeperError, reason="REQUEST_ID_REUSED"):
    """Another request had this request id before, and nothing was changed. Use a new id for each mutation."""


class Unauthenticated(TallykeeperError, reason="UNAUTHENTICATED"):
    """The server does not know the caller, and nothing was changed."""


class CredentialMissing(Unauthenticated, reason="CREDENTIAL_MISSING"):
    """The call had no credential: neither a token nor a certificate that names its caller."""


class CredentialInvalid(Unauthenticated, reason="CREDENTIAL_INVALID"):
    """The server does not know the credential."""


class CredentialExpired(Unauthenticated, reason="CREDENTIAL_EXPIRED"):
    """The credential is no longer valid."""


class PermissionDenied(TallykeeperError, reason="PERMISSION_DENIED"):
    """The caller, named ``identity``, lacks a ``role`` in a ``namespace``. Nothing was changed."""

    identity: str
    role: str
    namespace: str


class RateLimited(TallykeeperError, reason="RATE_LIMITED"):
    """The caller exceeds its rate, and nothing was changed. Call again after ``retry_after_seconds``."""


class Overloaded(TallykeeperError, reason="OVERLOADED"):
    """Too many calls wait at the server, and nothing was changed. Call again after ``retry_after_seconds``."""


class StoreOutOfMemory(TallykeeperError, reason="STORE_OUT_OF_MEMORY"):
    """The store has no memory left for changes. Nothing was changed."""


class Unavailable(TallykeeperError, reason="UNAVAILABLE"):
    """No server answered any attempt. The change may have been made: the same request id gives the outcome."""


class StoreUnavailable(Unavailable, reason="STORE_UNAVAILABLE"):
    """The server cannot reach its store. Nothing was changed."""


class OutcomeUnknown(Unavailable, reason="OUTCOME_UNKNOWN"):
    """The server lost its store during the change. The same request id gives the outcome."""


class NotDurableYet(Unavailable, reason="NOT_DURABLE_YET"):
    """The change was made, but is not yet as durable as its namespace demands. The same request id waits again."""


class DeadlineExceeded(TallykeeperError, reason="DEADLINE_EXCEEDED"):
    """The deadline passed before a response or a connection came. The same request id gives the outcome."""


class InternalError(TallykeeperError, reason="INTERNAL"):
    """A defect of the server, which has logged it."""


@dataclass(frozen=True, slots=True)
class FailedOperation:
    """An operation of a batch that failed: its index, from 0, and its error."""

    index: int
    error: TallykeeperError


class BatchRefused(TallykeeperError, reason="BATCH_REFUSED", values=("failed_count",)):
    """Operations of an atomic batch failed, and nothing was changed. ``code`` is that of the first of these operations.

    Attributes:
        failed_count: The number of operations that failed.
        operations: The first operations that failed, up to 20. The ``error`` of each is the error that its own method
            would have raised.

    Example:
        >>> try:
        ...     client.apply([operations.increment("sales"), operations.decrement_copies("dune")], atomic=True)
        ... except BatchRefused as refusal:
        ...     print(refusal.operations[0].index, refusal.operations[0].error.reason)
        1 ITEM_NOT_FOUND

    """

    failed_count: int
    operations: tuple[FailedOperation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.operations = tuple(FailedOperation(index, error_of(each)) for index, each in failure.failed_operations)


class BatchTooLarge(TallykeeperError, reason="BATCH_TOO_LARGE"):
    """The batch has more ``operations`` or more ``lines`` than the server accepts. Nothing was changed."""

    operations: int
    operations_max: int
    lines: int
    lines_max: int


class RequestTooLarge(TallykeeperError, reason="REQUEST_TOO_LARGE"):
    """The request has ``size`` bytes, and the server accepts up to ``limit``. Nothing was changed."""

    size: int
    limit: int


class CounterNotFound(TallykeeperError, reason="COUNTER_NOT_FOUND"):
    """The counter does not exist."""

    counter: str


class ItemNotFound(TallykeeperError, reason="ITEM_NOT_FOUND"):
    """The stock level does not exist. ``location`` is None if the item has no level at any location."""

    item: str
    location: str | None


class CounterBoundExceeded(TallykeeperError, reason="COUNTER_BOUND_EXCEEDED"):
    """The counter would leave its bounds. Nothing was changed.

    Attributes:
        value: The counter's value, to which ``delta`` was not added. If ``delta`` is None, the value to set, or the
            value that new bounds exclude.
        delta: The number to add; None for a call that adds none.
        min: The lower bound; None if the counter has none.
        max: The upper bound; None if the counter has none.

    """

    value: int
    delta: int | None
    min: int | None
    max: int | None


class ValueOverflow(TallykeeperError, reason="VALUE_OVERFLOW"):
    """The result would be outside -(2^53-1) .. 2^53-1. Nothing was changed. ``metadata`` has the numbers."""


class ValueChanged(TallykeeperError, reason="VALUE_CHANGED"):
    """The value is ``actual`` and not ``expected``. Nothing was changed."""

    actual: int
    expected: int


class ShortLine(NamedTuple):
    """A stock level with fewer copies than a line requested. ``backorder_limit`` more may be taken on backorder."""

    item: str
    location: str
    requested: int
    available: int
    backorder_limit: int


class ExcessLine(NamedTuple):
    """A stock level of which a commit requested more copies than the reservation has."""

    item: str
    location: str
    requested: int
    reserved: int


class InsufficientStock(TallykeeperError, reason="INSUFFICIENT_STOCK", values=()):
    """Fewer copies are available than were requested. Nothing was changed.

    Attributes:
        item: The item of the first line that is short.
        location: The location of the first line that is short.
        requested: The number of copies that the first line asked for.
        available: The number of copies that are available there; it may be below 0.
        backorder_limit: The number of further copies that may be taken on backorder.
        lines: The lines that are short, up to 20.
        short_line_count: The number of lines that are short.
        violations: The short lines in words.

    Example:
        >>> client.set_stock("dune", 2).stock_level.available
        2
        >>> try:
        ...     client.decrement_copies("dune", copies=3)
        ... except InsufficientStock as error:
        ...     print(f"{error.requested} requested, {error.available} available")
        3 requested, 2 available

    """

    item: str
    location: str
    requested: int
    available: int
    backorder_limit: int
    lines: tuple[ShortLine, ...]
    short_line_count: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.lines = tuple(
            ShortLine(line.item, line.location, line.requested, line.available, line.backorder_limit)
            for line in failure.shortages.shortages
        )
        self.short_line_count = failure.shortages.count
        self.item, self.location, self.requested, self.available, self.backorder_limit = self.lines[0]
        self.violations = failure.precondition_violations


class CommitExceedsReserved(TallykeeperError, reason="COMMIT_EXCEEDS_RESERVED", values=()):
    """A commit requested more copies than the reservation has. Nothing was changed.

    Attributes:
        item: The item of the first line that asks for too many copies.
        location: The location of that line.
        requested: The number of copies that the line asked for.
        reserved: The number of copies that the reservation has there.
        lines: The lines that ask for too many copies, up to 20.
        excess_line_count: The number of these lines.
        violations: These lines in words.

    """

    item: str
    location: str
    requested: int
    reserved: int
    lines: tuple[ExcessLine, ...]
    excess_line_count: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.lines = tuple(
            ExcessLine(line.item, line.location, line.requested, line.reserved) for line in failure.shortages.shortages
        )
        self.excess_line_count = failure.shortages.count
        self.item, self.location, self.requested, self.reserved = self.lines[0]
        self.violations = failure.precondition_violations


class StockBelowReserved(
    TallykeeperError,
    reason="STOCK_BELOW_RESERVED",
    values=("item", "location", "on_hand", "reserved", "backorder_limit"),
):
    """``on_hand`` copies and ``backorder_limit`` more would be fewer than are ``reserved``. Nothing was changed."""

    item: str
    location: str
    on_hand: int
    reserved: int
    backorder_limit: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.violations = failure.precondition_violations


class StockNotEmpty(TallykeeperError, reason="STOCK_NOT_EMPTY", values=("item", "location", "on_hand", "reserved")):
    """The level still has copies ``on_hand`` or ``reserved``, and cannot be deleted."""

    item: str
    location: str
    on_hand: int
    reserved: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.violations = failure.precondition_violations


class _ReservationError(TallykeeperError):
    """The base of the errors that concern one reservation."""

    reservation_id: str


class ReservationNotFound(_ReservationError, reason="RESERVATION_NOT_FOUND"):
    """The reservation does not exist, or it ended before the retention began and was forgotten."""


class ReservationExists(_ReservationError, reason="RESERVATION_EXISTS"):
    """Another reservation has this id. Choose another id."""


class ReservationCommitted(_ReservationError, reason="RESERVATION_COMMITTED"):
    """The reservation has been committed: its copies were taken."""


class ReservationReleased(_ReservationError, reason="RESERVATION_RELEASED"):
    """The reservation has been released: its copies were given back."""


class ReservationExpired(_ReservationError, reason="RESERVATION_EXPIRED"):
    """The reservation has expired: its copies were given back."""


class ReservationLifetimeExceeded(_ReservationError, reason="RESERVATION_LIFETIME_EXCEEDED"):
    """The reservation would last ``lifetime_ms`` from its beginning. At most ``lifetime_ms_max`` are allowed."""

    lifetime_ms: int
    lifetime_ms_max: int


class RevisionTrimmed(TallykeeperError, reason="REVISION_TRIMMED"):
    """The ledger no longer has the entry after ``after_revision``. ``oldest`` is the first revision that it has."""

    after_revision: int
    oldest: int


class RevisionAhead(TallykeeperError, reason="REVISION_AHEAD"):
    """The call names a revision that the namespace, which is at ``revision``, has not reached or has lost.

    A watch names it as ``after_revision``, and a read as ``min_revision``. The other attribute is None.
    """

    after_revision: int | None
    min_revision: int | None
    revision: int


class RevisionsLost(TallykeeperError, reason="REVISIONS_LOST"):
    """The store lost entries up to ``revision`` that the watch may have yielded. Other entries have their revisions.

    Read the levels again, and watch from their revision.
    """

    revision: int


class LevelDamaged(TallykeeperError, reason="LEVEL_DAMAGED"):
    """The server did not write the stored text of this level, and cannot read it.

    The level is a ``counter``, an ``item`` at a ``location``, or a reservation. The other attributes are None.
    """

    counter: str | None
    item: str | None
    location: str | None
    reservation_id: str | None


class WatcherTooSlow(TallykeeperError, reason="WATCHER_TOO_SLOW"):
    """The watcher read more slowly than changes came. ``revision`` is the last that the server sent."""

    revision: int


class TooManyWatches(TallykeeperError, reason="TOO_MANY_WATCHES"):
    """The server has no room for another watch."""


class ShuttingDown(Unavailable, reason="SHUTTING_DOWN"):
    """The server stops, and ends the watch. ``revision`` is the last that it sent."""

    revision: int


def error_of(failure: Failure) -> TallykeeperError:
    """Return the exception for a failure.

    The exception is a plain `TallykeeperError` if values that its reason needs are missing. An unknown reason gets the
    class of the status code, if there is one.
    """
    kind = _CLASSES.get(failure.reason) or _CLASSES.get(failure.code.name, TallykeeperError)
    try:
        return kind(failure)
    except (IndexError, KeyError, ValueError):
        return TallykeeperError(failure)


def error_of_result(result: OperationResult, *, request_id: str = "") -> TallykeeperError | None:
    """Return the exception that the method of an operation would have raised.

    Args:
        result: A result of `Client.apply`.
        request_id: The request id of the batch, for the exception.

    Returns:
        The exception; None if the operation did not fail.

    Example:
        >>> response = client.apply([operations.decrement_copies("dune")], atomic=False)
        >>> error_of_result(response.results[0]).reason
        'ITEM_NOT_FOUND'

    """
    if not result.HasField("error"):
        return None
    return error_of(operation_failure(result.error, request_id=request_id))


def reasons() -> frozenset[str]:
    """Return the reasons that have a class."""
    return frozenset(_CLASSES)
