"""Batches: the operations of a request, and the results."""

import pickle

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.rpc.error_details_pb2 import BadRequest

from tallykeeper.v1 import batch_pb2
from tallykeeper.v1.batch_pb2 import BATCH_MODE_ATOMIC, ApplyRequest, OperationResult
from tallykeeper.v1.counter_pb2 import IncrementRequest, IncrementResponse
from tallykeeper_client import (
    ApplyResponse,
    BatchRefused,
    CounterNotFound,
    InsufficientStock,
    InvalidField,
    Operation,
    StockLine,
    TallykeeperError,
    error_of_result,
    operations,
)
from tests.client.connection import Connect
from tests.client.scripted_server import Refusal, ScriptedServer
from tests.client.trailers import SHORT, operation_error, shortages, trailers


@pytest.mark.parametrize("field", list(Operation.DESCRIPTOR.fields), ids=lambda field: field.name)
def test_every_operation_has_a_function_with_its_name(field: FieldDescriptor) -> None:
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


def test_an_operation_takes_the_arguments_of_the_method() -> None:
    made = operations.increment("visitors", delta=-2, reason="left", reference="door-2")

    assert made.increment == IncrementRequest(counter="visitors", delta=-2, reason="left", reference="door-2")


@pytest.mark.parametrize("options", [{"request_id": "mine"}, {"timeout_seconds": 1.0}])
def test_an_operation_refuses_options_of_the_batch(options: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="belongs to the whole batch"):
        operations.increment("visitors", **options)  # type: ignore[arg-type]


async def test_a_batch_goes_out_as_one_request(connect: Connect, scripted: ScriptedServer) -> None:
    client = await connect(scripted.target, namespace="shop")
    changes = [operations.increment("sold"), operations.decrement_copies("dune")]

    await client.apply(changes, atomic=True, request_id="mine", reason="sale", reference="order-1")

    (asked,) = scripted.asked
    assert asked.path == "/tallykeeper.v1.BatchService/Apply"
    assert ApplyRequest.FromString(asked.body) == ApplyRequest(
        namespace="shop",
        request_id="mine",
        reason="sale",
        reference="order-1",
        operations=changes,
        mode=BATCH_MODE_ATOMIC,
    )


async def test_an_operation_that_failed_is_the_exception_of_its_call(
    connect: Connect, scripted: ScriptedServer
) -> None:
    failed = operation_error(9, "INSUFFICIENT_STOCK", "too few", None, shortages(SHORT))
    scripted.will_answer(ApplyResponse(results=[OperationResult(error=failed)], failed_count=1))
    client = await connect(scripted.target)

    (result,) = (await client.apply([operations.decrement_copies("dune", copies=3)], atomic=False)).results
    error = error_of_result(result, request_id="mine")

    assert isinstance(error, InsufficientStock)
    assert (error.code, str(error), error.available) == (grpc.StatusCode.FAILED_PRECONDITION, "too few", 2)
    assert error.request_id == "mine"


def test_an_operation_that_did_not_fail_has_no_error() -> None:
    assert error_of_result(OperationResult(increment=IncrementResponse())) is None


async def test_a_refused_batch_raises_an_exception_with_the_errors_of_its_operations(
    connect: Connect, scripted: ScriptedServer
) -> None:
    failed = batch_pb2.BatchRefused(
        failed_count=3,
        operations=[
            {"index": 1, "error": operation_error(9, "INSUFFICIENT_STOCK", "too few", None, shortages(SHORT))},
            {"index": 4, "error": operation_error(5, "COUNTER_NOT_FOUND", "none", {"counter": "sold"})},
        ],
    )
    metadata = {"failed_count": "3", "index": "1", "operation_reason": "INSUFFICIENT_STOCK"}
    refusal = Refusal(grpc.StatusCode.FAILED_PRECONDITION, "in words", trailers("BATCH_REFUSED", metadata, failed))
    scripted.will_answer(refusal)
    client = await connect(scripted.target)

    with pytest.raises(BatchRefused) as raised:
        await client.apply([operations.increment("sold")] * 5, atomic=True, request_id="mine")

    assert (raised.value.code, raised.value.failed_count) == (grpc.StatusCode.FAILED_PRECONDITION, 3)
    (first, short), (second, absent) = [(each.index, each.error) for each in raised.value.operations]
    assert (first, second) == (1, 4)
    assert isinstance(short, InsufficientStock)
    assert (short.available, short.code, short.request_id) == (2, grpc.StatusCode.FAILED_PRECONDITION, "mine")
    assert isinstance(absent, CounterNotFound)
    assert (absent.counter, absent.code) == ("sold", grpc.StatusCode.NOT_FOUND)
    copy = pickle.loads(pickle.dumps(raised.value))  # noqa: S301  # its own
    assert [each.index for each in copy.operations] == [1, 4]


async def test_a_refused_batch_without_its_list_raises_too(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(Refusal(grpc.StatusCode.ABORTED, "in words", trailers("BATCH_REFUSED", {"failed_count": "3"})))
    client = await connect(scripted.target)

    with pytest.raises(BatchRefused) as raised:
        await client.apply([operations.increment("sold")], atomic=True)

    assert (raised.value.failed_count, raised.value.operations) == (3, ())


def test_a_bad_field_of_an_operation_is_named() -> None:
    broken = BadRequest(field_violations=[{"field": "delta", "description": "is too large"}])
    failed = operation_error(3, "INVALID_FIELD", "delta: is too large", {"field": "delta"}, broken)

    error = error_of_result(OperationResult(error=failed))

    assert isinstance(error, InvalidField)
    assert error.violations == (("delta", "is too large"),)


def test_an_unlisted_code_becomes_unknown() -> None:
    error = error_of_result(OperationResult(error=operation_error(99, "NOT_YET_INVENTED", "in words")))

    assert type(error) is TallykeeperError
    assert error.code is grpc.StatusCode.UNKNOWN
