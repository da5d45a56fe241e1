"""Callers that make all kinds of requests for few items, repeat themselves, lose patience and leave."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from tallykeeper.v1.batch_pb2 import ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest, ListCountersRequest, SetCounterRequest
from tallykeeper.v1.inventory_pb2 import (
    AvailabilityLine,
    CheckAvailabilityRequest,
    DecrementCopiesRequest,
    DeleteStockRequest,
    GetItemRequest,
    GetStockRequest,
    IncrementCopiesRequest,
    ListStockRequest,
    MoveCopiesRequest,
    SetStockRequest,
    ShortagePolicy,
)
from tallykeeper.v1.reservation_pb2 import CommitRequest, ExtendRequest, ReleaseRequest, ReserveRequest, StockLine
from tests.chaos.history import AttemptResult, History, Intent, pause
from tests.support.batches import mode_of
from tests.support.client import OWN_CONNECTION, AsyncCaller

ITEMS: Final = tuple(f"item-{number}" for number in range(8))
COUNTERS: Final = ("visits", "orders", "big")
LOCATIONS: Final = ("", "annex")
SHELVES: Final = ("shelf-1", "shelf-2")
"""The locations that copies are moved to and from. They are deleted when they are empty."""
BIG: Final = 9_007_199_254_000_000
"""A number near the greatest integer that a double holds exactly."""
PATIENCE_SECONDS: Final = 3.0
CALLERS: Final = 12
REST_SECONDS: Final = 0.02


class Callers:
    """Some callers, each with its own connection, which work until they are stopped."""

    def __init__(self, target: str, history: History, seed: int, *, count: int = CALLERS) -> None:
        """Prepare callers for a server. ``target`` is the server's address."""
        self._history = history
        self._target = target
        self._stopping = asyncio.Event()
        self._going = asyncio.Event()
        self._going.set()
        self._tasks = [asyncio.create_task(self._run(Random(f"{seed}-{number}"))) for number in range(count)]

    def rest(self) -> None:
        """Let each caller finish its call and pause."""
        self._going.clear()

    def go_on(self) -> None:
        """Let the callers go on."""
        self._going.set()

    async def stop(self) -> None:
        """Let each caller finish its call, and raise the first error of a caller."""
        self._stopping.set()
        self.go_on()
        await asyncio.gather(*self._tasks)

    async def _run(self, random: Random) -> None:
        async with AsyncCaller(self._target, OWN_CONNECTION) as call:
            caller = _Caller(self._history, call, random)
            while not self._stopping.is_set():
                await self._going.wait()
                await caller.act()
                await pause(random.uniform(0, 2 * REST_SECONDS))


