"""Every way in which a call can fail, as exceptions. What each is on the wire is the rpc's to say."""

from collections.abc import Mapping, Sequence
from typing import Final

_VIOLATIONS_MAX: Final = 20
"""How many an error carries: gRPC's trailers hold 8 KiB."""
_VIOLATIONS_IN_MESSAGE_MAX: Final = 3


class TallyError(Exception):
    """A failure that the caller is told of: its reason, a message for people and the values for programs."""

    reason: str = "INTERNAL"

    def __init__(self, message: str, facts: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.facts = dict(facts or {})


class RefusedError(TallyError):
    """A definite answer of the script: the change cannot be made. ``reason`` is the script's status."""

    def __init__(self, reason: str, message: str, facts: Mapping[str, str]) -> None:
        super().__init__(message, facts)
        self.reason = reason


class InvalidFieldError(TallyError):
    """Fields of the request that break a rule, each with the rule: the first 20, and how many there are."""

    reason = "INVALID_FIELD"

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        """``violations`` holds (field, what is wrong with it) pairs, at least one."""
        told = "; ".join(f"{field}: {rule}" for field, rule in violations[:_VIOLATIONS_IN_MESSAGE_MAX])
        untold = len(violations) - _VIOLATIONS_IN_MESSAGE_MAX
        super().__init__(
            f"{told}; and {untold} more" if untold > 0 else told,
            {"field": violations[0][0], "violations": str(len(violations))},
        )
        self.violations = tuple(violations[:_VIOLATIONS_MAX])


class PageTokenInvalidError(InvalidFieldError):
    """A page token that is not one of this listing."""

    reason = "PAGE_TOKEN_INVALID"


class RetryLaterError(TallyError):
    """A failure that may pass. ``retry_after_seconds`` says when it is worth another try."""

    retry_after_seconds = 0.1


class OverloadedError(RetryLaterError):
    """More calls are waiting than a lane may hold. Nothing happened."""

    reason = "OVERLOADED"


class StoreOutOfMemoryError(RetryLaterError):
    """The store has no memory left for changes. Nothing happened."""

    reason = "STORE_OUT_OF_MEMORY"
    retry_after_seconds = 1.0


class StoreUnavailableError(RetryLaterError):
    """The store could not be reached, or would not serve. Nothing happened."""

    reason = "STORE_UNAVAILABLE"


class OutcomeUnknownError(RetryLaterError):
    """The store was lost between the question and the answer. The change may have been made, or not."""

    reason = "OUTCOME_UNKNOWN"


class DeadlineExceededError(TallyError):
    """The caller's time was up before the call was sent to the store. Nothing happened."""

    reason = "DEADLINE_EXCEEDED"


class DefectError(TallyError):
    """A defect of the server: logged, and not shown to the caller."""
