"""The base of all mutations on the wire: common fields, a row of the table of operations, and the way down."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1 import ledger_pb2
from tallykeeper_server.access.roles import Role
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import LevelName
from tallykeeper_server.domain.mutations import Applied, Mutation
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.pending_result import Pending
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import timestamp_of
from tallykeeper_server.rpc.validation import Fields


class MutationRequest(Protocol):
    """The fields that the requests of all mutations have."""

    namespace: str
    request_id: str
    reason: str
    reference: str


class MutationResponse(Protocol):
    """The fields that the responses of all mutations have."""

    revision: int
    replayed: bool

    @property
    def commit_time(self) -> Timestamp:
        """The time of the change."""


Request = TypeVar("Request", bound=MutationRequest)
Response = TypeVar("Response", bound=MutationResponse)


ReadContext: TypeAlias = tuple[str, str, int, int]
"""Values that the reader of a request may use in addition to its message: the namespace, the request id, the index in
the batch (0 outside of a batch), and the longest time for which a reservation may be made, in milliseconds.

The first three make an id that the server chooses the same for each repeat of a request."""
Body: TypeAlias = tuple[tuple[LevelName, ...], tuple[int | str, ...]]
"""The content of a request's own fields: the levels that it names, and the arguments of the Lua operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationSpec(Generic[Request, Response]):
    """One row of the table of operations: all that this layer knows of an operation that changes something."""

    rpc: str
    """The service and the method, such as ``CounterService.Increment``."""
    field: str
    """The field for the request in tallykeeper.v1.Operation, and for the response in OperationResult."""
    operation: str
    """The name of the Lua operation, such as ``counter_increment``."""
    kind: ledger_pb2.OperationKind
    """The kind of its entries in the ledger."""
    role: Role
    """The role that its caller needs."""
    read: Callable[[Request, Fields, ReadContext], Body]
    """Reads the fields that only this request has."""
    response: type[Response]
    fill: Callable[[Response, Applied], None]
    """Fills in the fields that only this response has."""
    resolves: bool = False
    """True if it ends a reservation."""

    def mutation_of(
        self, request: Request, fields: Fields, context: ReadContext, *, reason: str = "", reference: str = ""
    ) -> Mutation:
        """Return the mutation of a request. ``reason`` and ``reference`` are its batch's, for a request that has none.

        Violations are noted in ``fields``.
        """
        levels, arguments = self.read(request, fields, context)
        if request.reason:
            reason = fields.text("reason", request.reason, limits.REASON_BYTES_MAX)
        if request.reference:
            reference = fields.text("reference", request.reference, limits.REFERENCE_BYTES_MAX)
        # The constructor of a NamedTuple takes twice as long.
        return tuple.__new__(Mutation, (self.operation, levels, arguments, reason, reference, self.resolves))

    def response_to(self, applied: Applied) -> Response:
        """Return the response to a mutation."""
        response = self.response()
        self.answer(response, applied)
        return response

    def answer(self, response: Response, applied: Applied) -> None:
        """Fill in the response to a mutation. It may be a part of the response to a batch."""
        self.fill(response, applied)
        revision, commit_time_ms, replayed, _, _ = applied
        response.revision = revision
        response.commit_time.CopyFrom(timestamp_of(commit_time_ms))
        if replayed:
            response.replayed = True


def apply(
    engine: Engine,
    reservation_ttl_ms_max: int,
    spec: MutationSpec[Request, Response],
    request: Request,
    call: Call,
) -> Pending[Response]:
    """Apply the mutation of a request. The result is the response, or an error that Engine.apply raises.

    :raises InvalidFieldError: a field of the request breaks a rule.
    :raises OverloadedError: the lane of the mutation is full.
    """
    fields = Fields()
    namespace, request_id = request.namespace or limits.DEFAULT_NAMESPACE, request.request_id
    mutation = spec.mutation_of(request, fields, (namespace, request_id, 0, reservation_ttl_ms_max))
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
