"""The contract for the harness: requests and responses by the names of methods, from and to protobuf JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from tallykeeper.v1 import (
    batch_pb2,
    counter_pb2,
    inventory_pb2,
    ledger_pb2,
    namespace_pb2,
    reservation_pb2,
    server_pb2,
)

_FILES: Final = (batch_pb2, counter_pb2, inventory_pb2, ledger_pb2, namespace_pb2, reservation_pb2, server_pb2)

METHODS: Final[Mapping[str, MethodDescriptor]] = {
    f"{service.name}.{method.name}": method
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""Every method of the contract by its name, such as ``CounterService.Increment``."""

MODES: Final = {"atomic": "BATCH_MODE_ATOMIC", "independent": "BATCH_MODE_INDEPENDENT"}


@dataclass(frozen=True, slots=True)
class Reply:
    """A message in the form in which a case compares it, with the names of the protos."""

    full: Mapping[str, Any]
    """The message with the defaults of the fields that always have a value."""
    given: Mapping[str, Any]
    """The fields that are set."""


def request_json(method: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request in the canonical protobuf JSON.

    :raises json_format.ParseError: the request has an unknown field, or a value of another type.
    """
    return dict(MessageToDict(_parsed(GetMessageClass(METHODS[method].input_type), fields)))


def operation_json(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation of a batch in the canonical protobuf JSON.

    :raises json_format.ParseError: the operation has an unknown field, or a value of another type.
    """
    return dict(MessageToDict(_parsed(batch_pb2.Operation, fields)))


def reply_of(method: str, reply: Mapping[str, Any]) -> Reply:
    """Read the protobuf JSON of a response.

    :raises json_format.ParseError: the JSON is not a response of this method.
    """
    return _reply(_parsed(GetMessageClass(METHODS[method].output_type), _without_details(reply)))


def _reply(message: Message) -> Reply:
    given = MessageToDict(message, preserving_proto_field_name=True)
    full = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return Reply(full=full, given=given)


def _parsed(kind: type[Message], fields: Mapping[str, Any]) -> Message:
    return ParseDict(dict(fields), kind())


def _without_details(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Remove the details of the errors of operations, because a runner need not know their types."""
    results = reply.get("results")
    if not isinstance(results, list):
        return reply
    return {**reply, "results": [_without_error_details(result) for result in results]}


def _without_error_details(result: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(result, dict) and isinstance(result.get("error"), dict):
        return {**result, "error": {name: value for name, value in result["error"].items() if name != "details"}}
    return result
