"""The first act of the demo: a day at a bookshop. Each step is a call and its answer.

`command` prints it.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tallykeeper_cli.demo.clients import another_async
from tallykeeper_client import fresh_request_id
from tallykeeper_client.async_client import AsyncClient
from tallykeeper_client.client import Client
from tallykeeper_client.errors import InsufficientStock

_FAMILY: Final = 4
_NOVEL: Final = "the-dispossessed"
_DELIVERED: Final = 5
_SOLD: Final = 3
_BESTSELLER: Final = "moby-dick"
_BUYERS: Final = 50
_COPIES: Final = 10


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the story: the event, the call, the server's answer, and a flag for the expected answer."""

    event: str
    call: str
    answer: str
    as_expected: bool


def live_through(client: Client) -> Iterator[Step]:
    """Make the calls of the day, one step after another. The client's namespace must be new.

    Raises `TallykeeperError` if a call fails unexpectedly.
    """
    yield from _count_visitors(client)
    yield from _sell_a_novel(client)
    yield from _repeat_a_request(client)
    yield from _race_for_a_bestseller(client)


def _count_visitors(client: Client) -> Iterator[Step]:
    visitors = client.increment("visitors").counter.value
    yield Step("The first visitor comes in.", "Increment visitors", f"visitors: {visitors}", visitors == 1)
    visitors = client.increment("visitors", delta=_FAMILY).counter.value
    yield Step(
        "A family of four follows.",
        f"Increment visitors by {_FAMILY}",
        f"visitors: {visitors}",
        visitors == 1 + _FAMILY,
    )


def _sell_a_novel(client: Client) -> Iterator[Step]:
    available = client.increment_copies(_NOVEL, copies=_DELIVERED).stock_level.available
    yield Step(
        "Copies of a novel arrive.",
        f"IncrementCopies by {_DELIVERED}",
        f"available: {available}",
        available == _DELIVERED,
    )
    available = client.decrement_copies(_NOVEL, copies=_SOLD, reference="order-1").stock_level.available
    yield Step(
        "A book club takes some.",
        f"DecrementCopies by {_SOLD}",
        f"available: {available}",
        available == _DELIVERED - _SOLD,
    )
    yield _be_refused(client)


def _be_refused(client: Client) -> Step:
    event, call = "Another club wants three copies, too.", f"DecrementCopies by {_SOLD}"
    try:
        taken = client.decrement_copies(_NOVEL, copies=_SOLD, reference="order-2").copies_taken
    except InsufficientStock as error:
        answer = f"{error.reason} (requested: {error.requested}, available: {error.available})"
        return Step(event, call, answer, error.available == _DELIVERED - _SOLD)
    return Step(event, call, f"taken: {taken}", as_expected=False)


def _repeat_a_request(client: Client) -> Iterator[Step]:
    request_id = fresh_request_id()
    call = f"DecrementCopies by 1, request id {request_id[:8]}..."
    first = client.decrement_copies(_NOVEL, request_id=request_id)
    left = first.stock_level.available
    yield Step(
        "A reader takes one. Suppose that the answer is lost.",
        call,
        f"available: {left}, revision {first.revision}",
        not first.replayed,
    )
    second = client.decrement_copies(_NOVEL, request_id=request_id)
    now = client.get_stock(_NOVEL).stock_level.available
    yield Step(
        "So the till repeats the request, and it counts once.",
        call,
        f"available: {now}, revision {second.revision}{', replayed' if second.replayed else ''}",
        second.replayed and second.revision == first.revision and now == left,
    )


def _race_for_a_bestseller(client: Client) -> Iterator[Step]:
    available = client.set_stock(_BESTSELLER, _COPIES).stock_level.available
    yield Step("A bestseller comes out.", f"SetStock to {_COPIES}", f"available: {available}", available == _COPIES)
    served = asyncio.run(_race(client))
    left = client.get_stock(_BESTSELLER).stock_level.on_hand
    yield Step(
        f"{_BUYERS} buyers want one at the same moment. Exactly {_COPIES} get one.",
        f"DecrementCopies by 1, {_BUYERS} times at once",
        f"{served} of {_BUYERS} buyers served, {_BUYERS - served} refused, {left} copies left",
        served == _COPIES and left == 0,
    )


async def _race(client: Client) -> int:
    """Let all buyers try at once, and count those who got a copy."""
    async with another_async(client) as buyers:
        return sum(await asyncio.gather(*(_buy(buyers) for _ in range(_BUYERS))))


async def _buy(client: AsyncClient) -> bool:
    try:
        await client.decrement_copies(_BESTSELLER)
    except InsufficientStock:
        return False
    return True
