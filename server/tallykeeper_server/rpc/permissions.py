"""Which role each method asks for. One table, one place; a method that is not in it cannot be served."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tallykeeper.v1 import batch_pb2
from tallykeeper_server.access.roles import Role
from tallykeeper_server.domain.limits import DEFAULT_NAMESPACE, LABEL_CHARACTERS_MAX

ROLES: Final[Mapping[str, Role]] = {
    "CounterService.Increment": Role.WRITE,
    "CounterService.SetCounter": Role.WRITE,
    "CounterService.ConfigureCounter": Role.ADMINISTER,
    "CounterService.DeleteCounter": Role.ADMINISTER,
    "CounterService.GetCounter": Role.READ,
    "CounterService.BatchGetCounters": Role.READ,
    "CounterService.ListCounters": Role.READ,
    "InventoryService.DecrementCopies": Role.WRITE,
    "InventoryService.IncrementCopies": Role.WRITE,
    "InventoryService.SetStock": Role.WRITE,
    "InventoryService.MoveCopies": Role.WRITE,
    "InventoryService.ConfigureStock": Role.ADMINISTER,
    "InventoryService.DeleteStock": Role.ADMINISTER,
    "InventoryService.GetStock": Role.READ,
    "InventoryService.BatchGetStock": Role.READ,
    "InventoryService.GetItem": Role.READ,
    "InventoryService.ListStock": Role.READ,
    "InventoryService.CheckAvailability": Role.READ,
    "ReservationService.Reserve": Role.WRITE,
    "ReservationService.Commit": Role.WRITE,
    "ReservationService.Release": Role.WRITE,
    "ReservationService.Extend": Role.WRITE,
    "ReservationService.GetReservation": Role.READ,
    "ReservationService.ListReservations": Role.READ,
    "BatchService.Apply": Role.WRITE,  # and what each of its operations asks for
    "LedgerService.ListEntries": Role.READ,
    "LedgerService.Watch": Role.READ,
    "LedgerService.LookupRequest": Role.READ,
    "LedgerService.VerifyNamespace": Role.READ,
    "NamespaceService.ListNamespaces": Role.NONE,  # it tells of those alone that the caller may read
    "NamespaceService.GetNamespace": Role.READ,
}
"""Administering is to change the rules by which others count, or to delete what they count."""


def role_asked_by(method: MethodDescriptor) -> Callable[[Any], Role]:
    """Return what says which role a request of a method asks for.

    :raises KeyError: the method is not in the table.
    """
    role = ROLES[f"{method.containing_service.name}.{method.name}"]
    if method.input_type.full_name != batch_pb2.ApplyRequest.DESCRIPTOR.full_name:
        return lambda _: role
    # Each operation is the request of a method, whose name it has.
    roles = {name.partition(".")[2].lower(): role for name, role in ROLES.items()}
    operations = batch_pb2.Operation.DESCRIPTOR.oneofs_by_name["operation"].fields
    by_field = {field.name: roles[field.name.replace("_", "")] for field in operations}

    def of_batch(request: batch_pb2.ApplyRequest) -> Role:
        fields = {operation.WhichOneof("operation") for operation in request.operations} - {None}
        return max((by_field[str(field)] for field in fields), default=role)

    return of_batch


def namespace_of(request: Message) -> str:
    """Return the namespace that a request names, or as much of it as a namespace may have."""
    namespace: str = getattr(request, "namespace", "")
    return namespace[: LABEL_CHARACTERS_MAX + 1] or DEFAULT_NAMESPACE
