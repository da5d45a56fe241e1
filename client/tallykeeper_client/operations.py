"""The operations of a batch, for `Client.apply`. Each method takes the arguments of the client's method of that name.

A batch has one request id and one deadline. An operation that has either raises a TypeError.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from google.protobuf.message import Message

from tallykeeper.v1.batch_pb2 import Operation
from tallykeeper_client._calls.base import Call, Defaults, Describing
from tallykeeper_client._calls.counters import CounterMutations
from tallykeeper_client._calls.inventory import InventoryMutations
from tallykeeper_client._calls.reservations import ReservationMutations

_NO_DEFAULTS: Final = Defaults(namespace="", timeout_seconds=1, new_request_id=str)
_OPTIONS_OF_THE_BATCH: Final = ("request_id", "timeout_seconds")
_FIELDS: Final = {field.message_type: field.name for field in Operation.DESCRIPTOR.fields}


class Operations(CounterMutations, InventoryMutations, ReservationMutations, Describing):
    """The mutations that a batch may contain. Each method returns an operation instead of sending a request.

    Each method takes the arguments of the client's method of that name, without ``request_id`` and ``timeout_seconds``,
    which belong to the batch. With them, it raises TypeError. The ``namespace`` must be that of the batch.

    Example:
        >>> sale = [operations.increment("sales"), operations.increment_copies("dune", copies=2)]
        >>> client.apply(sale, atomic=True).results[1].increment_copies.stock_level.on_hand
        2

    """

    @classmethod
    def _method_of(cls, build: Callable[..., Call[Any]]) -> Callable[..., object]:
        """Return a method that puts the request of ``build`` into an operation."""

        def method(self: "Operations", /, *args: object, **kwargs: object) -> Operation:  # noqa: ARG001  # a method
            return operation_of(build, *args, **kwargs)

        return method


def operation_of(build: Callable[..., Call[Any]], *args: object, **kwargs: object) -> Operation:
    """Return the operation with the request that ``build`` makes of the arguments.

    Raises TypeError if an argument belongs to the batch as a whole.
    """
    for name in _OPTIONS_OF_THE_BATCH:
        if kwargs.get(name) is not None:
            message = f"{name} belongs to the whole batch: it cannot be given for one operation"
            raise TypeError(message)
    request = cast("Message", build(_NO_DEFAULTS, *args, **kwargs).request)
    operation = Operation()
    getattr(operation, _FIELDS[request.DESCRIPTOR]).CopyFrom(request)
    return operation


operations: Final = Operations()
