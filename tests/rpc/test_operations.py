"""The table of operations and the contract: each operation that changes something has one row, which fits it."""

from typing import Any

import pytest

from tallykeeper.v1.batch_pb2 import Operation, OperationResult
from tallykeeper.v1.ledger_pb2 import OperationKind
from tallykeeper_lua import operation_names
from tallykeeper_server.access.roles import Role
from tallykeeper_server.rpc.mutations import MutationSpec
from tallykeeper_server.rpc.operations import KIND_OF_OPERATION, OPERATIONS, SPEC_OF_FIELD
from tests.support.client import METHODS

BY_NAME = {f"{method.containing_service.name}.{method.name}": method for method in METHODS.values()}
each_operation = pytest.mark.parametrize("spec", OPERATIONS, ids=lambda spec: spec.rpc)


def test_each_method_that_changes_something_has_one_row() -> None:
    mutating = {name for name, method in BY_NAME.items() if "replayed" in method.output_type.fields_by_name}

    assert sorted(spec.rpc for spec in OPERATIONS) == sorted(mutating - {"BatchService.Apply"})


def test_each_field_of_an_operation_in_a_batch_has_one_row() -> None:
    fields = [field.name for field in Operation.DESCRIPTOR.oneofs_by_name["operation"].fields]

    assert sorted(spec.field for spec in OPERATIONS) == sorted(fields)
    assert SPEC_OF_FIELD.keys() == set(fields)


@each_operation
def test_the_method_and_the_field_of_a_row_have_the_same_messages(spec: MutationSpec[Any, Any]) -> None:
    method = BY_NAME[spec.rpc]

    assert spec.response.DESCRIPTOR is method.output_type
    assert Operation.DESCRIPTOR.fields_by_name[spec.field].message_type is method.input_type
    assert OperationResult.DESCRIPTOR.fields_by_name[spec.field].message_type is method.output_type


@each_operation
def test_the_kind_of_a_row_is_named_like_its_field(spec: MutationSpec[Any, Any]) -> None:
    assert OperationKind.Name(spec.kind) == f"OPERATION_KIND_{spec.field.upper()}"


def test_each_kind_of_entry_has_one_operation_and_each_lua_operation_one_kind() -> None:
    assert sorted(KIND_OF_OPERATION.values()) == sorted(set(OperationKind.values()) - {0})
    assert KIND_OF_OPERATION.keys() == operation_names()


@each_operation
def test_an_operation_that_sets_rules_or_deletes_needs_an_administrator(spec: MutationSpec[Any, Any]) -> None:
    administers = spec.field.startswith(("configure_", "delete_"))

    assert spec.role == (Role.ADMINISTER if administers else Role.WRITE)


@each_operation
def test_the_operations_that_end_a_reservation_say_so(spec: MutationSpec[Any, Any]) -> None:
    assert spec.resolves == (spec.field in {"commit", "release"})
