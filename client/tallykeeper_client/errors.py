"""What every call can fail with, and a batch and a watch, as exceptions that carry the reason and its values.

All of them are `TallykeeperError`. What a single mutation or read is refused with stands in `refusals`; which reason
is which class, `reasons` says.
"""
# ruff: noqa: N818 -- each class is called by the reason that the contract gives it

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc

from tallykeeper_client.failure import Failure, FieldViolation


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


class Unauthenticated(TallykeeperError):
    """The server asks who calls, and got no credential that it knows. Nothing was changed."""


class CredentialMissing(Unauthenticated):
    """The call had no credential: neither a token nor a certificate that names its caller."""


class CredentialInvalid(Unauthenticated):
    """The credential is none that the server knows."""


class CredentialExpired(Unauthenticated):
    """The credential was good, and is no more."""


class PermissionDenied(TallykeeperError):
    """The caller, known as ``identity``, lacks a ``role`` in a ``namespace``. Nothing was changed."""

    identity: str
    role: str
    namespace: str

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.identity = failure.metadata["identity"]
        self.role = failure.metadata["role"]
        self.namespace = failure.metadata["namespace"]


class RateLimited(TallykeeperError):
    """The caller calls more often than it may. Nothing was changed; ``retry_after_seconds`` says when to come back."""


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


class NotDurableYet(Unavailable):
    """The change was made, but is not yet as durable as its namespace asks: the same request id waits again."""


class DeadlineExceeded(TallykeeperError):
    """The time was up before there was an answer, or before there was a connection.

    The same request id tells what became of the change.
    """


class InternalError(TallykeeperError):
    """A defect of the server, which has logged it."""


@dataclass(frozen=True, slots=True)
class FailedOperation:
    """An operation of a batch that failed: its index, where 0 is the first, and its error."""

    index: int
    error: TallykeeperError


class BatchRefused(TallykeeperError):
    """Operations of an atomic batch failed, and nothing was changed. The code is that of the first of them.

    ``operations`` has the first that failed, up to 20, and ``failed_count`` counts all. ``operations[0].error`` is what
    the first operation's own method would have raised.
    """

    failed_count: int
    operations: tuple[FailedOperation, ...]

    def __init__(self, failure: Failure, operations: Iterable[FailedOperation] = ()) -> None:
        super().__init__(failure)
        self.failed_count = int(failure.metadata["failed_count"])
        self.operations = tuple(operations)

    def __reduce__(self) -> tuple[type["BatchRefused"], tuple[object, ...]]:
        return type(self), (*self.args, self.operations)


class BatchTooLarge(TallykeeperError):
    """The batch has more ``operations`` or more ``lines`` than the server takes. Nothing was changed."""

    operations: int
    operations_max: int
    lines: int
    lines_max: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.operations = int(failure.metadata["operations"])
        self.operations_max = int(failure.metadata["operations_max"])
        self.lines = int(failure.metadata["lines"])
        self.lines_max = int(failure.metadata["lines_max"])


class RequestTooLarge(TallykeeperError):
    """The request has ``size`` bytes, and the server takes up to ``limit``. Nothing was changed."""

    size: int
    limit: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.size = int(failure.metadata["size"])
        self.limit = int(failure.metadata["limit"])


class RevisionTrimmed(TallykeeperError):
    """The ledger has dropped entries after the revision asked for; ``oldest`` is the first that it has."""

    after_revision: int
    oldest: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.after_revision = int(failure.metadata["after_revision"])
        self.oldest = int(failure.metadata["oldest"])


class RevisionAhead(TallykeeperError):
    """The namespace is at ``revision`` and so before the one asked for, or has lost changes with its store.

    It was asked for as ``after_revision`` by a watch, and as ``min_revision`` by a read; the other is None.
    """

    after_revision: int | None
    min_revision: int | None
    revision: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        after, least = (failure.metadata.get(field) for field in ("after_revision", "min_revision"))
        self.after_revision = None if after is None else int(after)
        self.min_revision = None if least is None else int(least)
        self.revision = int(failure.metadata["revision"])


class RevisionsLost(TallykeeperError):
    """The store lost entries that the watch may have given, up to ``revision``, and gave others their revisions.

    Read what there is now, and watch again from there.
    """

    revision: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.revision = int(failure.metadata["revision"])


class LevelDamaged(TallykeeperError):
    """The level that was asked for is stored as something that the server did not write.

    It is the ``counter``, the ``item`` at the ``location``, or the reservation; the others are None.
    """

    counter: str | None
    item: str | None
    location: str | None
    reservation_id: str | None

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.counter = failure.metadata.get("counter")
        self.item = failure.metadata.get("item")
        self.location = failure.metadata.get("location")
        self.reservation_id = failure.metadata.get("reservation_id")


class WatcherTooSlow(TallykeeperError):
    """The watcher did not read as fast as changes came; the last that it was sent is ``revision``."""

    revision: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.revision = int(failure.metadata["revision"])


class TooManyWatches(TallykeeperError):
    """The server has no room for another watch."""


class ShuttingDown(Unavailable):
    """The server stops, and with it the watch; the last that was sent is ``revision``."""

    revision: int

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.revision = int(failure.metadata["revision"])
