"""The second act of the demo: an evening of baskets, which hold copies until they are paid for or forgotten.

`command` prints it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Final

from tallykeeper.v1.ledger_pb2 import OperationKind
from tallykeeper.v1.reservation_pb2 import ReservationState, StockLine
from tallykeeper_cli.demo.clients import another_async
from tallykeeper_cli.demo.sales import Step
from tallykeeper_client import operations
from tallykeeper_client.client import Client
from tallykeeper_client.errors import InsufficientStock

_DELIVERED: Final = {"emma": 5, "dracula": 4, "ulysses": 1}
_ANNS: Final = (
    StockLine(item="emma", copies=1),
    StockLine(item="dracula", copies=2),
    StockLine(item="ulysses", copies=1),
)
_BENS: Final = tuple(StockLine(item=item, copies=1) for item in _DELIVERED)
_FORGOTTEN: Final = StockLine(item="emma", copies=2)
_FORGOTTEN_AFTER: Final = timedelta(seconds=1)
_EXPIRY_SECONDS_MAX: Final = 10.0
"""The time after which the watch for the expiry gives up. The contract promises the expiry within two seconds."""


def fill_baskets(client: Client) -> Iterator[Step]:
    """Make the calls of the evening, one step after another. The client's namespace must not have the titles.

    Raises `TallykeeperError` if a call fails unexpectedly, and TimeoutError if a reservation does not expire.
    """
    yield _unload(client)
    yield from _reserve_and_be_refused(client)
    yield _pay(client)
    yield from _forget(client)


def _unload(client: Client) -> Step:
    delivery = [operations.increment_copies(item, copies=copies) for item, copies in _DELIVERED.items()]
    response = client.apply(delivery, atomic=True, reference="delivery-1")
    applied = len(response.results) - response.failed_count
    return Step(
        "A van brings three titles: all of them or none.",
        f"Apply {len(delivery)} x IncrementCopies, atomic",
        f"{applied} of {len(delivery)} applied",
        applied == len(delivery),
    )


def _reserve_and_be_refused(client: Client) -> Iterator[Step]:
    reserved = client.reserve(_ANNS, reservation_id="basket-ann", holder="ann").reservation
    copies = sum(line.copies for line in reserved.lines)
    yield Step(
        "Ann puts all three into her basket.",
        f"Reserve {_listed(_ANNS)}",
        f"{_state(reserved.state)}: {copies} copies",
        reserved.state == ReservationState.RESERVATION_STATE_ACTIVE and len(reserved.lines) == len(_ANNS),
    )
    event, call = "Ben wants them too, but she has the last ulysses.", f"Reserve {_listed(_BENS)}"
    try:
        late = client.reserve(_BENS, reservation_id="basket-ben", holder="ben").reservation
    except InsufficientStock as error:
        short = ", ".join(f"{line.item} ({line.requested} requested, {line.available} left)" for line in error.lines)
        yield Step(event, call, f"{error.reason}: {short}", [line.item for line in error.lines] == ["ulysses"])
    else:
        yield Step(event, call, _state(late.state), as_expected=False)


def _pay(client: Client) -> Step:
    committed = client.commit("basket-ann", reference="order-3").reservation
    left = {item: client.get_stock(item).stock_level.on_hand for item in _DELIVERED}
    taken = {line.item: line.copies for line in _ANNS}
    return Step(
        "Ann pays.",
        "Commit basket-ann",
        f"{_state(committed.state)}; on the shelf: {', '.join(f'{item} {count}' for item, count in left.items())}",
        left == {item: copies - taken[item] for item, copies in _DELIVERED.items()},
    )


def _forget(client: Client) -> Iterator[Step]:
    item = _FORGOTTEN.item
    before = client.get_stock(item).stock_level.available
    response = client.reserve([_FORGOTTEN], reservation_id="basket-ben", holder="ben", ttl=_FORGOTTEN_AFTER)
    held = client.get_stock(item).stock_level.available
    seconds = _FORGOTTEN_AFTER.total_seconds()
    yield Step(
        f"Ben takes {_FORGOTTEN.copies} of {item} into his, for {seconds:g} s.",
        f"Reserve {_listed([_FORGOTTEN])}, ttl {seconds:g} s",
        f"available: {held}",
        held == before - _FORGOTTEN.copies,
    )
    asyncio.run(_expiry(client, after_revision=response.revision))
    state = client.get_reservation("basket-ben").reservation.state
    back = client.get_stock(item).stock_level.available
    yield Step(
        "He forgets it, and the copies come back.",
        "Watch basket-ben, until it expires",
        f"{_state(state)}, available: {back}",
        state == ReservationState.RESERVATION_STATE_EXPIRED and back == before,
    )


async def _expiry(client: Client, *, after_revision: int) -> None:
    """Wait until the forgotten basket has expired."""
    async with asyncio.timeout(_EXPIRY_SECONDS_MAX), another_async(client) as watcher:
        entries = watcher.watch(reservation_ids=["basket-ben"], after_revision=after_revision)
        async with aclosing(entries):
            async for entry in entries:
                if entry.operation == OperationKind.OPERATION_KIND_EXPIRE:
                    return


def _listed(lines: tuple[StockLine, ...] | list[StockLine]) -> str:
    return ", ".join(f"{line.item} {line.copies}" for line in lines)


def _state(state: ReservationState) -> str:
    return ReservationState.Name(state).removeprefix("RESERVATION_STATE_").lower()
