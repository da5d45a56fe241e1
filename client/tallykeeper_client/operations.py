"""The operations of a batch, for `Client.apply`: each function takes what the client's method of that name takes.

    client.apply([operations.increment("sold"), operations.decrement_copies("dune")], atomic=True)

A batch has one request id and one deadline, so that an operation cannot have its own: to give it one is a TypeError.
"""

from collections.abc import Callable
from typing import Any, Concatenate, Final, ParamSpec, cast

from google.protobuf.message import Message

from tallykeeper.v1.batch_pb2 import Operation
from tallykeeper_client import counter_calls, inventory_calls, reservation_calls
from tallykeeper_client.call import Call, Defaults, document

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


increment = _operation(counter_calls.increment)
set_counter = _operation(counter_calls.set_counter)
configure_counter = _operation(counter_calls.configure_counter)
delete_counter = _operation(counter_calls.delete_counter)

decrement_copies = _operation(inventory_calls.decrement_copies)
increment_copies = _operation(inventory_calls.increment_copies)
set_stock = _operation(inventory_calls.set_stock)
move_copies = _operation(inventory_calls.move_copies)
configure_stock = _operation(inventory_calls.configure_stock)
delete_stock = _operation(inventory_calls.delete_stock)

reserve = _operation(reservation_calls.reserve)
commit = _operation(reservation_calls.commit)
release = _operation(reservation_calls.release)
extend = _operation(reservation_calls.extend)
