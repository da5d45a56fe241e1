"""What a refused request ends in, by the contract."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from grpc import StatusCode

MAX: Final = 2**53 - 1

CODES: Final = {
    "COUNTER_BOUND_EXCEEDED": StatusCode.OUT_OF_RANGE,
    "COUNTER_NOT_FOUND": StatusCode.NOT_FOUND,
    "INSUFFICIENT_STOCK": StatusCode.FAILED_PRECONDITION,
    "ITEM_NOT_FOUND": StatusCode.NOT_FOUND,
    "REQUEST_ID_REUSED": StatusCode.INVALID_ARGUMENT,
    "STOCK_NOT_EMPTY": StatusCode.FAILED_PRECONDITION,
    "VALUE_CHANGED": StatusCode.ABORTED,
    "VALUE_OVERFLOW": StatusCode.OUT_OF_RANGE,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A code, a reason, and the values that a program needs."""

    code: StatusCode
    reason: str
    metadata: Mapping[str, str]


def refusal(reason: str, **values: str | int | None) -> Refusal:
    """Return the refusal for a reason, with the values that there are."""
    metadata = {name: str(value) for name, value in values.items() if value is not None}
    return Refusal(CODES[reason], reason, metadata)
