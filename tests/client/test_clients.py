"""Both clients against the real server: every call, and the errors that users meet."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tallykeeper_client import (
    AsyncClient,
    CounterBoundExceeded,
    CounterNotFound,
    InsufficientStock,
    InvalidField,
    ItemNotFound,
    PageTokenInvalid,
    RequestIdReused,
    ShortagePolicy,
    StockKey,
    StockNotEmpty,
    ValueChanged,
    ValueOverflow,
)
from tests.client.connection import Connect
from tests.support.server import ThreadedServer

INTEGER_MAX = 2**53 - 1


@pytest.fixture
async def client(connect: Connect, server: ThreadedServer, namespace: str) -> AsyncClient:
    """Either client on the real server, in the test's own namespace."""
    return await connect(server.target, namespace=namespace)


async def test_increment_adds_and_counts_revisions(client: AsyncClient) -> None:
    first = await client.increment("visitors")
    second = await client.increment("visitors", delta=-3)

    assert (first.counter.value, first.revision, first.replayed) == (1, 1, False)
    assert (second.counter.value, second.revision, second.replayed) == (-2, 2, False)


async def test_a_repeated_request_id_counts_once(client: AsyncClient) -> None:
    first = await client.increment("visitors", request_id="a")
    again = await client.increment("visitors", request_id="a")

    assert (again.replayed, again.revision, again.counter) == (True, first.revision, first.counter)
    assert (await client.get_counter("visitors")).counter.value == 1


async def test_a_request_id_with_another_request_is_refused(client: AsyncClient) -> None:
    await client.increment("visitors", request_id="a")

    with pytest.raises(RequestIdReused) as caught:
        await client.increment("visitors", delta=2, request_id="a")

    assert caught.value.request_id == "a"


async def test_a_call_may_name_another_namespace(client: AsyncClient, namespace: str) -> None:
    await client.increment("visitors", namespace=f"{namespace}-b")

    assert (await client.get_counter("visitors", namespace=f"{namespace}-b")).counter.value == 1
    with pytest.raises(CounterNotFound, match="visitors") as caught:
        await client.get_counter("visitors")
    assert caught.value.counter == "visitors"


async def test_set_counter_compares_before_it_sets(client: AsyncClient) -> None:
    await client.set_counter("c", 5, expected_value=0)

    with pytest.raises(ValueChanged) as caught:
        await client.set_counter("c", 7, expected_value=6)

    assert (caught.value.actual, caught.value.expected) == (5, 6)
    assert (await client.set_counter("c", 7)).counter.value == 7


async def test_configure_counter_sets_leaves_and_clears_bounds(client: AsyncClient) -> None:
    bounded = (await client.configure_counter("c", min=0, max=10)).counter
    assert (bounded.value, bounded.min, bounded.max) == (0, 0, 10)

    with pytest.raises(CounterBoundExceeded) as caught:
        await client.increment("c", delta=11)
    error = caught.value
    assert (error.value, error.delta, error.min, error.max) == (0, 11, 0, 10)

    unbounded = (await client.configure_counter("c", max=None)).counter
    assert unbounded.min == 0
    assert unbounded.HasField("min")
    assert not unbounded.HasField("max")


async def test_configure_counter_sets_and_clears_the_expiry(client: AsyncClient) -> None:
    temporary = (await client.configure_counter("c", ttl=timedelta(hours=1))).counter
    life = temporary.expire_time.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(minutes=50) < life < timedelta(minutes=70)

    lasting = (await client.configure_counter("c", ttl=None)).counter
    assert not lasting.HasField("expire_time")


async def test_set_counter_outside_the_bounds_names_no_delta(client: AsyncClient) -> None:
    await client.configure_counter("c", max=10)

    with pytest.raises(CounterBoundExceeded) as caught:
        await client.set_counter("c", 11)

    error = caught.value
    assert (error.value, error.delta, error.min, error.max) == (11, None, None, 10)


async def test_a_number_too_large_for_the_contract_is_refused(client: AsyncClient) -> None:
    await client.set_counter("c", INTEGER_MAX)

    with pytest.raises(ValueOverflow) as caught:
        await client.increment("c")
    assert (caught.value.metadata["value"], caught.value.metadata["delta"]) == (str(INTEGER_MAX), "1")

    with pytest.raises(InvalidField) as invalid:
        await client.increment("c", delta=INTEGER_MAX + 1)
    assert [violation.field for violation in invalid.value.violations] == ["delta"]


async def test_delete_counter_returns_and_removes_the_counter(client: AsyncClient) -> None:
    await client.set_counter("c", 5)

    assert (await client.delete_counter("c")).counter.value == 5
    with pytest.raises(CounterNotFound):
        await client.delete_counter("c")


async def test_batch_get_counters_names_the_missing(client: AsyncClient) -> None:
    await client.set_counter("a", 1)
    await client.set_counter("b", 2)

    found = await client.batch_get_counters(["b", "x", "a"])

    assert [(each.counter, each.value) for each in found.counters] == [("b", 2), ("a", 1)]
    assert found.missing == ["x"]


async def test_counters_are_listed_by_page_and_all_together(client: AsyncClient) -> None:
    names = [f"page-{number}" for number in range(5)]
    await asyncio.gather(*(client.increment(name) for name in [*names, "other"]))

    page = await client.list_counters("page-", page_size=2)
    rest = await client.list_counters("page-", page_token=page.next_page_token)
    every = [counter.counter async for counter in client.iterate_counters("page-", page_size=2)]

    assert [counter.counter for counter in (*page.counters, *rest.counters)] == names
    assert every == names


