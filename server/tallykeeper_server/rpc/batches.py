"""BatchService on the wire."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias, cast

from tallykeeper.v1 import batch_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.errors import BatchTooLargeError, InvalidFieldError
from tallykeeper_server.domain.mutations import Applied, Mutation, NotApplied, Outcome, Refused
from tallykeeper_server.domain.refusals import refusal_of
from tallykeeper_server.engine.batching import Batch
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.metrics.recorders import Counts
from tallykeeper_server.rpc.calls import Call
from tallykeeper_server.rpc.counter_changes import CONFIGURE_COUNTER, DELETE_COUNTER, INCREMENT, SET_COUNTER
from tallykeeper_server.rpc.fields import Fields
from tallykeeper_server.rpc.level_messages import timestamp_of
from tallykeeper_server.rpc.mutating import Change, Origin
from tallykeeper_server.rpc.reservation_changes import ReservationChanges
from tallykeeper_server.rpc.statuses import CODES
from tallykeeper_server.rpc.stock_changes import (
    CONFIGURE_STOCK,
    DECREMENT_COPIES,
    DELETE_STOCK,
    INCREMENT_COPIES,
    MOVE_COPIES,
    SET_STOCK,
)

_WITH_LINES: Final = frozenset({"reserve", "commit"})

Changes: TypeAlias = Mapping[str, Change[Any, Any]]


def changes_of_operations(reservations: ReservationChanges) -> Changes:
    """Return what kind of change each field of Operation's oneof is."""
    return {
        "increment": INCREMENT,
        "set_counter": SET_COUNTER,
        "configure_counter": CONFIGURE_COUNTER,
        "delete_counter": DELETE_COUNTER,
        "decrement_copies": DECREMENT_COPIES,
        "increment_copies": INCREMENT_COPIES,
        "set_stock": SET_STOCK,
        "move_copies": MOVE_COPIES,
        "configure_stock": CONFIGURE_STOCK,
        "delete_stock": DELETE_STOCK,
        "reserve": reservations.reserve,
        "commit": reservations.commit,
        "release": reservations.release,
        "extend": reservations.extend,
    }


class _Operation(NamedTuple):
    """One operation of a batch: the field of the oneof that it is, and its mutation."""

    field: str
    mutation: Mutation


class BatchServicer:
    """Checks a batch as a whole, applies it, and answers for each of its operations."""

    def __init__(self, engine: Engine, changes: Changes, refusals: Counts | None = None) -> None:
        """Refused operations are counted among ``refusals``, by reason."""
        self._engine = engine
        self._changes = changes
        self._refusals = refusals or Counts()

    async def Apply(self, request: batch_pb2.ApplyRequest, call: Call) -> batch_pb2.ApplyResponse:
        """Apply operations in order, all or none, or each for itself."""
        _check_size(request)
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        request_id = fields.request_id(request.request_id)
        fields.text("reason", request.reason, limits.REASON_BYTES_MAX)
        fields.text("reference", request.reference, limits.REFERENCE_BYTES_MAX)
        fields.count("operations", len(request.operations), limits.BATCH_OPERATIONS_MAX)
        operations = self._operations_of(request, fields)
        fields.check()
        batch = Batch(
            namespace=namespace,
            mutations=tuple(operation.mutation for operation in operations),
            request_id=request_id,
            atomic=request.atomic,
            identity=call.caller.identity,
        )
        return self._answer(operations, await self._engine.apply_batch(batch, deadline=call.deadline))

    def _operations_of(self, request: batch_pb2.ApplyRequest, fields: Fields) -> list[_Operation]:
        """Return the operations. What is wrong with them is noted in the fields, under the name of each."""
        placed = list(enumerate(request.operations))
        trial = Fields()  # to name the fields of each takes time, and hardly any batch needs it
        with suppress(InvalidFieldError):
            operations = [self._operation_of(request, place, operation, trial) for place, operation in placed]
            if trial.are_right:
                return operations
        return [
            self._operation_of(request, place, operation, fields.within(_path_of(place, operation)))
            for place, operation in placed
        ]

    def _operation_of(
        self, batch: batch_pb2.ApplyRequest, place: int, operation: batch_pb2.Operation, fields: Fields
    ) -> _Operation:
        field = operation.WhichOneof("operation")
        if field is None:
            fields.refuse("", "names no operation that this server knows")
            return _Operation("", Mutation(operation="", levels=()))
        request = getattr(operation, field)
        if request.request_id:
            fields.refuse("request_id", "must be empty: that of the batch counts for all its operations")
        if request.namespace and fields.namespace(request.namespace) != (batch.namespace or limits.DEFAULT_NAMESPACE):
            shown = batch.namespace[: limits.PLACE_CHARACTERS_MAX] or limits.DEFAULT_NAMESPACE
            fields.refuse("namespace", f"must be empty or that of the batch, {shown}")
        origin = Origin(batch.namespace or limits.DEFAULT_NAMESPACE, batch.request_id, place)
        change = self._changes[field]
        mutation = change.mutation_of(request, fields, origin, reason=batch.reason, reference=batch.reference)
        return _Operation(field, mutation)

    def _answer(self, operations: Sequence[_Operation], outcomes: Sequence[Outcome]) -> batch_pb2.ApplyResponse:
        response = batch_pb2.ApplyResponse()
        revision = 0
        for operation, outcome in zip(operations, outcomes, strict=True):
            result = response.results.add()
            if isinstance(outcome, Applied):
                self._changes[operation.field].answer(getattr(result, operation.field), outcome)
                revision = outcome.revision
            elif isinstance(outcome, Refused):
                result.error.CopyFrom(_error_of(operation.mutation, outcome))
                self._refusals.add(result.error.reason)
                response.failed_count += 1
            else:
                result.not_applied.SetInParent()
        definite = cast("Sequence[Applied | Refused | NotApplied]", outcomes)
        response.applied = revision > 0
        response.revision = revision
        response.commit_time.CopyFrom(timestamp_of(definite[-1].commit_time_ms))
        response.replayed = all(outcome.replayed for outcome in definite)
        return response


def _error_of(mutation: Mutation, refused: Refused) -> batch_pb2.OperationError:
    error = refusal_of(mutation, refused)
    code: int = CODES[error.reason].value[0]
    return batch_pb2.OperationError(code=code, reason=error.reason, message=error.message, metadata=error.facts)


def _path_of(place: int, operation: batch_pb2.Operation) -> str:
    """Return what stands before the names of an operation's fields."""
    field = operation.WhichOneof("operation")
    return f"operations[{place}].{field}." if field else f"operations[{place}]"


def _check_size(request: batch_pb2.ApplyRequest) -> None:
    """Return if a batch is not too large; it is found out before anything in it is looked at.

    :raises BatchTooLargeError: it is.
    """
    count = len(request.operations)
    lines = count + sum(map(_further_lines_of, request.operations))
    if count > limits.BATCH_OPERATIONS_MAX or lines > limits.BATCH_LINES_MAX:
        raise BatchTooLargeError(
            operations=count, operations_max=limits.BATCH_OPERATIONS_MAX, lines=lines, lines_max=limits.BATCH_LINES_MAX
        )


def _further_lines_of(operation: batch_pb2.Operation) -> int:
    """Return for how many lines more than one an operation counts."""
    field = operation.WhichOneof("operation")
    return max(0, len(getattr(operation, field).lines) - 1) if field in _WITH_LINES else 0
