"""The table of the operations that change something. Each service's module holds its rows.

The methods of the services, batches, the kinds of entries and the roles that callers need derive from this table.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from tallykeeper.v1.ledger_pb2 import OperationKind
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.pending_result import Pending
from tallykeeper_server.rpc import counters, inventory, reservations
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.mutations import MutationSpec, apply

OPERATIONS: Final[tuple[MutationSpec[Any, Any], ...]] = (
    *counters.MUTATIONS,
    *inventory.MUTATIONS,
    *reservations.MUTATIONS,
)
SPEC_OF_FIELD: Final[Mapping[str, MutationSpec[Any, Any]]] = {spec.field: spec for spec in OPERATIONS}
"""The operations by the field that each has in tallykeeper.v1.Operation."""
KIND_OF_OPERATION: Final[Mapping[str, OperationKind]] = {
    **{spec.operation: spec.kind for spec in OPERATIONS},
    "reservation_expire": OperationKind.OPERATION_KIND_EXPIRE,  # the server itself makes it
}
"""The kinds of entries in the ledger, by the name of the Lua operation."""


def mutation_methods(
    engine: Engine, *, reservation_ttl_ms_max: int
) -> Mapping[str, Callable[[Any, Call], Pending[Any]]]:
    """Return the methods that change something, such as ``CounterService.Increment``, by their names.

    ``reservation_ttl_ms_max`` is the longest time for which a reservation may be made, in milliseconds.
    """
    return {spec.rpc: partial(apply, engine, reservation_ttl_ms_max, spec) for spec in OPERATIONS}
