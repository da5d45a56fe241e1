"""Every way in which a call can fail, as an exception that carries the reason and its values.

All of them are `TallykeeperError`. The table at the end says which reason is which class; a reason that it
does not know is the class of its code, or `TallykeeperError` itself.
"""
# ruff: noqa: N818 -- each class is called by the reason that the contract gives it

from collections.abc import Mapping
from typing import Final

import grpc

from tallykeeper_client.failure import Failure, FieldViolation, PreconditionViolation


class TallykeeperError(Exception):
    """A call that failed, with all that the server said of it.

    ``reason`` is the contract's word for what happened, or the name of ``code`` where the server gave none.
    ``metadata`` holds the values that belong to it. ``retry_after_seconds`` says when to try again, if the
    server did. ``request_id`` is the one that was sent, empty for a read: to learn what became of a
    mutation whose outcome is unknown, make the same call with it again.
    """

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str]
    retry_after_seconds: float | None
    request_id: str

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.code = failure.code
        self.reason = failure.reason
        self.message = failure.message
        self.metadata = failure.metadata
        self.retry_after_seconds = failure.retry_after_seconds
        self.request_id = failure.request_id

    def __str__(self) -> str:
        return self.message


class InvalidField(TallykeeperError):
    """Fields of the request break a rule. Nothing was changed. ``violations`` names each with its rule."""

    violations: tuple[FieldViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.violations = failure.field_violations


class PageTokenInvalid(InvalidField):
    """The page token does not belong to this listing. Begin again without one."""


class RequestIdReused(TallykeeperError):
    """The request id came before with another request. Nothing was changed. Use one for each mutation."""


class CounterNotFound(TallykeeperError):
    """There is no such counter."""

    counter: str

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.counter = failure.metadata["counter"]


class ItemNotFound(TallykeeperError):
    """There is no such stock level; ``location`` is None if the item has none anywhere."""

    item: str
    location: str | None

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.item = failure.metadata["item"]
        self.location = failure.metadata.get("location")


class InsufficientStock(TallykeeperError):
    """Fewer copies may be taken than were ``requested``: ``available`` and ``backorder_limit`` more.

    All three are copies. ``available`` may be below 0. ``violations`` says the same in words.
    """

    item: str
    location: str
    requested: int
    available: int
    backorder_limit: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.item = failure.metadata["item"]
        self.location = failure.metadata["location"]
        self.requested = int(failure.metadata["requested"])
        self.available = int(failure.metadata["available"])
        self.backorder_limit = int(failure.metadata["backorder_limit"])
        self.violations = failure.precondition_violations


class StockNotEmpty(TallykeeperError):
    """The level still has copies ``on_hand`` or ``reserved``, and so it cannot be deleted."""

    item: str
    location: str
    on_hand: int
    reserved: int
    violations: tuple[PreconditionViolation, ...]

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.item = failure.metadata["item"]
        self.location = failure.metadata["location"]
        self.on_hand = int(failure.metadata["on_hand"])
        self.reserved = int(failure.metadata["reserved"])
        self.violations = failure.precondition_violations


class CounterBoundExceeded(TallykeeperError):
    """The counter would be outside its bounds, of which an absent one is None. Nothing was changed.

    ``value`` is the counter's own with the ``delta`` that it could not take; where a value was to be set or
    bounds to be configured, ``delta`` is None and ``value`` is what is outside them.
    """

    value: int
    delta: int | None
    min: int | None
    max: int | None

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.value = int(failure.metadata["value"])
        self.delta = _optional_integer(failure.metadata, "delta")
        self.min = _optional_integer(failure.metadata, "min")
        self.max = _optional_integer(failure.metadata, "max")


class ValueOverflow(TallykeeperError):
    """The result would be outside -(2^53-1) .. 2^53-1. Nothing was changed. ``metadata`` says of what."""


class ValueChanged(TallykeeperError):
    """The value was ``actual`` and not ``expected``. Nothing was changed."""

    actual: int
    expected: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.actual = int(failure.metadata["actual"])
        self.expected = int(failure.metadata["expected"])


class Overloaded(TallykeeperError):
    """Too many calls are waiting at the server. Nothing was changed; come back after a while."""


class StoreOutOfMemory(TallykeeperError):
    """The store has no memory left for changes. Nothing was changed."""


class Unavailable(TallykeeperError):
    """No server answered, however often the call was sent. It may have been done all the same."""


class StoreUnavailable(Unavailable):
    """The server could not reach its store. Nothing was changed."""


class OutcomeUnknown(Unavailable):
    """The server lost its store in the middle of the change. The same request id tells what became of it."""


class DeadlineExceeded(TallykeeperError):
    """The time was up before there was an answer. The same request id tells what became of the change."""


class InternalError(TallykeeperError):
    """A defect of the server, which has logged it."""


CLASS_OF_REASON: Final[Mapping[str, type[TallykeeperError]]] = {
    "COUNTER_BOUND_EXCEEDED": CounterBoundExceeded,
    "COUNTER_NOT_FOUND": CounterNotFound,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "INSUFFICIENT_STOCK": InsufficientStock,
    "INTERNAL": InternalError,
    "INVALID_FIELD": InvalidField,
    "ITEM_NOT_FOUND": ItemNotFound,
    "OUTCOME_UNKNOWN": OutcomeUnknown,
    "OVERLOADED": Overloaded,
    "PAGE_TOKEN_INVALID": PageTokenInvalid,
    "REQUEST_ID_REUSED": RequestIdReused,
    "STOCK_NOT_EMPTY": StockNotEmpty,
    "STORE_OUT_OF_MEMORY": StoreOutOfMemory,
    "STORE_UNAVAILABLE": StoreUnavailable,
    "UNAVAILABLE": Unavailable,
    "VALUE_CHANGED": ValueChanged,
    "VALUE_OVERFLOW": ValueOverflow,
}


def error_of(failure: Failure) -> TallykeeperError:
    """Make the exception of a failure; the plain one where values that its reason promises are missing."""
    of_code = CLASS_OF_REASON.get(failure.code.name, TallykeeperError)
    kind = CLASS_OF_REASON.get(failure.reason, of_code)
    try:
        return kind(failure)
    except (KeyError, ValueError):
        return TallykeeperError(failure)


def _optional_integer(metadata: Mapping[str, str], key: str) -> int | None:
    return int(metadata[key]) if key in metadata else None
