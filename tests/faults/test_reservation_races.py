"""Two hundred customers at once: no copy is sold twice or lost, and every reservation ends once.

TALLYKEEPER_TEST_SECONDS=30 lets the customers shop for longer.
"""

import asyncio
import os
from collections import Counter, defaultdict
from random import Random
from typing import Any, Final

from tallykeeper.v1.inventory_pb2 import ListStockRequest, SetStockRequest
from tallykeeper.v1.ledger_pb2 import Entry, OperationKind
from tallykeeper.v1.namespace_pb2 import GetNamespaceRequest
from tallykeeper.v1.reservation_pb2 import ListReservationsRequest, ReservationState
from tests.faults.customers import Shop
from tests.support.client import AsyncCaller, Caller
from tests.support.ledger import entries_of
from tests.support.server import ThreadedServer, wait_until

SECONDS: Final = float(os.environ.get("TALLYKEEPER_TEST_SECONDS", "3"))
CUSTOMERS: Final = 200
ITEMS: Final = tuple(f"item-{number:02}" for number in range(50))
COPIES: Final = 20
ENDS: Final = {
    OperationKind.OPERATION_KIND_COMMIT: ReservationState.RESERVATION_STATE_COMMITTED,
    OperationKind.OPERATION_KIND_RELEASE: ReservationState.RESERVATION_STATE_RELEASED,
    OperationKind.OPERATION_KIND_EXPIRE: ReservationState.RESERVATION_STATE_EXPIRED,
}


def listed(call: Caller, request: Any, field: str) -> list[Any]:  # noqa: ANN401  # any listing
    """Return all pages of a listing as one."""
    return [each for page in call.pages(request) for each in getattr(page, field)]


async def shop_for_a_while(target: str, namespace: str) -> Shop:
    """Let the customers shop for a while, close, and return the answers that they got."""
    async with AsyncCaller(target) as call:
        shop = Shop(call, namespace, ITEMS)
        for item in ITEMS:
            await call(SetStockRequest(namespace=namespace, item=item, on_hand=COPIES))
            shop.received[item] = COPIES
        customers = [asyncio.create_task(shop.visit(Random(number))) for number in range(CUSTOMERS)]  # noqa: S311  # no secret
        asyncio.get_running_loop().call_later(SECONDS, setattr, shop, "closed", True)  # noqa: FBT003  # a value
        await asyncio.gather(*customers)
    return shop


def test_every_copy_is_sold_once_and_every_reservation_ends_once(
    server: ThreadedServer, call: Caller, namespace: str
) -> None:
    shop = asyncio.run(shop_for_a_while(server.target, namespace))
    look = GetNamespaceRequest(namespace=namespace)
    wait_until(lambda: call(look).namespace.active_reservation_count <= len(shop.kept), what="the others have expired")

    levels = {level.item: level for level in listed(call, ListStockRequest(namespace=namespace), "stock_levels")}
    active = ListReservationsRequest(namespace=namespace, state=ReservationState.RESERVATION_STATE_ACTIVE)
    open_ones = listed(call, active, "reservations")
    entries = entries_of(call, namespace)
    report = call.verify(namespace, timeout=60.0)

    assert {item: levels[item].on_hand + shop.sold[item] for item in ITEMS} == shop.received
    reserved = Counter(dict.fromkeys(ITEMS, 0))
    for reservation in open_ones:
        reserved.update({line.item: line.copies for line in reservation.lines})
    assert {item: levels[item].reserved for item in ITEMS} == reserved
    assert {reservation.reservation_id for reservation in open_ones} == shop.kept
    assert (report.clean, list(report.differences), report.reservations_checked) == (True, [], len(shop.ends))
    compare_ends(shop, entries)
    compare_entries(entries)


def compare_ends(shop: Shop, entries: list[Entry]) -> None:
    """Check that each reservation that was not kept ended once, as its customer's answer said."""
    in_ledger = defaultdict(list)
    for entry in entries:
        if entry.operation in ENDS:
            in_ledger[entry.reservation.reservation_id].append(ENDS[entry.operation])
    assert {name: len(ends) for name, ends in in_ledger.items()} == dict.fromkeys(shop.ends.keys() - shop.kept, 1)
    acknowledged = {name: ends for name, ends in shop.ends.items() if ends}
    assert acknowledged == {name: in_ledger[name] for name in acknowledged}
    unexpired = [name for name, ends in in_ledger.items() if ends[0] != ReservationState.RESERVATION_STATE_EXPIRED]
    assert acknowledged.keys() == set(unexpired)
    assert 0 < len(unexpired) < len(in_ledger)


def compare_entries(entries: list[Entry]) -> None:
    """Check that revisions have no gap, that no request counted twice, and that no copy was ever oversold."""
    assert [entry.revision for entry in entries] == list(range(1, len(entries) + 1))
    request_ids = [entry.request_id for entry in entries if entry.request_id]
    assert len(request_ids) == len(set(request_ids))
    assert min(line.stock.after.available for entry in entries for line in entry.lines) == 0