async def test_a_page_token_of_another_listing_is_refused(client: AsyncClient) -> None:
    await asyncio.gather(client.increment("a"), client.increment("b"))
    page = await client.list_counters(page_size=1)

    with pytest.raises(PageTokenInvalid):
        await client.list_counters("a", page_token=page.next_page_token)


async def test_copies_are_added_and_taken_until_too_few_are_left(client: AsyncClient) -> None:
    added = await client.increment_copies("dune", copies=5)
    taken = await client.decrement_copies("dune", copies=3)
    assert (added.stock_level.available, taken.copies_taken, taken.stock_level.available) == (5, 3, 2)

    with pytest.raises(InsufficientStock) as caught:
        await client.decrement_copies("dune", copies=3)

    error = caught.value
    assert (error.item, error.location) == ("dune", "main")
    assert (error.requested, error.available, error.backorder_limit) == (3, 2, 0)
    assert len(error.violations) == 1


async def test_the_policy_take_available_takes_the_available_copies(client: AsyncClient) -> None:
    await client.increment_copies("dune", copies=2)

    taken = await client.decrement_copies(
        "dune", copies=3, shortage_policy=ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE
    )

    assert (taken.copies_taken, taken.stock_level.available) == (2, 0)


async def test_set_stock_compares_before_it_sets(client: AsyncClient) -> None:
    await client.set_stock("dune", 4, location="annex", expected_on_hand=0)

    with pytest.raises(ValueChanged) as caught:
        await client.set_stock("dune", 9, location="annex", expected_on_hand=5)

    assert (caught.value.actual, caught.value.expected) == (4, 5)


async def test_configure_stock_sets_leaves_and_clears(client: AsyncClient) -> None:
    await client.configure_stock("dune", safety_stock=1, backorder_limit=2, low_stock_threshold=3)

    level = (await client.configure_stock("dune", backorder_limit=None, safety_stock=4)).stock_level

    assert (level.safety_stock, level.backorder_limit, level.low_stock_threshold) == (4, 0, 3)


async def test_delete_stock_needs_an_empty_level(client: AsyncClient) -> None:
    await client.increment_copies("dune")
    with pytest.raises(StockNotEmpty) as caught:
        await client.delete_stock("dune")
    assert (caught.value.item, caught.value.on_hand, caught.value.reserved) == ("dune", 1, 0)

    await client.decrement_copies("dune")
    assert (await client.delete_stock("dune")).stock_level.on_hand == 0
    with pytest.raises(ItemNotFound) as missing:
        await client.get_stock("dune")
    assert (missing.value.item, missing.value.location) == ("dune", "main")


async def test_batch_get_stock_names_the_missing(client: AsyncClient) -> None:
    await client.increment_copies("dune", location="annex")

    found = await client.batch_get_stock([StockKey(item="dune", location="annex"), StockKey(item="emma")])

    assert [(level.item, level.on_hand) for level in found.stock_levels] == [("dune", 1)]
    assert [key.item for key in found.missing] == ["emma"]


async def test_get_item_adds_up_its_locations(client: AsyncClient) -> None:
    await client.increment_copies("dune", copies=2)
    await client.increment_copies("dune", copies=3, location="annex")

    item = await client.get_item("dune")

    assert [level.location for level in item.stock_levels] == ["annex", "main"]
    assert (item.total_on_hand, item.total_available) == (5, 5)
    with pytest.raises(ItemNotFound) as caught:
        await client.get_item("emma")
    assert (caught.value.item, caught.value.location) == ("emma", None)


async def test_stock_is_listed_by_page_and_all_together(client: AsyncClient) -> None:
    items = [f"page-{number}" for number in range(5)]
    await asyncio.gather(*(client.increment_copies(item, location="annex") for item in [*items, "other"]))

    page = await client.list_stock("page-", location="annex", page_size=2)
    every = [level.item async for level in client.iterate_stock("page-", location="annex", page_size=2)]

    assert [level.item for level in page.stock_levels] == items[:2]
    assert every == items


async def test_stock_is_listed_at_all_locations(client: AsyncClient) -> None:
    levels = [("dune", "annex"), ("dune", "main"), ("emma", "annex")]
    await asyncio.gather(*(client.increment_copies(item, location=location) for item, location in levels))

    page = await client.list_stock(any_location=True, page_size=2)
    every = [level async for level in client.iterate_stock("d", any_location=True, page_size=1)]

    assert [(level.item, level.location) for level in page.stock_levels] == levels[:2]
    assert [(level.item, level.location) for level in every] == levels[:2]


async def test_wait_until_ready_returns_for_a_ready_server(client: AsyncClient) -> None:
    await client.wait_until_ready(timeout_seconds=10)

    assert (await client.increment("visitors")).counter.value == 1


async def test_fifty_buyers_at_once_get_ten_copies(client: AsyncClient) -> None:
    await client.set_stock("dune", 10)

    answers = await asyncio.gather(*(client.decrement_copies("dune") for _ in range(50)), return_exceptions=True)

    refused = [answer for answer in answers if isinstance(answer, InsufficientStock)]
    assert (len(answers) - len(refused), len(refused)) == (10, 40)
    assert (await client.get_stock("dune")).stock_level.on_hand == 0
