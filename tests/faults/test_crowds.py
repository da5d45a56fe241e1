"""Too many, too slow or too greedy callers: others are served, and memory stays bounded."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf.message import Message

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.inventory_pb2 import ListStockRequest, SetStockRequest
from tallykeeper.v1.ledger_pb2 import WatchRequest
from tests.fuzz.frames import ACK, DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, call, frame, opening
from tests.support.client import OWN_CONNECTION, AsyncCaller, Caller, Failure
from tests.support.server import ServerProcess, wait_until

CONNECTIONS: Final = 5_000
GROWTH_MIB_MAX: Final = 200
SIZES: Final = (1_000_000, 1_048_500, 3_000_000)
INCREMENT: Final = "/tallykeeper.v1.CounterService/Increment"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server in its own process, whose memory can be measured."""
    with ServerProcess("--data-dir", str(tmp_path)) as process:
        yield process


def assert_others_are_served(server: ServerProcess, counter: str = "others") -> None:
    with closing(Caller(server.target, OWN_CONNECTION)) as caller:
        assert caller(IncrementRequest(counter=counter, delta=0)).counter.value == 0
    assert server.events("defect") == []


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < CONNECTIONS + 1_000, reason="this process may not open enough files"
)
def test_five_thousand_connections_are_served(server: ServerProcess) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    request = call(INCREMENT, IncrementRequest(counter="visits").SerializeToString())
    before = server.memory_mib

    with ExitStack() as stack, closing(Caller(server.target)) as caller:
        for _ in range(CONNECTIONS):
            one = stack.enter_context(server.connect())
            one.sendall(PREFACE + frame(SETTINGS) + frame(SETTINGS, flags=ACK) + request)
        counted = IncrementRequest(counter="visits", delta=0)
        wait_until(lambda: caller(counted).counter.value == CONNECTIONS, what="each connection's call is counted")
        growth = server.memory_mib - before

    assert growth < CONNECTIONS * 0.1  # 100 KiB for each
    assert_others_are_served(server)


def test_a_connection_has_a_maximum_of_calls_at_once_and_the_others_wait(tmp_path: Path) -> None:
    async def flood(target: str) -> list[Any]:
        async with AsyncCaller(target) as caller:
            return await asyncio.gather(*(caller(IncrementRequest(counter="visits")) for _ in range(500)))

    with ServerProcess("--data-dir", str(tmp_path), "--streams-max", "10") as server:
        answers = asyncio.run(flood(server.target))

    assert sorted(answer.counter.value for answer in answers) == list(range(1, 501))


def test_a_caller_who_sends_slowly_keeps_nobody_waiting(server: ServerProcess) -> None:
    message = IncrementRequest(counter="slow").SerializeToString()
    with server.connect() as slow:
        slow.sendall(PREFACE + frame(SETTINGS) + frame(HEADERS, opening(INCREMENT), flags=END_HEADERS, stream=1))
        for byte in b"\0" + len(message).to_bytes(4, "big") + message:
            slow.sendall(frame(DATA, bytes((byte,)), stream=1))
            assert_others_are_served(server)


def stock(levels: int) -> ApplyRequest:
    """Return a change that sets a number of levels with long names."""
    items = (f"{index:03}-{'x' * 120}" for index in range(levels))
    return ApplyRequest(
        operations=[Operation(set_stock=SetStockRequest(item=item, on_hand=1)) for item in items],
        mode=BATCH_MODE_INDEPENDENT,
    )


def ask_and_never_read(stack: ExitStack, server: ServerProcess, method: str, request: Message, calls: int) -> None:
    """Send a number of calls over a new connection, and read no answer."""
    raw = request.SerializeToString()
    asked = b"".join(call(f"/tallykeeper.v1.{method}", raw, stream=2 * number + 1) for number in range(calls))
    stack.enter_context(server.connect()).sendall(PREFACE + frame(SETTINGS) + asked)


def test_watchers_who_never_read_cost_a_bounded_amount_of_memory(tmp_path: Path) -> None:
    change, rounds = stock(1_000), 150
    with (
        ServerProcess("--data-dir", str(tmp_path)) as server,
        closing(Caller(server.target, OWN_CONNECTION)) as caller,
        ExitStack() as stack,
    ):
        caller(change)
        before = server.memory_mib
        for _ in range(20):
            ask_and_never_read(stack, server, "LedgerService/Watch", WatchRequest(after_revision=0), calls=1)
        for _ in range(rounds):
            caller(change)
        with caller.stream(WatchRequest(after_revision=(rounds - 1) * 1_000)) as responses:
            next(each for each in responses if each.revision == (rounds + 1) * 1_000)
        assert_others_are_served(server)

        assert server.memory_mib < before + GROWTH_MIB_MAX  # 20 watchers, each with 150,000 entries, need 500 MiB


def test_unread_answers_hold_a_bounded_amount_of_memory_and_give_it_back(tmp_path: Path) -> None:
    page = ListStockRequest(page_size=1_000)

    def answer_of(caller: Caller) -> int | str:
        try:
            return len(caller(page).stock_levels)
        except Failure as failure:
            return failure.reason

    with (
        ServerProcess("--data-dir", str(tmp_path), "--unread-bytes-max", str(32 << 20)) as server,
        closing(Caller(server.target, OWN_CONNECTION)) as caller,
    ):
        caller(stock(1_000))
        assert answer_of(caller) == 1_000
        before = server.memory_mib

        with ExitStack() as stack:
            for _ in range(20):
                ask_and_never_read(stack, server, "InventoryService/ListStock", page, calls=100)
            wait_until(lambda: answer_of(caller) == "OVERLOADED", what="unread answers hold their maximum")
            assert_others_are_served(server)

            assert server.memory_mib < before + GROWTH_MIB_MAX  # 2,000 pages of 140 KB would need 560 MiB
        wait_until(lambda: answer_of(caller) == 1_000, what="nothing is held for callers that have left")


def test_floods_of_huge_messages_cost_the_memory_of_those_in_flight_and_give_it_back(tmp_path: Path) -> None:
    async def flood(target: str) -> set[grpc.StatusCode]:
        async with AsyncCaller(target, OWN_CONNECTION) as one, AsyncCaller(target, OWN_CONNECTION) as two:

            async def send(caller: AsyncCaller, size: int) -> grpc.StatusCode:
                try:
                    await caller(IncrementRequest(counter="c", reason="x" * size))
                except Failure as failure:
                    return failure.code
                return grpc.StatusCode.OK

            return set(await asyncio.gather(*(send(one if n % 2 else two, SIZES[n % 3]) for n in range(300))))

    limits = ("--streams-max", "20", "--message-bytes-max", str(1 << 20))
    with ServerProcess("--data-dir", str(tmp_path), *limits) as server:
        assert_others_are_served(server)
        before = server.memory_mib

        codes = asyncio.run(flood(server.target))

        assert codes == {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert server.memory_mib < before + GROWTH_MIB_MAX  # 40 messages of 1 MiB at once, and their objects
        assert_others_are_served(server)
        wait_until(lambda: server.memory_mib < before + GROWTH_MIB_MAX / 4, what="memory is given back")
