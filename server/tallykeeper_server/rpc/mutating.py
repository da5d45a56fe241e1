"""What all mutations have in common on the wire."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import LevelName
from tallykeeper_server.domain.mutations import Applied, Mutation
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.rpc.calls import Call
from tallykeeper_server.rpc.fields import Fields
from tallykeeper_server.rpc.level_messages import timestamp_of


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


class Origin(NamedTuple):
    """Where a mutation comes from: what makes an id that the server chooses the same for the same request."""

    namespace: str
    request_id: str
    place: int = 0
    """Its place in its batch."""


class Body(NamedTuple):
    """What a request's own fields say: the levels that it is about, and the operation's arguments."""

    levels: tuple[LevelName, ...]
    arguments: tuple[int | str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change(Generic[Request, Response]):
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
        body = self.read(request, fields, origin)
        return Mutation(
            self.operation,
            body.levels,
            body.arguments,
            fields.text("reason", request.reason, limits.REASON_BYTES_MAX) or reason,
            fields.text("reference", request.reference, limits.REFERENCE_BYTES_MAX) or reference,
            self.resolves,
        )

    def answer(self, response: Response, applied: Applied) -> Response:
        """Fill in the response to a mutation, and return it."""
        self.fill(response, applied)
        response.revision = applied.revision
        response.commit_time.CopyFrom(timestamp_of(applied.commit_time_ms))
        response.replayed = applied.replayed
        return response


async def apply(engine: Engine, change: Change[Request, Response], request: Request, call: Call) -> Response:
    """Apply the mutation of a request and answer it.

    :raises InvalidFieldError: one of its fields breaks a rule.
    :raises TallyError: as Engine.apply says.
    """
    fields = Fields()
    origin = Origin(request.namespace or limits.DEFAULT_NAMESPACE, request.request_id)
    mutation = change.mutation_of(request, fields, origin)
    namespace = fields.namespace(request.namespace)
    request_id = fields.request_id(request.request_id)
    fields.check()
    applied = await engine.apply(
        namespace, mutation, request_id=request_id, identity=call.caller.identity, deadline=call.deadline
    )
    return change.answer(change.response(), applied)
