"""ListCounters: the counters with a prefix, in the order of the bytes of their names, a page at a time."""

from collections.abc import Iterator

import pytest

from tallykeeper.v1.counter_pb2 import (
    Counter,
    DeleteCounterRequest,
    IncrementRequest,
    ListCountersRequest,
    ListCountersResponse,
    SetCounterRequest,
)
from tests.support.client import Caller

NAMES = ["B", "a", "a b", "a:b", "ab", "b", "e\u0335", "z", "é", "名", "😀"]


def pages(call: Caller, request: ListCountersRequest) -> Iterator[ListCountersResponse]:
    """Return all pages of a listing."""
    while True:
        page: ListCountersResponse = call(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def names_of(page: ListCountersResponse) -> list[str]:
    return [counter.counter for counter in page.counters]


@pytest.fixture
def listed(call: Caller, namespace: str) -> str:
    """A namespace with counters of these names, which were made in another order."""
    for name in reversed(NAMES):
        call(IncrementRequest(namespace=namespace, counter=name))
    return namespace


def test_an_empty_namespace_lists_nothing(call: Caller, namespace: str) -> None:
    assert call(ListCountersRequest(namespace=namespace)) == ListCountersResponse()


def test_it_lists_whole_counters(call: Caller, namespace: str) -> None:
    call(SetCounterRequest(namespace=namespace, counter="visits", value=-3))

    assert list(call(ListCountersRequest(namespace=namespace)).counters) == [Counter(counter="visits", value=-3)]


def test_it_lists_in_the_order_of_the_names_bytes(call: Caller, listed: str) -> None:
    assert names_of(call(ListCountersRequest(namespace=listed))) == sorted(NAMES, key=str.encode)


@pytest.mark.parametrize("prefix", ["a", "a:", "ab", "abc", "é", "😀", "e", "*"])
def test_it_lists_the_names_that_begin_with_a_prefix(call: Caller, listed: str, prefix: str) -> None:
    names = names_of(call(ListCountersRequest(namespace=listed, prefix=prefix)))

    assert names == [name for name in NAMES if name.startswith(prefix)]


@pytest.mark.parametrize("page_size", [1, 2, 5, len(NAMES) - 1, len(NAMES), 1_000])
def test_pages_lose_nothing_and_repeat_nothing(call: Caller, listed: str, page_size: int) -> None:
    read = [names_of(page) for page in pages(call, ListCountersRequest(namespace=listed, page_size=page_size))]

    assert [name for page in read for name in page] == NAMES
    assert all(len(page) <= page_size for page in read)


def test_pages_keep_to_the_prefix(call: Caller, listed: str) -> None:
    read = pages(call, ListCountersRequest(namespace=listed, prefix="a", page_size=3))

    assert [names_of(page) for page in read] == [["a", "a b", "a:b"], ["ab"]]


def test_a_full_last_page_has_no_token(call: Caller, listed: str) -> None:
    assert not call(ListCountersRequest(namespace=listed, page_size=len(NAMES))).next_page_token


def test_a_page_holds_a_hundred_by_default(call: Caller, namespace: str) -> None:
    for number in range(101):
        call(IncrementRequest(namespace=namespace, counter=f"n{number:03}"))

    read = list(pages(call, ListCountersRequest(namespace=namespace)))

    assert [len(page.counters) for page in read] == [100, 1]


def test_the_page_size_may_change_between_pages(call: Caller, listed: str) -> None:
    first = call(ListCountersRequest(namespace=listed, page_size=2))

    second = call(ListCountersRequest(namespace=listed, page_size=100, page_token=first.next_page_token))

    assert names_of(first) + names_of(second) == NAMES


def test_counters_that_stay_are_listed_once_while_others_come_and_go(call: Caller, listed: str) -> None:
    request = ListCountersRequest(namespace=listed, page_size=3)
    first = call(request)
    call(DeleteCounterRequest(namespace=listed, counter=names_of(first)[-1]))
    call(IncrementRequest(namespace=listed, counter="A"))
    call(IncrementRequest(namespace=listed, counter="zz"))

    request.page_token = first.next_page_token
    rest = [name for page in pages(call, request) for name in names_of(page)]

    assert rest == sorted([*NAMES[3:], "zz"], key=str.encode)
