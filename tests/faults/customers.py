"""Customers who reserve, commit, release, extend and forget, and the answers that they got."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from tallykeeper.v1.inventory_pb2 import IncrementCopiesRequest
from tallykeeper.v1.reservation_pb2 import (
    CommitRequest,
    CommitResponse,
    ExtendRequest,
    ReleaseRequest,
    Reservation,
    ReservationState,
    ReserveRequest,
    StockLine,
)
from tests.support.client import AsyncCaller, Failure

LONG: Final = Duration(seconds=3_600)
LINES_MAX: Final = 3
COPIES_MAX: Final = 3
DELIVERED: Final = 5
OVER: Final = {"RESERVATION_COMMITTED", "RESERVATION_RELEASED", "RESERVATION_EXPIRED"}


@dataclass(slots=True)
class Shop:
    """A namespace, and the answers that its customers got."""

    call: AsyncCaller
    namespace: str
    items: tuple[str, ...]
    closed: bool = False
    received: Counter[str] = field(default_factory=Counter)
    sold: Counter[str] = field(default_factory=Counter)
    ends: dict[str, list[ReservationState]] = field(default_factory=dict)
    """The ends of each reservation, one for each acknowledgement."""
    kept: set[str] = field(default_factory=set)
    """Reservations that nobody ends, and that do not expire before the test ends."""

    async def visit(self, random: Random) -> None:
        """Be a customer until the shop closes."""
        while not self.closed:
            held = await self._reserve(random)
            if held is None:
                await self._deliver(random)
            elif held.expire_time.ToMilliseconds() - held.create_time.ToMilliseconds() < LONG.ToMilliseconds():
                await self._end_in_time(random, held)
            else:
                await self._end(random, held)

    async def _reserve(self, random: Random) -> Reservation | None:
        items = random.sample(self.items, random.randint(1, LINES_MAX))
        lines = [StockLine(item=item, copies=random.randint(1, COPIES_MAX)) for item in items]
        ttl = random.choice((LONG, LONG, Duration(nanos=random.randint(1, 50) * 1_000_000)))
        try:
            reply = await self._send(random, ReserveRequest(lines=lines, ttl=ttl))
        except Failure as failure:
            if failure.reason == "INSUFFICIENT_STOCK":
                return None
            raise
        held: Reservation = reply.reservation
        self.ends[held.reservation_id] = []
        return held

    async def _deliver(self, random: Random) -> None:
        item = random.choice(self.items)
        await self._send(random, IncrementCopiesRequest(item=item, copies=DELIVERED))
        self.received[item] += DELIVERED

    async def _end(self, random: Random, held: Reservation) -> None:
        ends = random.choice(
            (
                [_commit(held)],
                [_commit(held, of=random.choice(held.lines).item)],
                [_release(held)],
                [_commit(held), _release(held), _commit(held)],
                [_extend(held), _commit(held)],
                [_extend(held)],
            )
        )
        if len(ends) == 1 and isinstance(ends[0], ExtendRequest):
            self.kept.add(held.reservation_id)
        await asyncio.gather(*(self._try(random, end) for end in ends))

    async def _end_in_time(self, random: Random, held: Reservation) -> None:
        """Try to end a reservation that may expire at any moment, or forget it."""
        for end in random.choice(([], [_commit(held)], [_release(held)])):
            await self._try(random, end)

    async def _try(self, random: Random, end: Any) -> None:  # noqa: ANN401  # any end, or an extension
        try:
            reply = await self._send(random, end)
        except Failure as failure:
            if failure.reason not in OVER:
                raise
            return
        if isinstance(end, ExtendRequest):
            return
        self.ends[end.reservation_id].append(reply.reservation.state)
        if isinstance(reply, CommitResponse):
            self.sold.update({line.item: line.copies_committed for line in reply.reservation.lines})

    async def _send(self, random: Random, request: Any) -> Any:  # noqa: ANN401  # any mutation
        """Send a mutation, sometimes twice at the same moment. Both must get the same answer."""
        request.namespace, request.request_id = self.namespace, f"{random.getrandbits(96):x}"
        if random.random() > 0.1:
            return await self.call(request)
        replies = await asyncio.gather(self.call(request), self.call(request), return_exceptions=True)
        assert len({_meaning(reply) for reply in replies}) == 1
        if isinstance(replies[0], BaseException):
            raise replies[0]
        return replies[0]


def _meaning(reply: Any) -> object:  # noqa: ANN401  # a response or what the call failed with
    if isinstance(reply, Failure):
        return reply.reason, tuple(sorted(reply.metadata.items()))
    if isinstance(reply, BaseException):
        raise reply
    copy = type(reply)()
    copy.CopyFrom(reply)
    copy.replayed = False
    return copy.SerializeToString(deterministic=True)


def _commit(held: Reservation, *, of: str = "") -> Message:
    return CommitRequest(reservation_id=held.reservation_id, lines=[StockLine(item=of)] if of else [])


def _release(held: Reservation) -> Message:
    return ReleaseRequest(reservation_id=held.reservation_id)


def _extend(held: Reservation) -> Message:
    return ExtendRequest(reservation_id=held.reservation_id, ttl=LONG)
