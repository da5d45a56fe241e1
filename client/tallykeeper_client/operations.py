"""The operations of a batch, for `Client.apply`: each function takes what the client's method of that name takes.

    client.apply([operations.increment("sold"), operations.decrement_copies("dune")], atomic=True)

A batch has one request id and one deadline, so that an operation cannot have its own: to give it one is a TypeError.
"""

from collections.abc import Callable
from typing import Any, Concatenate, Final, ParamSpec, cast

from google.protobuf.message import Message

from tallykeeper.v1.batch_pb2 import Operation
from tallykeeper_client._calls import counters, inventory, reservations
from tallykeeper_client._calls.base import Call, Defaults, document

_P = ParamSpec("_P")

_NOTHING: Final = Defaults(namespace="", timeout_seconds=0, new_request_id=str)
_OF_THE_BATCH: Final = ("request_id", "timeout_seconds")
_FIELDS: Final = {field.message_type: field.name for field in Operation.DESCRIPTOR.fields}


def _operation(build: Callable[Concatenate[Defaults, _P], Call[Any]]) -> Callable[_P, Operation]:
    """Make a function that puts the request that ``build`` builds into an operation."""

    def operation(*args: _P.args, **kwargs: _P.kwargs) -> Operation:
        for name in _OF_THE_BATCH:
            if kwargs.get(name) is not None:
                message = f"{name} belongs to the batch as a whole, and not to one of its operations"
                raise TypeError(message)
        request = cast("Message", build(_NOTHING, *args, **kwargs).request)
        made = Operation()
        getattr(made, _FIELDS[request.DESCRIPTOR]).CopyFrom(request)
        return made

    document(operation, build, returns=Operation)
    return operation


increment = _operation(counters.increment)
set_counter = _operation(counters.set_counter)
configure_counter = _operation(counters.configure_counter)
delete_counter = _operation(counters.delete_counter)

decrement_copies = _operation(inventory.decrement_copies)
increment_copies = _operation(inventory.increment_copies)
set_stock = _operation(inventory.set_stock)
move_copies = _operation(inventory.move_copies)
configure_stock = _operation(inventory.configure_stock)
delete_stock = _operation(inventory.delete_stock)

reserve = _operation(reservations.reserve)
commit = _operation(reservations.commit)
release = _operation(reservations.release)
extend = _operation(reservations.extend)
