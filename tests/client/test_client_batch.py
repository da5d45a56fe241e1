"""The client's batching: the calls that share a request, the answer of each, and cancelled calls."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, ApplyResponse, OperationResult
from tallykeeper.v1.counter_pb2 import Counter, IncrementResponse
from tallykeeper_client import (
    AsyncClient,
    Batch,
    InsufficientStock,
    InvalidField,
    Operation,
    OutcomeUnknown,
    RequestIdReused,
    StockLine,
)
from tallykeeper_client import batch as batch_module
from tests.client.scripted_server import Refusal, ScriptedServer
from tests.client.trailers import SHORT, operation_error, shortages
from tests.support.server import ThreadedServer


@pytest.fixture
async def client(scripted: ScriptedServer) -> AsyncIterator[AsyncClient]:
    """A client of the scripted server."""
    async with AsyncClient(scripted.target, namespace="shop") as client:
        yield client


@pytest.fixture
async def served_client(server: ThreadedServer, namespace: str) -> AsyncIterator[AsyncClient]:
    """A client of a real server."""
    async with AsyncClient(server.target, namespace=namespace) as client:
        yield client


def incremented(*values: int) -> ApplyResponse:
    """The answer to increments."""
    results = [OperationResult(increment=IncrementResponse(counter=Counter(value=value))) for value in values]
    return ApplyResponse(results=results)


def refusal(code: grpc.StatusCode, reason: str, *fields: str) -> Refusal:
    """A call that is refused, with the fields that break a rule."""
    details = [Any(), Any()]
    details[0].Pack(ErrorInfo(reason=reason, domain="tallykeeper.io"))
    violations = [BadRequest.FieldViolation(field=field, description="is wrong") for field in fields]
    details[1].Pack(BadRequest(field_violations=violations))
    status = Status(code=code.value[0], message="as scripted", details=details)
    return Refusal(code, trailers=(("grpc-status-details-bin", status.SerializeToString()),))


def asked(scripted: ScriptedServer) -> list[ApplyRequest]:
    return [ApplyRequest.FromString(each.body) for each in scripted.asked]


@pytest.mark.parametrize("field", [field.name for field in Operation.DESCRIPTOR.fields])
def test_every_method_of_a_batch_has_the_docstring_of_the_client(field: str) -> None:
    method, own = getattr(Batch, field), getattr(AsyncClient, field)

    assert (method.__name__, method.__doc__) == (own.__name__, own.__doc__)


async def test_calls_made_together_share_a_request(client: AsyncClient, scripted: ScriptedServer) -> None:
    scripted.will_answer(incremented(1, 5))

    async with client.batch() as batch:
        answers = await asyncio.gather(batch.increment("a", reason="sale"), batch.increment("b", delta=5))

    (request,) = asked(scripted)
    assert (request.namespace, request.mode, len(request.request_id)) == ("shop", BATCH_MODE_INDEPENDENT, 32)
    assert [operation.increment.counter for operation in request.operations] == ["a", "b"]
    assert request.operations[0].increment.reason == "sale"
    assert [answer.counter.value for answer in answers] == [1, 5]


async def test_calls_made_during_two_requests_share_the_next_one(client: AsyncClient, scripted: ScriptedServer) -> None:
    scripted.will_answer(None, None)
    async with asyncio.timeout(10):
        async with client.batch() as batch:
            calls = [asyncio.create_task(batch.increment("a"))]
            while len(scripted.asked) < 2:
                if len(scripted.asked) == len(calls):
                    calls.append(asyncio.create_task(batch.increment("b")))
                await asyncio.sleep(0.001)
            calls += [asyncio.create_task(batch.increment(f"c{number}")) for number in range(10)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(scripted.asked) == 2
            for call in calls:
                call.cancel()
            await client.close()


async def test_each_call_is_answered_or_refused_independently(client: AsyncClient, scripted: ScriptedServer) -> None:
    error = operation_error(9, "INSUFFICIENT_STOCK", "too few", None, shortages(SHORT))
    answer = incremented(1)
    answer.results.add().error.CopyFrom(error)
    scripted.will_answer(answer)

    async with client.batch() as batch:
        first, second = await asyncio.gather(
            batch.increment("a"), batch.decrement_copies("dune", copies=3), return_exceptions=True
        )

    assert first == incremented(1).results[0].increment
    assert isinstance(second, InsufficientStock)
    assert (second.requested, second.available) == (3, 2)


async def test_a_bad_field_fails_only_its_own_call(client: AsyncClient, scripted: ScriptedServer) -> None:
    bad = refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "operations[1].increment.counter")
    scripted.will_answer(bad, incremented(1, 3))

    async with client.batch() as batch:
        first, second, third = await asyncio.gather(
            *(batch.increment(counter) for counter in ("a", "", "c")), return_exceptions=True
        )

    assert not isinstance(first, BaseException)
    assert not isinstance(third, BaseException)
    assert (first.counter.value, third.counter.value) == (1, 3)
    assert isinstance(second, InvalidField)
    assert second.violations == (("counter", "is wrong"),)
    assert (str(second), second.metadata) == ("counter: is wrong", {"field": "counter", "violations": "1"})
    tried, tried_again = asked(scripted)
    assert [each.increment.counter for each in tried_again.operations] == ["a", "c"]
    assert tried.request_id != tried_again.request_id


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "namespace"), InvalidField),
        (refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"), InvalidField),
        (refusal(grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED"), RequestIdReused),
    ],
)
async def test_the_failure_of_a_request_is_raised_to_each_caller(
    client: AsyncClient, scripted: ScriptedServer, refusal: Refusal, error: type[Exception]
) -> None:
    scripted.will_answer(refusal)

    async with client.batch() as batch:
        raised = await asyncio.gather(batch.increment("a"), batch.increment("b"), return_exceptions=True)

    assert [type(each) for each in raised] == [error, error]
    assert raised[0] is not raised[1]


async def test_an_unknown_outcome_after_all_retries_is_raised_to_each_caller(
    client: AsyncClient, scripted: ScriptedServer
) -> None:
    scripted.will_answer(*[refusal(grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN")] * 5)

    async with client.batch() as batch:
        with pytest.raises(OutcomeUnknown):
            await batch.increment("a")

    assert len({request.request_id for request in asked(scripted)}) == 1


async def test_a_request_stays_within_the_limits_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("OPERATIONS_MAX", 3), ("LINES_MAX", 5), ("BYTES_MAX", 200)):
        monkeypatch.setattr(batch_module, name, value)
    lines = [StockLine(item="dune")] * 3
    sent: list[int] = []

    async def apply(operations: Sequence[Operation]) -> ApplyResponse:
        sent.append(len(operations))
        return incremented(*range(len(operations)))

    async with Batch(apply, "shop") as batch:
        await asyncio.gather(
            *(batch.increment("a") for _ in range(4)),
            *(batch.reserve(lines) for _ in range(2)),
            *(batch.increment("x" * 120) for _ in range(2)),
        )

    assert sent == [3, 2, 2, 1]


async def test_an_answer_without_results_raises_to_each_caller(client: AsyncClient) -> None:
    async with client.batch() as batch:
        with pytest.raises(ValueError, match="zip"):
            await batch.increment("a")


@pytest.mark.parametrize("options", [{"request_id": "mine"}, {"timeout_seconds": 1.0}])
async def test_options_of_the_request_cannot_be_given(client: AsyncClient, options: dict[str, object]) -> None:
    async with client.batch() as batch:
        with pytest.raises(TypeError, match="belongs to the whole batch"):
            await batch.increment("a", **options)  # type: ignore[arg-type]


async def test_another_namespace_cannot_be_given(client: AsyncClient) -> None:
    async with client.batch() as batch:
        with pytest.raises(ValueError, match="this batch is 'shop', so a call cannot name 'other'"):
            await batch.increment("a", namespace="other")


async def test_a_call_cancelled_before_it_is_sent_is_withdrawn(client: AsyncClient, scripted: ScriptedServer) -> None:
    scripted.will_answer(incremented(1))

    async with client.batch() as batch:
        leaving, staying = (asyncio.ensure_future(batch.increment(counter)) for counter in ("leaving", "staying"))
        asyncio.get_running_loop().call_soon(leaving.cancel)
        await staying

    (request,) = asked(scripted)
    assert [each.increment.counter for each in request.operations] == ["staying"]


async def test_leaving_waits_for_all_calls(client: AsyncClient, scripted: ScriptedServer) -> None:
    scripted.will_answer(incremented(1))

    async with client.batch() as batch:
        call = asyncio.ensure_future(batch.increment("a"))
        await asyncio.sleep(0)

    assert (await call).counter.value == 1
    with pytest.raises(RuntimeError, match="the batch has ended"):
        await batch.increment("a")


async def test_leaving_by_an_exception_sends_no_more_calls(client: AsyncClient, scripted: ScriptedServer) -> None:
    batch = client.batch()
    call = asyncio.ensure_future(batch.increment("a"))
    await asyncio.sleep(0)

    await batch.__aexit__(LookupError, LookupError(), None)

    with pytest.raises(asyncio.CancelledError):
        await call
    assert not scripted.asked


async def test_closing_the_client_cancels_waiting_calls(client: AsyncClient, scripted: ScriptedServer) -> None:
    scripted.will_answer(None)
    async with asyncio.timeout(10), client.batch() as batch:
        call = asyncio.ensure_future(batch.increment("a"))
        await scripted.was_asked.wait()
        await client.close()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_thousands_of_calls_count_once_each(served_client: AsyncClient) -> None:
    async with served_client.batch() as batch:
        answers = await asyncio.gather(*(batch.increment(f"c{number % 3}") for number in range(4_500)))

    assert sorted(answer.revision for answer in answers) == list(range(1, 4_501))
    values = [(await served_client.get_counter(f"c{number}")).counter.value for number in range(3)]
    assert values == [1_500] * 3


async def test_a_real_server_names_the_call_whose_field_is_wrong(served_client: AsyncClient) -> None:
    async with served_client.batch() as batch:
        good, bad, short = await asyncio.gather(
            batch.set_stock("dune", 2),
            batch.decrement_copies("dune", copies=0),
            batch.decrement_copies("emma", location="a b"),
            return_exceptions=True,
        )
    with pytest.raises(InvalidField) as alone:
        await served_client.decrement_copies("dune", copies=0)

    assert not isinstance(good, BaseException)
    assert good.stock_level.on_hand == 2
    assert isinstance(bad, InvalidField)
    assert (bad.violations, str(bad)) == (alone.value.violations, str(alone.value))
    assert isinstance(short, InvalidField)
    assert short.violations[0].field == "location"
