"""Both clients against the real server: the ledger, watches and namespaces."""

import asyncio
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tallykeeper_client import (
    AsyncClient,
    OperationKind,
    RequestOutcome,
    RevisionAhead,
    StockLine,
)
from tests.client.connection import Connect
from tests.support.server import ServerProcess, ThreadedServer


@pytest.fixture
async def client(connect: Connect, server: ThreadedServer, namespace: str) -> AsyncClient:
    """Either client on the real server, in the test's own namespace."""
    return await connect(server.target, namespace=namespace)


async def test_entries_are_listed_by_their_subject(client: AsyncClient) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    await client.increment_copies("dune", copies=3, reference="delivery-1")
    await client.increment("visitors", request_id="mine")
    await client.reserve([StockLine(item="dune")], reservation_id="b")

    every = [entry.revision async for entry in client.iterate_entries(page_size=1)]
    newest = [entry.revision async for entry in client.iterate_entries(item="dune", newest_first=True)]
    by_id = (await client.list_entries(request_id="mine")).entries
    by_kind = (await client.list_entries(operation=OperationKind.OPERATION_KIND_RESERVE)).entries
    by_time = (await client.list_entries(start_time=began, reference="delivery-1")).entries

    assert (every, newest) == ([1, 2, 3], [3, 1])
    assert [entry.lines[0].counter.after.value for entry in by_id] == [1]
    assert [entry.reservation.reservation_id for entry in by_kind] == ["b"]
    assert [entry.lines[0].stock.on_hand_change for entry in by_time] == [3]
    assert (await client.list_entries(end_time=began)).entries == []


async def test_a_request_id_gives_the_outcome(client: AsyncClient) -> None:
    await client.increment("visitors", request_id="mine")

    known, unknown = await client.lookup_request("mine"), await client.lookup_request("nobodys")

    assert (known.outcome, known.applied_revision) == (RequestOutcome.REQUEST_OUTCOME_APPLIED, 1)
    assert unknown.outcome == RequestOutcome.REQUEST_OUTCOME_UNKNOWN


async def test_a_namespace_agrees_with_its_ledger(client: AsyncClient, namespace: str) -> None:
    await client.increment_copies("dune", copies=3)
    await client.increment("visitors")

    verified, found = await client.verify_namespace(), await client.get_namespace()

    assert (verified.clean, verified.difference_count, verified.levels_checked) == (True, 0, 2)
    assert (found.revision, found.namespace.stock_level_count, found.namespace.counter_count) == (2, 1, 1)
    assert [each.namespace async for each in client.iterate_namespaces(namespace)] == [namespace]


async def test_a_watch_gives_earlier_and_later_entries(client: AsyncClient) -> None:
    await client.increment("visitors")
    await client.increment_copies("dune")

    async with asyncio.timeout(20), aclosing(client.watch(items=["dune"], after_revision=0)) as entries:
        assert (await anext(entries)).revision == 2
        await client.increment("visitors")
        await client.decrement_copies("dune")
        assert (await anext(entries)).revision == 4


async def test_levels_come_first_and_then_their_changes(client: AsyncClient) -> None:
    await client.increment_copies("dune", copies=3)

    async with asyncio.timeout(20), aclosing(client.watch_responses(include_levels=True)) as responses:
        first = await anext(responses)
        await client.decrement_copies("dune")
        while not (then := await anext(responses)).entries:
            pass

    assert (first.revision, [level.on_hand for level in first.stock_levels]) == (1, [3])
    assert [entry.revision for entry in then.entries] == [2]


async def test_a_watch_from_a_future_revision_is_refused(client: AsyncClient) -> None:
    with pytest.raises(RevisionAhead) as caught:
        await anext(client.watch(after_revision=99))

    assert (caught.value.after_revision, caught.value.revision) == (99, 0)


async def test_a_watch_survives_a_restart_with_no_gap_and_no_repeat(connect: Connect, tmp_path: Path) -> None:
    settings = ("--data-dir", str(tmp_path))
    with ExitStack() as processes:
        first = await asyncio.to_thread(processes.enter_context, ServerProcess(*settings))
        client = await connect(first.target)
        await client.increment("visitors")
        async with asyncio.timeout(60), aclosing(client.watch(after_revision=0)) as entries:
            assert (await anext(entries)).revision == 1

            await asyncio.to_thread(first.stop)
            await asyncio.to_thread(processes.enter_context, ServerProcess("--listen", first.target, *settings))
            await client.increment("visitors")
            await client.increment("visitors")

            assert [(await anext(entries)).revision for _ in range(2)] == [2, 3]
