"""The shape of the contract: rules that hold for all of its messages, read from their descriptors."""

from typing import Any

from tallykeeper.v1.ledger_pb2 import VerifyResult
from tallykeeper.v1.namespace_pb2 import Namespace
from tests.support.client import METHODS, REQUEST_TYPES


def fields_of_requests() -> list[Any]:
    """Return the fields of all requests, and of the messages in them."""
    found: dict[str, Any] = {}
    waiting = [request_type.DESCRIPTOR for request_type in REQUEST_TYPES]
    while waiting:
        for field in waiting.pop().fields:
            if field.full_name not in found:
                found[field.full_name] = field
                waiting += [field.message_type] if field.message_type else []
    return list(found.values())


def test_a_time_to_live_is_called_ttl_everywhere() -> None:
    lengths = {
        field.full_name.removeprefix("tallykeeper.v1.")
        for field in fields_of_requests()
        if field.message_type and field.message_type.full_name == "google.protobuf.Duration"
    }

    assert lengths == {
        "ConfigureCounterRequest.ttl",
        "ExtendRequest.ttl",
        "NewCounter.ttl",
        "ReserveRequest.ttl",
    }


def test_every_answer_about_a_namespace_says_at_which_revision_it_is_true() -> None:
    without = {method.name for method in METHODS.values() if "revision" not in method.output_type.fields_by_name}

    assert without == {"ListNamespaces", "VerifyNamespace", "GetServerStatus"}
    assert "revision" in Namespace.DESCRIPTOR.fields_by_name
    assert "revision" in VerifyResult.DESCRIPTOR.fields_by_name
