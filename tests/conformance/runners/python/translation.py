"""Translates between the messages of the harness and the arguments, results and errors of the Python SDK."""

import inspect
import json
import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2  # noqa: F401  # printing the errors of operations needs its types

from tallykeeper.v1 import (
    batch_pb2,
    counter_pb2,
    inventory_pb2,
    ledger_pb2,
    namespace_pb2,
    reservation_pb2,
    server_pb2,
)
from tallykeeper_client import (
    CommitExceedsReserved,
    InsufficientStock,
    InvalidField,
    TallykeeperError,
    fresh_request_id,
    tls_credentials,
)

_FILES: Final = (batch_pb2, counter_pb2, inventory_pb2, ledger_pb2, namespace_pb2, reservation_pb2, server_pb2)
_REQUESTS: Final = {
    f"{service.name}.{method.name}": getattr(file, method.input_type.name)
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
_OF_EVERY_CALL: Final = frozenset({"namespace", "request_id", "reason", "reference"})

ActionT = TypeVar("ActionT")

_printing: Final = threading.Lock()


class UnknownMessageError(Exception):
    """The runner does not understand a message of the harness."""


def reply(message_id: int, **content: Any) -> None:  # noqa: ANN401  # JSON
    """Write a reply."""
    line = json.dumps({"id": message_id, **content})
    with _printing:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def known(actions: Mapping[str, ActionT], name: str) -> ActionT:
    """Return an action by its name.

    :raises UnknownMessageError: there is no such action.
    """
    try:
        return actions[name]
    except KeyError:
        message = f"there is no action {name!r}"
        raise UnknownMessageError(message) from None


def client_options(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a client."""
    options: dict[str, Any] = {name: message[name] for name in ("namespace", "token") if name in message}
    if "timeout_ms" in message:
        options["timeout_seconds"] = message["timeout_ms"] / 1000
    if "retry" in message:
        options["retries"] = message["retry"]
    if "ca_file" in message:
        options["credentials"] = tls_credentials(
            ca=message["ca_file"], certificate=message.get("cert_file"), key=message.get("key_file")
        )
    return options


def method_name(method: str) -> str:
    """Return the name of the client's method for an RPC."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", method.partition(".")[2]).lower()


def arguments(method: Callable[..., object], rpc: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a client's method for a request.

    :raises UnknownMessageError: there is no such RPC or field, or the method has no argument for a field.
    """
    if rpc not in _REQUESTS:
        unknown = f"there is no method {rpc!r}"
        raise UnknownMessageError(unknown)
    try:
        request = ParseDict(message.get("request", {}), _REQUESTS[rpc]())
    except ParseError as error:
        raise UnknownMessageError(str(error)) from error
    parameters = inspect.signature(method).parameters
    found = _apply_arguments(request) if isinstance(request, batch_pb2.ApplyRequest) else _fields(request)
    if strange := ", ".join(sorted(found.keys() - parameters.keys() - _OF_EVERY_CALL)):
        unknown = f"the method of {rpc} takes no {strange}"
        raise UnknownMessageError(unknown)
    if "timeout_ms" in message:
        found["timeout_seconds"] = message["timeout_ms"] / 1000
    return {**_left_out(request, parameters), **found}


def _fields(request: Message) -> dict[str, Any]:
    """Return the fields that are set. Fields that an update mask names and that are not set are None."""
    mask: FieldMask | None = getattr(request, "update_mask", None)
    cleared: dict[str, Any] = {} if mask is None else dict.fromkeys(mask.paths)
    given = {field.name: _value(value) for field, value in request.ListFields() if field.name != "update_mask"}
    return {**cleared, **given}


def _apply_arguments(request: batch_pb2.ApplyRequest) -> dict[str, Any]:
    found = _fields(request)
    mode = found.pop("mode", batch_pb2.BATCH_MODE_UNSPECIFIED)
    return {"operations": [], **found, "atomic": mode == batch_pb2.BATCH_MODE_ATOMIC}


def _value(value: Any) -> Any:  # noqa: ANN401  # any field
    if isinstance(value, Duration):
        return value.ToTimedelta()
    if isinstance(value, Timestamp):
        return value.ToDatetime()
    return value


def _left_out(request: Message, parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Return an empty value for each argument that the method needs and the request lacks."""
    fields = request.DESCRIPTOR.fields_by_name
    return {
        name: None if fields[name].has_presence else () if fields[name].is_repeated else ""
        for name, each in parameters.items()
        if each.default is each.empty and name in fields
    }


def batch_arguments(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Client.apply` for a batch."""
    operations = [ParseDict(each, batch_pb2.Operation()) for each in message["operations"]]
    return {"operations": operations, "atomic": message["mode"] == "BATCH_MODE_ATOMIC"}


def response_json(response: Message) -> dict[str, Any]:
    """Return a response as protobuf JSON."""
    return dict(MessageToDict(response))


def error_json(error: Exception) -> dict[str, Any]:
    """Return an error in the form that the harness compares."""
    if isinstance(error, ValueError | TypeError):
        return _error("INVALID_ARGUMENT", error)
    if not isinstance(error, TallykeeperError):
        return _error("INVALID_RUNNER_MESSAGE", error)
    found: dict[str, Any] = {
        "code": error.code.name,
        "reason": error.reason,
        "message": error.message,
        "values": dict(error.metadata),
        "type": type(error).__name__,
    }
    if isinstance(error, InsufficientStock | CommitExceedsReserved):
        found["shortages"] = [{name: str(value) for name, value in line._asdict().items()} for line in error.lines]
    if isinstance(error, InvalidField):
        found["field_violations"] = [each._asdict() for each in error.violations]
    if error.retry_after_seconds is not None:
        found["retry_after_ms"] = round(error.retry_after_seconds * 1000)
    return found


def _error(code: str, error: Exception) -> dict[str, Any]:
    return {"code": code, "reason": "", "message": str(error), "values": {}, "type": type(error).__name__}


def new_request_id() -> str:
    """Return a request id as the SDK makes them."""
    return fresh_request_id()
