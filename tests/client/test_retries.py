"""The retries that gRPC makes by the channel's policy: which calls, how many attempts, and for how long."""

import asyncio
import json
import time

import grpc
import pytest

from tallykeeper.v1.counter_pb2 import Counter, IncrementRequest, IncrementResponse
from tallykeeper_client import AsyncClient, DeadlineExceeded, TallykeeperError, Unavailable
from tallykeeper_client._channel import SERVICE_CONFIG
from tests.client.connection import Connect
from tests.client.scripted_server import Refusal, ScriptedServer

SOON = (("grpc-retry-pushback-ms", "1"),)
"""The trailer that asks for the next attempt after 1 ms, so that a test does not wait."""

ATTEMPTS_MAX = json.loads(SERVICE_CONFIG)["methodConfig"][0]["retryPolicy"]["maxAttempts"]

UNAVAILABLE = Refusal(grpc.StatusCode.UNAVAILABLE, trailers=SOON)
ANSWER = IncrementResponse(counter=Counter(counter="visitors", value=7))


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED],
    ids=lambda code: code.name,
)
async def test_a_call_that_a_server_does_not_finish_is_repeated_with_the_same_request_id(
    connect: Connect, scripted: ScriptedServer, *, code: grpc.StatusCode
) -> None:
    refusal = Refusal(code, trailers=SOON)
    scripted.will_answer(refusal, refusal, ANSWER)
    client = await connect(scripted.target)

    response = await client.increment("visitors")

    assert response == ANSWER
    assert len(scripted.asked) == 3
    assert len({asked.body for asked in scripted.asked}) == 1
    assert len(IncrementRequest.FromString(scripted.asked[0].body).request_id) == 32


async def test_the_own_backoff_bridges_a_short_outage(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(Refusal(grpc.StatusCode.UNAVAILABLE), ANSWER)
    client = await connect(scripted.target)
    began = time.monotonic()

    response = await client.increment("visitors")

    assert response == ANSWER
    assert time.monotonic() - began >= 0.2 * 0.8


async def test_a_server_that_restarts_during_a_call_answers(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(None, ANSWER)
    client = await connect(scripted.target)
    under_way = asyncio.ensure_future(client.increment("visitors"))
    await asyncio.wait_for(scripted.was_asked.wait(), timeout=10)

    await scripted.stop()
    await scripted.start()

    assert await under_way == ANSWER
    assert len({asked.body for asked in scripted.asked}) == 1


async def test_a_call_to_a_closed_port_is_answered_when_it_opens(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(ANSWER)
    await scripted.stop()
    client = await connect(scripted.target)
    under_way = asyncio.ensure_future(client.increment("visitors"))

    await scripted.start()

    assert await under_way == ANSWER


@pytest.mark.long
@pytest.mark.parametrize("closed_seconds", [4, 7], ids=["as in a restart", "longer than the attempts last"])
async def test_a_port_that_is_closed_for_seconds_is_bridged(
    connect: Connect, scripted: ScriptedServer, *, closed_seconds: float
) -> None:
    scripted.will_answer(None, ANSWER)
    client = await connect(scripted.target, timeout_seconds=30)
    under_way = asyncio.ensure_future(client.increment("visitors"))
    await asyncio.wait_for(scripted.was_asked.wait(), timeout=10)
    await scripted.stop()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(under_way), timeout=closed_seconds)
    await scripted.start()

    assert await under_way == ANSWER
    assert len({asked.body for asked in scripted.asked}) == 1


async def test_without_retries_a_call_is_sent_once(scripted: ScriptedServer) -> None:
    scripted.will_answer(UNAVAILABLE, ANSWER)

    async with AsyncClient(scripted.target, retries=False) as client:
        with pytest.raises(Unavailable):
            await client.increment("visitors")

    assert len(scripted.asked) == 1


async def test_a_call_that_the_caller_cancels_is_not_repeated(scripted: ScriptedServer) -> None:
    scripted.will_answer(None, ANSWER)
    async with AsyncClient(scripted.target) as client:
        under_way = asyncio.create_task(client.increment("visitors"))
        await asyncio.wait_for(scripted.was_asked.wait(), timeout=10)
        scripted.was_asked.clear()

        under_way.cancel()

        with pytest.raises(asyncio.CancelledError):
            await under_way
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(scripted.was_asked.wait(), timeout=0.4)  # the first backoff is 0.24 s at most


async def test_attempts_are_limited(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(*[UNAVAILABLE] * ATTEMPTS_MAX, ANSWER)
    client = await connect(scripted.target)

    with pytest.raises(Unavailable):
        await client.increment("visitors")

    assert len(scripted.asked) == ATTEMPTS_MAX


async def test_a_server_that_asks_for_no_retry_gets_none(connect: Connect, scripted: ScriptedServer) -> None:
    never = (("grpc-retry-pushback-ms", "-1"),)
    scripted.will_answer(Refusal(grpc.StatusCode.UNAVAILABLE, trailers=never), ANSWER)
    client = await connect(scripted.target)

    with pytest.raises(Unavailable):
        await client.increment("visitors")

    assert len(scripted.asked) == 1


@pytest.mark.parametrize(
    "code",
    [grpc.StatusCode.ABORTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN],
    ids=lambda code: code.name,
)
async def test_calls_with_other_failures_are_not_repeated(
    connect: Connect, scripted: ScriptedServer, *, code: grpc.StatusCode
) -> None:
    scripted.will_answer(Refusal(code, trailers=SOON), ANSWER)
    client = await connect(scripted.target)

    with pytest.raises(TallykeeperError):
        await client.increment("visitors")

    assert len(scripted.asked) == 1


async def test_the_deadline_holds_for_all_attempts_together(connect: Connect, scripted: ScriptedServer) -> None:
    scripted.will_answer(Refusal(grpc.StatusCode.UNAVAILABLE), None)
    client = await connect(scripted.target)
    began = time.monotonic()

    with pytest.raises(DeadlineExceeded):
        await client.increment("visitors", timeout_seconds=0.5)

    assert time.monotonic() - began < 5
