"""What all mutations have in common on the wire."""

from typing import Protocol, TypedDict

from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import LevelName
from tallykeeper_server.domain.mutations import Applied, Mutation
from tallykeeper_server.rpc.fields import Fields


class MutationRequest(Protocol):
    """The fields that every mutation's request has."""

    namespace: str
    request_id: str
    reason: str
    reference: str


class CommitFields(TypedDict):
    """The fields that every mutation's response has."""

    revision: int
    commit_time: Timestamp
    replayed: bool


def mutation_of(
    request: MutationRequest, fields: Fields, operation: str, level: LevelName, *arguments: int | str
) -> Mutation:
    """Build the mutation of a request, whose own fields ``fields`` has seen.

    :raises InvalidFieldError: one of those or of the common fields breaks a rule.
    """
    mutation = Mutation(
        namespace=fields.namespace(request.namespace),
        operation=operation,
        levels=(level,),
        arguments=tuple(map(str, arguments)),
        request_id=fields.request_id(request.request_id),
        reason=fields.text("reason", request.reason, limits.REASON_BYTES_MAX),
        reference=fields.text("reference", request.reference, limits.REFERENCE_BYTES_MAX),
    )
    fields.check()
    return mutation


def commit_fields(applied: Applied) -> CommitFields:
    """Return what every response says of the mutation that was applied."""
    return {
        "revision": applied.revision,
        "commit_time": timestamp_of(applied.commit_time_ms),
        "replayed": applied.replayed,
    }


def timestamp_of(milliseconds: int) -> Timestamp:
    """Return a time given in milliseconds since 1970."""
    seconds, rest = divmod(milliseconds, 1_000)
    return Timestamp(seconds=seconds, nanos=rest * 1_000_000)
