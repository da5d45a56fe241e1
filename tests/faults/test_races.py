"""Many callers at the same moment."""

import asyncio
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tallykeeper.v1.inventory_pb2 import DecrementCopiesResponse
from tallykeeper_client import AsyncClient, InsufficientStock
from tallykeeper_server.store.embedded.valkey import find_binary
from tests.support.client import Caller
from tests.support.ledger import entries_of
from tests.support.server import ServerProcess, ThreadedServer, store_process


async def test_a_thousand_buyers_get_five_hundred_copies(server: ThreadedServer, call: Caller, namespace: str) -> None:
    async def buy(client: AsyncClient) -> str:
        try:
            await client.decrement_copies("dune", timeout_seconds=60.0)
        except InsufficientStock as refusal:
            return refusal.reason
        return "OK"

    async with AsyncClient(server.target, namespace=namespace) as client:
        await client.increment_copies("dune", copies=500)
        results = Counter(await asyncio.gather(*(buy(client) for _ in range(1_000))))
        on_hand = (await client.get_stock("dune")).stock_level.on_hand

    assert results == {"OK": 500, "INSUFFICIENT_STOCK": 500}
    assert on_hand == 0
    entries = entries_of(call, namespace)
    assert [entry.revision for entry in entries] == list(range(1, 502))
    assert sum(line.stock.on_hand_change for entry in entries for line in entry.lines) == 0
    assert len({entry.request_id for entry in entries}) == 501


async def test_one_request_id_sent_twenty_times_through_two_servers_counts_once(tmp_path: Path, namespace: str) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(store_process(find_binary(None), tmp_path))
        servers = [stack.enter_context(ServerProcess("--store", url)) for _ in range(2)]
        clients = [AsyncClient(server.target, namespace=namespace) for server in servers]
        await clients[0].increment_copies("dune", copies=100)

        responses = await asyncio.gather(
            *(clients[index % 2].decrement_copies("dune", copies=3, request_id="order-1") for index in range(20))
        )

        for client in clients:
            await client.close()
        caller = Caller(servers[0].target)
        entries = entries_of(caller, namespace)
        caller.close()

    assert Counter(response.replayed for response in responses) == {False: 1, True: 19}
    assert len({_without_replayed(response) for response in responses}) == 1
    assert responses[0].stock_level.on_hand == 97
    assert [entry.revision for entry in entries] == [1, 2]


def _without_replayed(response: DecrementCopiesResponse) -> bytes:
    copy = DecrementCopiesResponse()
    copy.CopyFrom(response)
    copy.replayed = False
    return copy.SerializeToString(deterministic=True)
