"""The refusal of a request, by the contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from grpc import StatusCode

from tallykeeper.v1 import batch_pb2

MAX: Final = 2**53 - 1
LISTED_MAX: Final = 20
"""The number of lines that a refusal lists in full."""

CODES: Final = {
    "COMMIT_EXCEEDS_RESERVED": StatusCode.FAILED_PRECONDITION,
    "COUNTER_BOUND_EXCEEDED": StatusCode.OUT_OF_RANGE,
    "COUNTER_NOT_FOUND": StatusCode.NOT_FOUND,
    "INSUFFICIENT_STOCK": StatusCode.FAILED_PRECONDITION,
    "ITEM_NOT_FOUND": StatusCode.NOT_FOUND,
    "REQUEST_ID_REUSED": StatusCode.INVALID_ARGUMENT,
    "RESERVATION_COMMITTED": StatusCode.FAILED_PRECONDITION,
    "RESERVATION_EXISTS": StatusCode.ALREADY_EXISTS,
    "RESERVATION_EXPIRED": StatusCode.FAILED_PRECONDITION,
    "RESERVATION_NOT_FOUND": StatusCode.NOT_FOUND,
    "RESERVATION_RELEASED": StatusCode.FAILED_PRECONDITION,
    "STOCK_BELOW_RESERVED": StatusCode.FAILED_PRECONDITION,
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

    @property
    def message(self) -> batch_pb2.Status:
        """The error of an operation in a batch, without its message and with its reason as the only detail."""
        detail = Any()
        info = ErrorInfo(reason=self.reason, domain="tallykeeper.io", metadata=self.metadata)
        detail.Pack(info, deterministic=True)
        return batch_pb2.Status(code=self.code.value[0], details=[detail])

    def about(self, **names: str) -> "Refusal":
        """Return the refusal with the names of its subject."""
        return Refusal(self.code, self.reason, {**names, **self.metadata})


def refusal(reason: str, **values: str | int | None) -> Refusal:
    """Return the refusal for a reason, with the values that are not None."""
    metadata = {name: str(value) for name, value in values.items() if value is not None}
    return Refusal(CODES[reason], reason, metadata)


def refusal_of_lines(reason: str, lines: Sequence[Mapping[str, str | int]]) -> Refusal:
    """Return the refusal for lines that fail: the first in full, the others with their numbers."""
    values = {
        name if number == 1 else f"{name}_{number}": value
        for number, line in enumerate(lines[:LISTED_MAX], start=1)
        for name, value in line.items()
    }
    return refusal(reason, **values, lines=len(lines))
