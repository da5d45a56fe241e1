"""What all mutations have in common on the wire."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import LevelName
from tallykeeper_server.domain.mutations import Applied, Mutation
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.pending import Pending
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import timestamp_of
from tallykeeper_server.rpc.validation import Fields


class MutationRequest(Protocol):
    """The fields that every mutation's request has."""

    namespace: str
    request_id: str
    reason: str
    reference: str


class MutationResponse(Protocol):
    """The fields that every mutation's response has."""

    revision: int
    replayed: bool

    @property
    def commit_time(self) -> Timestamp:
        """When the change was made."""


Request = TypeVar("Request", bound=MutationRequest)
Response = TypeVar("Response", bound=MutationResponse)


Origin: TypeAlias = tuple[str, str, int]
"""Where a mutation comes from: its namespace, its request id, and its index in its batch, 0 where there is none. They
make an id that the server chooses the same for the same request."""
Body: TypeAlias = tuple[tuple[LevelName, ...], tuple[int | str, ...]]
"""What a request's own fields say: the levels that it is about, and the operation's arguments."""


@dataclass(frozen=True, slots=True)
class MutationSpec(Generic[Request, Response]):
    """A kind of mutation on the wire: how its request is read, and how it is answered."""

    operation: str
    """The name of the Lua operation."""
    read: Callable[[Request, Fields, Origin], Body]
    response: type[Response]
    fill: Callable[[Response, Applied], None]
    """Fills in what the response says besides what every mutation's does."""
    resolves: bool = False
    """It ends a reservation."""

    def mutation_of(
        self, request: Request, fields: Fields, origin: Origin, *, reason: str = "", reference: str = ""
    ) -> Mutation:
        """Build a request's mutation. ``reason`` and ``reference`` are those of its batch, where it has none itself."""
        levels, arguments = self.read(request, fields, origin)
        if request.reason:
            reason = fields.text("reason", request.reason, limits.REASON_BYTES_MAX)
        if request.reference:
            reference = fields.text("reference", request.reference, limits.REFERENCE_BYTES_MAX)
        # A NamedTuple's own constructor takes twice as long, as it does for what becomes of the mutation.
        return tuple.__new__(Mutation, (self.operation, levels, arguments, reason, reference, self.resolves))

    def response_to(self, applied: Applied) -> Response:
        """Return the response to a mutation."""
        response = self.response()
        self.answer(response, applied)
        return response

    def answer(self, response: Response, applied: Applied) -> None:
        """Fill in the response to a mutation."""
        self.fill(response, applied)
        revision, commit_time_ms, replayed, _, _ = applied
        response.revision = revision
        response.commit_time.CopyFrom(timestamp_of(commit_time_ms))
        if replayed:
            response.replayed = True


def apply(engine: Engine, spec: MutationSpec[Request, Response], request: Request, call: Call) -> Pending[Response]:
    """Apply the mutation of a request; the result is the response, or what Engine.apply raises.

    :raises InvalidFieldError: one of its fields breaks a rule.
    :raises OverloadedError: as many mutations wait as may.
    """
    fields = Fields()
    namespace, request_id = request.namespace or limits.DEFAULT_NAMESPACE, request.request_id
    mutation = spec.mutation_of(request, fields, (namespace, request_id, 0))
    fields.namespace(namespace)
    fields.request_id(request_id)
    fields.check()
    return engine.apply(
        namespace,
        mutation,
        spec.response_to,
        request_id=request_id,
        identity=call.caller.identity,
        deadline=call.deadline,
    )
