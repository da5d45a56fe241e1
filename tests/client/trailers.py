"""Makes the trailers of the server's errors, as the contract describes them."""

from collections.abc import Mapping
from typing import Final

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tallykeeper.v1 import batch_pb2
from tallykeeper.v1.inventory_pb2 import Shortage, Shortages
from tests.client.scripted_server import Trailers

DETAILS_KEY: Final = "grpc-status-details-bin"
SHORT: Final = Shortage(item="dune", location="main", requested=3, available=2)
"""A line that asks for more copies than there are."""
NEVER_AGAIN: Final = ("grpc-retry-pushback-ms", "-1")
"""Asks gRPC not to try again, so that a test need not wait."""


def trailers(
    reason: str,
    metadata: Mapping[str, str] | None = None,
    *details: Message,
    domain: str = "tallykeeper.io",
) -> Trailers:
    """Make the trailers of a refusal. A detail that is already an Any is added unchanged."""
    status = Status(message="in words")
    for detail in (ErrorInfo(domain=domain, reason=reason, metadata=metadata), *details):
        packed = status.details.add()
        if isinstance(detail, Any):
            packed.CopyFrom(detail)
        else:
            packed.Pack(detail)
    return ((DETAILS_KEY, status.SerializeToString()),)


def operation_error(
    code: int, reason: str, message: str, metadata: Mapping[str, str] | None = None, *details: Message
) -> batch_pb2.Status:
    """Make the error of an operation of a batch, as the contract describes it."""
    error = batch_pb2.Status(code=code, message=message)
    for detail in (ErrorInfo(domain="tallykeeper.io", reason=reason, metadata=metadata), *details):
        error.details.add().Pack(detail)
    return error


def shortages(*lines: Shortage, count: int | None = None) -> Shortages:
    """Make the detail of an error with these lines. ``count`` is their number unless the error has no room for all."""
    return Shortages(shortages=lines, count=len(lines) if count is None else count)
