"""ListStock: the levels at one location or at all, by prefix, in the order of their bytes, a page at a time."""

from collections.abc import Iterator

import pytest
import redis

from tallykeeper.v1.inventory_pb2 import (
    DeleteStockRequest,
    IncrementCopiesRequest,
    ListStockRequest,
    ListStockResponse,
    SetStockRequest,
    StockLevel,
)
from tests.support.client import Caller

ITEMS = ["B", "a", "a b", "a:b", "ab", "b", "e\u0335", "z", "é", "名", "😀"]
KEYS = [
    (item, location)
    for number, item in enumerate(ITEMS)
    for location in ("annex", "main", "upstairs")
    if location == "main" or number % 2 == 0
]
"""The levels of `listed`, by item and then by location."""


def pages(call: Caller, request: ListStockRequest) -> Iterator[ListStockResponse]:
    """Return all pages of a listing."""
    while True:
        page: ListStockResponse = call(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def items_of(page: ListStockResponse) -> list[str]:
    return [level.item for level in page.stock_levels]


def keys_of(page: ListStockResponse) -> list[tuple[str, str]]:
    return [(level.item, level.location) for level in page.stock_levels]


@pytest.fixture
def listed(call: Caller, namespace: str) -> str:
    """A namespace with these items at main, and every second of them at annex and at upstairs."""
    for index, item in enumerate(reversed(ITEMS)):
        call(IncrementCopiesRequest(namespace=namespace, item=item))
        if index % 2 == 0:
            call(IncrementCopiesRequest(namespace=namespace, item=item, location="annex"))
            call(IncrementCopiesRequest(namespace=namespace, item=item, location="upstairs"))
    return namespace


def test_an_empty_namespace_lists_nothing(call: Caller, namespace: str) -> None:
    assert call(ListStockRequest(namespace=namespace)) == ListStockResponse()


def test_it_lists_whole_levels(call: Caller, namespace: str) -> None:
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=4))

    assert list(call(ListStockRequest(namespace=namespace)).stock_levels) == [
        StockLevel(item="dune", location="main", on_hand=4, available=4)
    ]


@pytest.mark.parametrize(
    ("location", "items"),
    [("", ITEMS), ("main", ITEMS), ("annex", ITEMS[::2]), ("upstairs", ITEMS[::2]), ("nowhere", [])],
)
def test_it_lists_one_location_in_the_order_of_the_items_bytes(
    call: Caller, listed: str, location: str, items: list[str]
) -> None:
    page = call(ListStockRequest(namespace=listed, location=location))

    assert items_of(page) == items == sorted(items, key=str.encode)
    assert {level.location for level in page.stock_levels} <= {location or "main"}


@pytest.mark.parametrize("prefix", ["a", "a:", "ab", "abc", "é", "😀", "e", "*"])
def test_it_lists_the_items_that_begin_with_a_prefix(call: Caller, listed: str, prefix: str) -> None:
    items = items_of(call(ListStockRequest(namespace=listed, item_prefix=prefix)))

    assert items == [item for item in ITEMS if item.startswith(prefix)]


def test_it_lists_all_locations_in_the_order_of_the_items_bytes_and_then_of_the_locations(
    call: Caller, listed: str
) -> None:
    page = call(ListStockRequest(namespace=listed, any_location=True))

    assert keys_of(page) == KEYS == sorted(KEYS, key=lambda key: (key[0].encode(), key[1].encode()))
    assert not page.next_page_token


@pytest.mark.parametrize("prefix", ["a", "a:", "abc", "é"])
def test_it_lists_the_items_that_begin_with_a_prefix_at_all_locations(call: Caller, listed: str, prefix: str) -> None:
    page = call(ListStockRequest(namespace=listed, item_prefix=prefix, any_location=True))

    assert keys_of(page) == [key for key in KEYS if key[0].startswith(prefix)]


@pytest.mark.parametrize("page_size", [1, 2, 5, len(KEYS) - 1, len(KEYS), 1_000])
def test_pages_of_all_locations_are_full_and_lose_nothing_and_repeat_nothing(
    call: Caller, listed: str, page_size: int
) -> None:
    request = ListStockRequest(namespace=listed, any_location=True, page_size=page_size)

    read = [keys_of(page) for page in pages(call, request)]

    assert read == [KEYS[first : first + page_size] for first in range(0, len(KEYS), page_size)]


@pytest.mark.parametrize("location", ["main", "annex"])
@pytest.mark.parametrize("page_size", [1, 2, 5, len(ITEMS) - 1, len(ITEMS), 1_000])
def test_pages_lose_nothing_and_repeat_nothing(call: Caller, listed: str, location: str, page_size: int) -> None:
    request = ListStockRequest(namespace=listed, location=location, page_size=page_size)

    read = [items_of(page) for page in pages(call, request)]

    assert [item for page in read for item in page] == (ITEMS if location == "main" else ITEMS[::2])
    assert all(len(page) <= page_size for page in read)


def test_pages_keep_to_the_prefix(call: Caller, listed: str) -> None:
    read = pages(call, ListStockRequest(namespace=listed, item_prefix="a", page_size=3))

    assert [items_of(page) for page in read] == [["a", "a b", "a:b"], ["ab"]]


def test_a_page_holds_a_hundred_by_default(call: Caller, namespace: str) -> None:
    for number in range(101):
        call(IncrementCopiesRequest(namespace=namespace, item=f"n{number:03}"))

    read = list(pages(call, ListStockRequest(namespace=namespace)))

    assert [len(page.stock_levels) for page in read] == [100, 1]


def test_levels_that_stay_are_listed_once_while_others_come_and_go(call: Caller, listed: str) -> None:
    request = ListStockRequest(namespace=listed, page_size=3)
    first = call(request)
    call(SetStockRequest(namespace=listed, item=items_of(first)[-1], on_hand=0))
    call(DeleteStockRequest(namespace=listed, item=items_of(first)[-1]))
    call(IncrementCopiesRequest(namespace=listed, item="A"))
    call(IncrementCopiesRequest(namespace=listed, item="zz"))

    request.page_token = first.next_page_token
    rest = [item for page in pages(call, request) for item in items_of(page)]

    assert rest == sorted([*ITEMS[3:], "zz"], key=str.encode)


def test_a_page_may_be_empty_where_another_location_has_thousands_of_items(
    call: Caller, namespace: str, raw_store: redis.Redis
) -> None:
    elsewhere = {f"item-{number:05}\0elsewhere": 0 for number in range(21_000)}
    raw_store.zadd(f"tk:{{{namespace}}}:index:stock", elsewhere)
    for item in ("first", "last"):
        call(IncrementCopiesRequest(namespace=namespace, item=item))

    read = [items_of(page) for page in pages(call, ListStockRequest(namespace=namespace))]

    assert read == [["first"], [], ["last"]]
