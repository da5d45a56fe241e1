"""The role that each method needs. A method without a role cannot be served."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor

from tallykeeper.v1 import batch_pb2
from tallykeeper_server.access.roles import Role
from tallykeeper_server.rpc.operations import OPERATIONS, SPEC_OF_FIELD

ROLES: Final[Mapping[str, Role]] = {
    **{spec.rpc: spec.role for spec in OPERATIONS},
    "CounterService.GetCounter": Role.READ,
    "CounterService.BatchGetCounters": Role.READ,
    "CounterService.ListCounters": Role.READ,
    "InventoryService.GetStock": Role.READ,
    "InventoryService.BatchGetStock": Role.READ,
    "InventoryService.GetItem": Role.READ,
    "InventoryService.ListStock": Role.READ,
    "InventoryService.CheckAvailability": Role.READ,
    "ReservationService.GetReservation": Role.READ,
    "ReservationService.ListReservations": Role.READ,
    "BatchService.Apply": Role.WRITE,  # or the highest role that one of its operations needs
    "LedgerService.ListEntries": Role.READ,
    "LedgerService.Watch": Role.READ,
    "LedgerService.LookupRequest": Role.READ,
    "LedgerService.VerifyNamespace": Role.READ,
    "NamespaceService.ListNamespaces": Role.NONE,  # the response holds only the namespaces that the caller may read
    "NamespaceService.GetNamespace": Role.READ,
    "ServerService.GetServerStatus": Role.READ,  # in all namespaces, because its request names none
}
"""The role that each method needs. ADMINISTER is for methods that change the rules for others, or delete levels."""

WITHOUT_LANE: Final = frozenset({"ServerService.GetServerStatus"})
"""The methods that ask the store beside the lanes. They answer also while the lanes are full."""


def is_mutation(method: MethodDescriptor) -> bool:
    """Return True if a method changes something."""
    return ROLES.get(_name_of(method), Role.NONE).may_change


def role_needed_by(method: MethodDescriptor) -> Callable[[Any], Role]:
    """Return a function that takes a request of a method and returns the role that the request needs.

    :raises KeyError: the method has no role.
    """
    role = ROLES[_name_of(method)]
    return _role_of_batch if method.input_type is batch_pb2.ApplyRequest.DESCRIPTOR else lambda _: role


def _role_of_batch(request: batch_pb2.ApplyRequest) -> Role:
    """Return the highest role that an operation of a batch needs."""
    fields = {operation.WhichOneof("operation") for operation in request.operations} - {None}
    return max((SPEC_OF_FIELD[str(field)].role for field in fields), default=ROLES["BatchService.Apply"])


def _name_of(method: MethodDescriptor) -> str:
    """Return the name of a method in the table."""
    return f"{method.containing_service.name}.{method.name}"