class _Caller:
    def __init__(self, history: History, call: AsyncCaller, random: Random) -> None:
        self._history = history
        self._call = call
        self._random = random
        self._held: list[str] = []
        self._late: list[Intent] = []

    async def act(self) -> None:
        """Make one call, or several calls that belong together."""
        chance = self._random.random()
        if chance < 0.15:  # a share of the calls
            await self._read()
        elif chance < 0.2 and self._late:  # a share of the calls
            await self._send(self._late.pop(self._random.randrange(len(self._late))))
        else:
            await self._carry_out()

    async def _carry_out(self) -> None:
        request = self._request()
        if self._random.random() < 0.8:  # a share of the calls
            request.request_id = f"{self._random.getrandbits(96):x}"
        intent = self._history.intent(request)
        if isinstance(request, ReserveRequest):
            self._held.append(request.reservation_id)
        manner = self._random.random()
        if manner < 0.05:  # a share of the calls
            await self._send(intent, patience=self._random.uniform(0.001, 0.02), patient=False)
        elif manner < 0.1:  # a share of the calls
            await self._leave(intent)
        elif manner < 0.2 and request.request_id:  # a share of the calls
            await asyncio.gather(self._send(intent), self._send(intent))
        else:
            await self._send(intent)
        await self._again(intent)
        is_known = intent.attempts[-1].result in {AttemptResult.APPLIED, AttemptResult.REFUSED}
        if request.request_id and is_known and manner > 0.97:
            stolen = IncrementRequest(counter="visits", delta=1_000, request_id=request.request_id)
            await self._send(self._history.intent(stolen, stolen_request_id=True))

    async def _again(self, intent: Intent) -> None:
        """Repeat an intent whose result is unknown, with its request id: now, later or never."""
        if not intent.request.request_id:
            return
        while intent.attempts[-1].result in {AttemptResult.UNKNOWN, AttemptResult.NOTHING}:
            chance = self._random.random()
            if chance < 0.1:  # a share of the calls
                return
            if chance < 0.3:  # a share of the calls
                self._late.append(intent)
                return
            await pause(self._random.uniform(0.01, 0.2))
            await self._send(intent)
        if self._random.random() < 0.05:  # a share of the calls
            self._late.append(intent)  # a duplicate that arrives long after

    async def _send(self, intent: Intent, *, patience: float = PATIENCE_SECONDS, patient: bool = True) -> None:
        await self._history.attempt(intent, self._call, timeout=patience, patient=patient)

    async def _leave(self, intent: Intent) -> None:
        """Send, and leave before the answer."""
        task = asyncio.create_task(self._send(intent, patient=False))
        await pause(self._random.uniform(0, 0.01))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _read(self) -> None:
        makers: list[Callable[[], Any]] = [
            *(lambda: GetCounterRequest(counter=self._random.choice(COUNTERS)),) * 2,
            *(lambda: GetStockRequest(item=self._item(), location=self._random.choice(LOCATIONS)),) * 2,
            *(lambda: GetItemRequest(item=self._item()),) * 2,
            lambda: CheckAvailabilityRequest(lines=[AvailabilityLine(item=self._item(), any_location=True)]),
            lambda: ListStockRequest(any_location=True, page_size=1_000),
            lambda: ListStockRequest(location="annex", page_size=1_000),
            lambda: ListCountersRequest(page_size=1_000),
        ]
        request = self._random.choice(makers)()
        await self._history.read(request, self._call, timeout=PATIENCE_SECONDS)

    def _item(self) -> str:
        return self._random.choice(ITEMS)

    def _request(self) -> Any:  # noqa: ANN401  # any mutation
        makers: list[Callable[[], Any]] = [
            *(self._increment,) * 4,
            *(self._decrement_copies,) * 5,
            *(self._increment_copies,) * 3,
            self._set,
            self._move,
            *(self._reserve,) * 3,
            *((self._end,) * 4 if self._held else ()),
            self._apply,
        ]
        return self._random.choice(makers)()

    def _increment(self) -> Any:  # noqa: ANN401  # a request of any RPC
        counter = self._random.choice(COUNTERS)
        if counter == "big":
            return IncrementRequest(counter=counter, delta=self._random.choice((BIG, -BIG, 1)))
        return IncrementRequest(counter=counter, delta=self._random.randint(-2, 9))

    def _decrement_copies(self) -> Any:  # noqa: ANN401  # a request of any RPC
        policies = (ShortagePolicy.SHORTAGE_POLICY_REJECT, ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE)
        return DecrementCopiesRequest(
            item=self._item(),
            location=self._random.choice(LOCATIONS),
            copies=self._random.randint(1, 4),
            shortage_policy=self._random.choice(policies),
        )

    def _increment_copies(self) -> Any:  # noqa: ANN401  # a request of any RPC
        copies = self._random.randint(1, 5)
        return IncrementCopiesRequest(item=self._item(), location=self._random.choice(LOCATIONS), copies=copies)

    def _set(self) -> Any:  # noqa: ANN401  # a request of any RPC
        if self._random.random() < 0.5:  # a share of the calls
            return SetCounterRequest(counter="orders", value=self._random.randint(0, 9), expected_value=0)
        return SetStockRequest(item=self._item(), on_hand=self._random.randint(5, 20))

    def _move(self) -> Any:  # noqa: ANN401  # a request of any RPC
        if self._random.random() < 0.3:  # a share of the calls
            return DeleteStockRequest(item=self._item(), location=self._random.choice(SHELVES))
        source, target = self._random.sample(("main", "annex", *SHELVES), k=2)
        return MoveCopiesRequest(item=self._item(), from_location=source, to_location=target, copies=1)

    def _reserve(self) -> Any:  # noqa: ANN401  # a request of any RPC
        lines = [StockLine(item=item, copies=self._random.randint(1, 2)) for item in self._random.sample(ITEMS, k=3)]
        ttl = self._random.choice((Duration(seconds=3_600), Duration(nanos=300_000_000)))
        return ReserveRequest(reservation_id=f"{self._random.getrandbits(64):x}", lines=lines, ttl=ttl)

    def _end(self) -> Any:  # noqa: ANN401  # a request of any RPC
        reservation_id = self._random.choice(self._held[-5:])
        ending = self._random.choice((CommitRequest, CommitRequest, ReleaseRequest, ExtendRequest))
        if ending is ExtendRequest:
            return ExtendRequest(reservation_id=reservation_id, ttl=Duration(seconds=60))
        return ending(reservation_id=reservation_id)

    def _apply(self) -> Any:  # noqa: ANN401  # a request of any RPC
        operations = []
        for _ in range(self._random.randint(2, 8)):
            name, make = self._random.choice(
                (
                    ("increment", self._increment),
                    ("decrement_copies", self._decrement_copies),
                    ("increment_copies", self._increment_copies),
                )
            )
            operations.append(Operation(**{name: make()}))
        return ApplyRequest(
            operations=operations, mode=mode_of(atomic=self._random.random() < 0.5)
        )  # a share of the calls
