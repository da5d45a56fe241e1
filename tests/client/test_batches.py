"""Batches: what an operation is made of, and what becomes of the results."""

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor

from tallykeeper.v1.batch_pb2 import ApplyRequest, NotApplied, OperationError
from tallykeeper.v1.counter_pb2 import IncrementRequest, IncrementResponse
from tallykeeper_client import (
    ApplyResponse,
    InsufficientStock,
    InvalidField,
    Operation,
    OperationResult,
    StockLine,
    TallykeeperError,
    error_of_result,
    operations,
)
from tests.client.connecting import Connect
from tests.client.scripted_server import ScriptedServer

SHORT = {"item": "dune", "location": "main", "requested": "3", "available": "2", "backorder_limit": "0"}


@pytest.mark.parametrize("field", list(Operation.DESCRIPTOR.fields), ids=lambda field: field.name)
def test_every_operation_has_a_function_of_its_name(field: FieldDescriptor) -> None:
    arguments: dict[str, tuple[object, ...]] = {
        "set_counter": ("a", 1),
        "set_stock": ("a", 1),
        "reserve": ([StockLine(item="a")],),
    }

    made = getattr(operations, field.name)(*arguments.get(field.name, ("a",)))

    assert isinstance(made, Operation)
    assert made.WhichOneof("operation") == field.name
    request = getattr(made, field.name)
    assert (request.namespace, request.request_id) == ("", "")


def test_an_operation_takes_what_the_method_takes() -> None:
    made = operations.increment("visitors", delta=-2, reason="left", reference="door-2")

    assert made.increment == IncrementRequest(counter="visitors", delta=-2, reason="left", reference="door-2")


@pytest.mark.parametrize("options", [{"request_id": "mine"}, {"timeout_seconds": 1.0}])
def test_what_belongs_to_the_batch_is_not_an_operations(options: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="belongs to the batch"):
        operations.increment("visitors", **options)  # type: ignore[arg-type]


async def test_a_batch_goes_out_as_one_request(connect: Connect, scripted: ScriptedServer) -> None:
    client = await connect(scripted.target, namespace="shop")
    changes = [operations.increment("sold"), operations.decrement_copies("dune")]

    await client.apply(changes, atomic=True, request_id="mine", reason="sale", reference="order-1")

    (asked,) = scripted.asked
    assert asked.path == "/tallykeeper.v1.BatchService/Apply"
    assert ApplyRequest.FromString(asked.body) == ApplyRequest(
        namespace="shop", request_id="mine", reason="sale", reference="order-1", operations=changes, atomic=True
    )


async def test_an_operation_that_failed_is_the_exception_of_its_call(
    connect: Connect, scripted: ScriptedServer
) -> None:
    failed = OperationError(code=9, reason="INSUFFICIENT_STOCK", message="too few", metadata=SHORT)
    scripted.will_answer(ApplyResponse(results=[OperationResult(error=failed)], failed_count=1))
    client = await connect(scripted.target)

    (result,) = (await client.apply([operations.decrement_copies("dune", copies=3)])).results
    error = error_of_result(result, request_id="mine")

    assert isinstance(error, InsufficientStock)
    assert (error.code, str(error), error.available) == (grpc.StatusCode.FAILED_PRECONDITION, "too few", 2)
    assert error.request_id == "mine"


@pytest.mark.parametrize(
    "result", [OperationResult(increment=IncrementResponse()), OperationResult(not_applied=NotApplied())]
)
def test_an_operation_that_did_not_fail_has_no_error(result: OperationResult) -> None:
    assert error_of_result(result) is None


def test_a_bad_field_of_an_operation_is_named() -> None:
    failed = OperationError(code=3, reason="INVALID_FIELD", message="is too large", metadata={"field": "delta"})

    error = error_of_result(OperationResult(error=failed))

    assert isinstance(error, InvalidField)
    assert error.violations == (("delta", "is too large"),)


def test_a_code_that_is_not_known_is_unknown() -> None:
    error = error_of_result(OperationResult(error=OperationError(code=99, reason="NOT_YET_INVENTED")))

    assert type(error) is TallykeeperError
    assert error.code is grpc.StatusCode.UNKNOWN
