"""The failures of calls, as exceptions. The rpc package decides how each looks on the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_VIOLATIONS_MAX: Final = 20
"""The most violations in an error's message: gRPC's trailers hold 8 KiB."""
_VIOLATIONS_IN_MESSAGE_MAX: Final = 3


class TallyError(Exception):
    """A failure that the caller sees: its reason, a message for people and values for programs."""

    reason: str = "INTERNAL"

    def __init__(self, message: str, facts: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.facts = dict(facts or {})


class RefusedError(TallyError):
    """A definite answer of the script: the change cannot be made. ``reason`` is the script's status."""

    def __init__(
        self, reason: str, message: str, facts: Mapping[str, str], lines: Sequence["RefusedLine"] = ()
    ) -> None:
        """Take all ``lines`` of the refusal; ``facts`` are those of the first line."""
        super().__init__(message, facts)
        self.reason = reason
        self.lines = tuple(lines)


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """One line of a change that was refused because of it: a sentence about it, and its values."""

    sentence: str
    facts: Mapping[str, str]


class BatchRefusedError(TallyError):
    """An atomic batch whose operations were refused. Nothing was changed.

    ``failed`` holds the first operations that failed, each as its index and its error; ``failed_count`` counts all.
    """

    reason = "BATCH_REFUSED"

    def __init__(self, failed: Sequence[tuple[int, RefusedError]], failed_count: int, operations: int) -> None:
        index, first = failed[0]
        others = f"; {failed_count} of its {operations} operations fail" if failed_count > 1 else ""
        super().__init__(
            f"the batch was refused and nothing was changed: operations[{index}]: {first.message}{others}",
            {"failed_count": str(failed_count), "index": str(index), "operation_reason": first.reason},
        )
        self.failed = tuple(failed)
        self.failed_count = failed_count


class InvalidFieldError(TallyError):
    """Fields of the request that break a rule, each with the rule: the first, at most 20, and the number of all."""

    reason = "INVALID_FIELD"

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        """Take at least one pair (field, rule that it breaks). An empty field means the whole request."""
        shown = "; ".join(
            f"{field}: {rule}" if field else rule for field, rule in violations[:_VIOLATIONS_IN_MESSAGE_MAX]
        )
        others = len(violations) - _VIOLATIONS_IN_MESSAGE_MAX
        super().__init__(
            f"{shown}; and {others} more" if others > 0 else shown,
            {"field": violations[0][0], "violations": str(len(violations))},
        )
        self.violations = tuple(violations[:_VIOLATIONS_MAX])


class PageTokenInvalidError(InvalidFieldError):
    """A page token that does not belong to this listing."""

    reason = "PAGE_TOKEN_INVALID"


class BatchTooLargeError(TallyError):
    """A batch with more operations, or more lines, than a batch may have. Nothing happened."""

    reason = "BATCH_TOO_LARGE"

    def __init__(self, *, operations: int, operations_max: int, lines: int, lines_max: int) -> None:
        super().__init__(
            f"the batch has {operations} operations with {lines} lines; at most {operations_max} operations with"
            f" {lines_max} lines are allowed",
            {
                "operations": str(operations),
                "operations_max": str(operations_max),
                "lines": str(lines),
                "lines_max": str(lines_max),
            },
        )


class RevisionTrimmedError(TallyError):
    """A request for entries that the ledger has dropped."""

    reason = "REVISION_TRIMMED"

    def __init__(self, after_revision: int, oldest: int) -> None:
        super().__init__(
            f"the entries after revision {after_revision} are not kept any more; the oldest there is has revision"
            f" {oldest}",
            {"after_revision": str(after_revision), "oldest": str(oldest)},
        )


class RevisionAheadError(TallyError):
    """A revision in a field that the namespace has not reached, or has lost."""

    reason = "REVISION_AHEAD"

    def __init__(self, wanted: int, revision: int, *, field: str = "after_revision") -> None:
        super().__init__(
            f"revision {wanted} has not been reached, or was lost with its store: the namespace is at {revision}",
            {field: str(wanted), "revision": str(revision)},
        )


