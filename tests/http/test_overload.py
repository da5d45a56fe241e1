"""Overload over HTTP: a call without room is refused before its body is read, and says when to come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tallykeeper.v1 import counter_pb2
from tallykeeper_server.domain.errors import OverloadedError
from tallykeeper_server.http.gateway import Gateway, rpcs_of
from tallykeeper_server.http.limits import HttpLimits
from tallykeeper_server.http.origins import Origins
from tallykeeper_server.http.rpcs import Admit
from tallykeeper_server.http.statuses import explained
from tallykeeper_server.rpc.statuses import status_of
from tallykeeper_server.transport.call import Call
from tallykeeper_server.transport.methods import direct
from tests.http.http_client import COUNTERS, request

INCREMENT = f"{COUNTERS}/Increment"


@asynccontextmanager
async def gateway(admit: Admit = lambda _: None, **limits: Any) -> AsyncIterator[tuple[str, list[bytes]]]:  # noqa: ANN401  # by name
    """Give the address of a server whose handler notes requests and answers nothing else."""
    seen: list[bytes] = []

    def handle(payload: bytes, call: Call) -> None:
        seen.append(payload)
        call.reply(b"")

    services = counter_pb2.DESCRIPTOR.services_by_name.values()
    made = Gateway(
        rpcs_of([direct(INCREMENT, handle)], services),
        limits=HttpLimits(**limits),
        origins=Origins((), only_loopback_hosts=True),
        admit=admit,
        explain=explained,
    )
    try:
        yield made.listen("127.0.0.1:0"), seen
    finally:
        await made.stop(1.0)


async def test_a_call_that_a_lane_has_no_room_for_is_429_with_retry_after() -> None:
    refusal = OverloadedError("too many wait")
    refusal.retry_after_seconds = 1.5
    async with gateway(admit=lambda path: status_of(refusal) if path == INCREMENT else None) as (address, seen):
        answer = await asyncio.to_thread(request, address, INCREMENT, {"counter": "c"})

    assert (answer.status, answer.json["code"], answer.reason) == (429, "resource_exhausted", "OVERLOADED")
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["trailer-grpc-retry-pushback-ms"] == "-1"  # too long for gRPC's own retries
    assert answer.detail("google.rpc.RetryInfo") == {"retryDelay": "1.500s"}
    assert not seen


async def test_a_body_for_which_there_is_no_memory_is_429() -> None:
    async with gateway(waiting_request_bytes_max=100) as (address, seen):
        large = await asyncio.to_thread(request, address, INCREMENT, {"counter": "c" * 120})
        small = [await asyncio.to_thread(request, address, INCREMENT, {"counter": "c"}) for _ in range(20)]

    assert (large.status, large.reason) == (429, "OVERLOADED")
    assert {answer.status for answer in small} == {200}  # the bytes that a body has held are released
    assert len(seen) == 20
