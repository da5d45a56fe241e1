"""The method of BatchService."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Self, TypeAlias, cast

from tallykeeper.v1 import batch_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.errors import BatchRefusedError, BatchTooLargeError, InvalidFieldError
from tallykeeper_server.domain.mutations import Applied, Mutation, Outcome, Refused
from tallykeeper_server.domain.refusals import refusal_of
from tallykeeper_server.engine.batches import Batch
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.metrics.recorders import Counts
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import timestamp_of
from tallykeeper_server.rpc.operations import SPEC_OF_FIELD
from tallykeeper_server.rpc.statuses import operation_status
from tallykeeper_server.rpc.validation import Fields

_WITH_LINES: Final = frozenset(
    field.name
    for field in batch_pb2.Operation.DESCRIPTOR.oneofs_by_name["operation"].fields
    if field.message_type and "lines" in field.message_type.fields_by_name
)
"""The fields of the operations that have several lines."""
_FAILED_OPERATIONS_MAX: Final = 20
"""The maximum number of failed operations that the error of an atomic batch lists."""
_NO_MUTATION: Final = Mutation(operation="", levels=())

_Operation: TypeAlias = tuple[str, batch_pb2.Operation]
"""One operation of a batch: the name of its field in the oneof (empty if no field is set), and its message."""


class _Shared(NamedTuple):
    """The fields of a batch that all its operations share."""

    namespace: str
    request_id: str
    reason: str
    reference: str

    @classmethod
    def of(cls, batch: batch_pb2.ApplyRequest) -> Self:
        """Return the shared fields of a batch."""
        return cls(batch.namespace or limits.DEFAULT_NAMESPACE, batch.request_id, batch.reason, batch.reference)


class BatchServicer:
    """BatchService. It checks a batch as a whole, applies it, and builds a result for each of its operations."""

    def __init__(self, engine: Engine, *, reservation_ttl_ms_max: int, refusals: Counts | None = None) -> None:
        """Take the longest time for which a reservation may be made, and count refused operations by their reason."""
        self._engine = engine
        self._reservation_ttl_ms_max = reservation_ttl_ms_max
        self._refusals = refusals or Counts()

    async def Apply(self, request: batch_pb2.ApplyRequest, call: Call) -> batch_pb2.ApplyResponse:
        """Apply operations in order: all or none of them, or each independently."""
        operations = _operations_of(request)
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        request_id = fields.request_id(request.request_id)
        fields.text("reason", request.reason, limits.REASON_BYTES_MAX)
        fields.text("reference", request.reference, limits.REFERENCE_BYTES_MAX)
        fields.count("operations", len(operations), limits.BATCH_OPERATIONS_MAX)
        mode = fields.enum("mode", request.mode, batch_pb2.BatchMode)
        if not mode:
            fields.refuse("mode", "is absent; choose BATCH_MODE_ATOMIC or BATCH_MODE_INDEPENDENT")
        mutations = self._mutations_of(request, operations, fields)
        fields.check()
        batch = Batch(
            namespace=namespace,
            mutations=tuple(mutations),
            request_id=request_id,
            atomic=mode == batch_pb2.BATCH_MODE_ATOMIC,
            identity=call.caller.identity,
        )
        outcomes = await self._engine.apply_batch(batch, deadline=call.deadline)
        if batch.atomic:
            self._check_none_refused(mutations, outcomes)
        return self._answer(operations, mutations, outcomes)

    def _mutations_of(
        self, batch: batch_pb2.ApplyRequest, operations: Sequence[_Operation], fields: Fields
    ) -> list[Mutation]:
        """Return the mutations of a batch. Violations are noted in ``fields``, under the names of the operations."""
        trial = Fields()  # a correct batch needs no names of fields, and to make them takes time
        shared = _Shared.of(batch)
        with suppress(InvalidFieldError):
            mutations = [
                self._mutation_of(shared, index, operation, trial) for index, operation in enumerate(operations)
            ]
            if trial.are_right:
                return mutations
        return [
            self._mutation_of(shared, index, operation, fields.within(_path_of(index, operation[0])))
            for index, operation in enumerate(operations)
        ]

    def _mutation_of(self, shared: "_Shared", index: int, operation: _Operation, fields: Fields) -> Mutation:
        field, message = operation
        namespace, request_id, reason, reference = shared
        if not field:
            fields.refuse("", "names no operation that this server knows")
            return _NO_MUTATION
        request = getattr(message, field)
        if request.request_id:
            fields.refuse("request_id", "must be empty: the request_id of the batch counts for all its operations")
        if request.namespace and fields.namespace(request.namespace) != namespace:
            shown = namespace[: limits.LABEL_CHARACTERS_MAX]
            fields.refuse("namespace", f"must be empty or the namespace of the batch, {shown}")
        context = (namespace, request_id, index, self._reservation_ttl_ms_max)
        return SPEC_OF_FIELD[field].mutation_of(request, fields, context, reason=reason, reference=reference)

    def _check_none_refused(self, mutations: Sequence[Mutation], outcomes: Sequence[Outcome]) -> None:
        """Return if an atomic batch was applied.

        :raises BatchRefusedError: some of its operations were refused.
        """
        refused = [(index, outcome) for index, outcome in enumerate(outcomes) if isinstance(outcome, Refused)]
        for _, outcome in refused:
            self._refusals.add(outcome.reason)
        if refused:
            listed = [
                (index, refusal_of(mutations[index], outcome)) for index, outcome in refused[:_FAILED_OPERATIONS_MAX]
            ]
            raise BatchRefusedError(listed, len(refused), len(outcomes))

    def _answer(
        self, operations: Sequence[_Operation], mutations: Sequence[Mutation], outcomes: Sequence[Outcome]
    ) -> batch_pb2.ApplyResponse:
        response = batch_pb2.ApplyResponse()
        revision, add = 0, response.results.add
        for (field, _), mutation, outcome in zip(operations, mutations, outcomes, strict=True):
            result = add()
            if isinstance(outcome, Applied):
                SPEC_OF_FIELD[field].answer(getattr(result, field), outcome)
                revision = outcome.revision
            else:
                refused = cast("Refused", outcome)
                result.error.CopyFrom(operation_status(refusal_of(mutation, refused)))
                self._refusals.add(refused.reason)
                response.failed_count += 1
        definite = cast("Sequence[Applied | Refused]", outcomes)
        response.revision = revision
        response.commit_time.CopyFrom(timestamp_of(definite[-1].commit_time_ms))
        response.replayed = all(outcome.replayed for outcome in definite)
        return response


def _path_of(index: int, field: str) -> str:
    """Return the prefix of the names of an operation's fields."""
    return f"operations[{index}].{field}." if field else f"operations[{index}]"


def _operations_of(request: batch_pb2.ApplyRequest) -> list[_Operation]:
    """Return the operations of a batch. Its size is checked before anything in the operations is.

    :raises BatchTooLargeError: the batch has too many operations or lines.
    """
    count = len(request.operations)
    found = ((message.WhichOneof("operation") or "", message) for message in request.operations)
    # A batch that is too large is only counted.
    operations = list(found) if count <= limits.BATCH_OPERATIONS_MAX else found
    lines = count + sum([_further_lines_of(field, message) for field, message in operations if field in _WITH_LINES])
    if isinstance(operations, list) and lines <= limits.BATCH_LINES_MAX:
        return operations
    raise BatchTooLargeError(
        operations=count, operations_max=limits.BATCH_OPERATIONS_MAX, lines=lines, lines_max=limits.BATCH_LINES_MAX
    )


def _further_lines_of(field: str, message: batch_pb2.Operation) -> int:
    """Return the number of lines of an operation after its first."""
    return max(0, len(getattr(message, field).lines) - 1)