class RevisionsLostError(TallyError):
    """A store that lost entries which a watcher was given, up to ``revision``: other entries have these revisions."""

    reason = "REVISIONS_LOST"

    def __init__(self, revision: int) -> None:
        super().__init__(
            f"the store lost acknowledged changes, among them some up to revision {revision}, the last that was sent;"
            " read the current levels and watch again from there",
            {"revision": str(revision)},
        )


class WatcherTooSlowError(TallyError):
    """A watcher that reads more slowly than changes come. It was given all entries up to ``revision``."""

    reason = "WATCHER_TOO_SLOW"

    def __init__(self, revision: int) -> None:
        super().__init__(
            f"changes come faster than they are read; watch again after revision {revision}",
            {"revision": str(revision)},
        )


class TooManyWatchesError(TallyError):
    """The server has no room for another watch."""

    reason = "TOO_MANY_WATCHES"


class RequestTooLargeError(TallyError):
    """The request has more bytes than the server takes. Nothing happened."""

    reason = "REQUEST_TOO_LARGE"

    def __init__(self, *, size: int, limit: int) -> None:
        """Take the ``size`` of the decompressed request and the ``limit`` of the server, both in bytes."""
        super().__init__(
            f"the request has {size} bytes, and the server takes {limit} (--message-bytes-max)",
            {"size": str(size), "limit": str(limit)},
        )


class RetryLaterError(TallyError):
    """A failure that may pass. ``retry_after_seconds`` is the time after which a repeat may succeed.

    ``is_safe_to_repeat`` is false if the call may have changed something and has no request id: a repeat might then
    change it twice.
    """

    retry_after_seconds = 0.1
    is_safe_to_repeat = True


class OverloadedError(RetryLaterError):
    """More calls wait than a lane may hold. Nothing happened."""

    reason = "OVERLOADED"


class StoreOutOfMemoryError(RetryLaterError):
    """The store has no memory left for changes. Nothing happened."""

    reason = "STORE_OUT_OF_MEMORY"
    retry_after_seconds = 1.0


class StoreUnavailableError(RetryLaterError):
    """The store could not be reached, or did not serve. Nothing happened."""

    reason = "STORE_UNAVAILABLE"


class ShuttingDownError(RetryLaterError):
    """The server stops, and ends a watch that was given all entries up to ``revision``."""

    reason = "SHUTTING_DOWN"

    def __init__(self, revision: int) -> None:
        super().__init__(
            f"the server stops; watch again after revision {revision}, here or at another server",
            {"revision": str(revision)},
        )


class OutcomeUnknownError(RetryLaterError):
    """The store was lost after the call was sent and before it answered. The change may have been made, or not."""

    reason = "OUTCOME_UNKNOWN"

    def __init__(self, message: str, *, is_safe_to_repeat: bool = True) -> None:
        super().__init__(message)
        self.is_safe_to_repeat = is_safe_to_repeat


class NotDurableYetError(RetryLaterError):
    """The change was made, now or before, but is not yet as durable as its namespace asks.

    A repeat with the same request id waits again. Without a request id, a repeat makes the change a second time.
    """

    reason = "NOT_DURABLE_YET"

    def __init__(self, durability: str, reached: str, *, is_safe_to_repeat: bool) -> None:
        remedy = (
            "send it again with the same request id to wait for that"
            if is_safe_to_repeat
            else "it has no request id, so do not send it again: that would make it twice"
        )
        super().__init__(
            f"the change was made, but is not durable yet at level {durability}: {reached}; {remedy}",
            {"durability": durability},
        )
        self.is_safe_to_repeat = is_safe_to_repeat


class DeadlineExceededError(TallyError):
    """The caller's time was up before the call was sent to the store. Nothing happened."""

    reason = "DEADLINE_EXCEEDED"


class LevelDamagedError(TallyError):
    """The text of a level that was asked for was not written by the script."""

    reason = "LEVEL_DAMAGED"

    def __init__(self, subject: str, damage: str, facts: Mapping[str, str]) -> None:
        super().__init__(
            f"the stored text of {subject} is damaged: {damage}; VerifyNamespace shows what it must be", facts
        )


class DefectError(TallyError):
    """A defect of the server, which is logged and not shown to the caller."""
