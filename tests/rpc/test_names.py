"""Names that look like something else: each is one counter and one item of its own, wherever it is used."""

import pytest

from tallykeeper.v1.counter_pb2 import (
    BatchGetCountersRequest,
    DeleteCounterRequest,
    GetCounterRequest,
    IncrementRequest,
    ListCountersRequest,
)
from tallykeeper.v1.inventory_pb2 import (
    BatchGetStockRequest,
    DecrementCopiesRequest,
    DeleteStockRequest,
    GetItemRequest,
    GetStockRequest,
    IncrementCopiesRequest,
    ListStockRequest,
    StockKey,
)
from tests.calling import Caller
from tests.rpc.conftest import FailingCall

NAMES = [
    ":",
    "a:b",
    "main:dune",
    "counter:visits",
    "{x}",
    "}:{",
    "{",
    "tk:{other}:revision",
    " ",
    " a  b ",
    '"quoted"',
    "it's",
    "back\\slash",
    "a|b",
    "-",
    "=",
    "*",
    "[a",
    "(a",
    "+",
    "0",
    "%s %.0f",
    "{0!r}",
    "ünï",
    "名前",
    "😀",
    "\u00a0",
    "\u202eabc",
    "n" * 128,
    "é" * 64,
    "😀" * 32,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_counter_may_have_any_name(call: Caller, failure: FailingCall, namespace: str, name: str) -> None:
    created = call(IncrementRequest(namespace=namespace, counter=name, delta=3)).counter

    assert (created.counter, created.value) == (name, 3)
    assert call(GetCounterRequest(namespace=namespace, counter=name)).counter == created
    assert list(call(BatchGetCountersRequest(namespace=namespace, counters=[name])).counters) == [created]
    assert list(call(ListCountersRequest(namespace=namespace, prefix=name)).counters) == [created]
    assert call(DeleteCounterRequest(namespace=namespace, counter=name)).counter == created
    assert failure(GetCounterRequest(namespace=namespace, counter=name)).metadata == {"counter": name}
    assert not call(ListCountersRequest(namespace=namespace)).counters


@pytest.mark.parametrize("name", NAMES)
def test_an_item_may_have_any_name(call: Caller, failure: FailingCall, namespace: str, name: str) -> None:
    created = call(IncrementCopiesRequest(namespace=namespace, item=name)).stock_level
    keys = [StockKey(item=name)]

    assert (created.item, created.on_hand) == (name, 1)
    assert call(GetStockRequest(namespace=namespace, item=name)).stock_level == created
    assert list(call(BatchGetStockRequest(namespace=namespace, keys=keys)).stock_levels) == [created]
    assert list(call(GetItemRequest(namespace=namespace, item=name)).stock_levels) == [created]
    assert list(call(ListStockRequest(namespace=namespace, item_prefix=name)).stock_levels) == [created]
    emptied = call(DecrementCopiesRequest(namespace=namespace, item=name)).stock_level
    assert call(DeleteStockRequest(namespace=namespace, item=name)).stock_level == emptied
    assert failure(GetStockRequest(namespace=namespace, item=name)).metadata == {"item": name, "location": "main"}
    assert not call(ListStockRequest(namespace=namespace)).stock_levels


def test_names_that_differ_in_any_byte_are_apart(call: Caller, namespace: str) -> None:
    names = ["a", "A", "a ", " a", "é", "e\u0301"]

    values = [call(IncrementRequest(namespace=namespace, counter=name)).counter.value for name in names]

    assert values == [1] * len(names)


def test_a_counter_and_an_item_of_one_name_are_apart(call: Caller, namespace: str) -> None:
    counter = call(IncrementRequest(namespace=namespace, counter="stock:main:dune", delta=5)).counter
    level = call(IncrementCopiesRequest(namespace=namespace, item="dune")).stock_level

    assert (counter.value, level.on_hand) == (5, 1)


@pytest.mark.parametrize("place", ["a", "0", "A.b_c-d", "x" * 63])
def test_a_namespace_and_a_location_may_have_letters_digits_dots_dashes_and_underscores(
    call: Caller, namespace: str, place: str
) -> None:
    own = f"{namespace}{place}"[-63:]
    request = IncrementCopiesRequest(namespace=own, item=namespace, location=place)

    level = call(request).stock_level

    assert level.location == place
    assert call(GetStockRequest(namespace=own, item=namespace, location=place)).stock_level == level


def test_reason_and_reference_may_be_as_long_as_promised(call: Caller, namespace: str) -> None:
    reply = call(IncrementRequest(namespace=namespace, counter="visits", reason="é" * 32, reference="😀" * 64))

    assert reply.revision == 1
