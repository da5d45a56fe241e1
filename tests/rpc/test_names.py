"""Names that look like other things: each names one counter and one item in every RPC."""

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
from tests.rpc.conftest import FailingCall
from tests.support.client import Caller

NAMES = [
    ":",
    "a:b",
    "main:dune",
    "counter:visits",
    "{x}",
    "}:{",
    "{",
    "tk:{other}:revision",
    "a  b",
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
    "a\u00a0b",
    "\u200b",
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
    names = ["a", "A", "a b", "a  b", "é", "e", "\u0431", "b"]

    values = [call(IncrementRequest(namespace=namespace, counter=name)).counter.value for name in names]

    assert values == [1] * len(names)


@pytest.mark.parametrize(
    ("name", "flaw"),
    [
        ("cafe\u0301", "'cafe\\u0301' is not in Unicode NFC; send 'caf\u00e9'"),
        ("\u212b", "'\\u212b' is not in Unicode NFC; send '\u00c5'"),
        (" dune", "' dune' begins or ends with white space; send it without"),
        ("dune\u00a0", "'dune\\xa0' begins or ends with white space; send it without"),
    ],
)
def test_a_name_that_another_looks_like_is_refused_with_the_form_to_send(
    failure: FailingCall, namespace: str, name: str, flaw: str
) -> None:
    request = IncrementRequest(namespace=namespace, counter=name, request_id="once")

    assert failure(request).violations == {"counter": flaw}
    assert failure(IncrementCopiesRequest(namespace=namespace, item=name)).violations == {"item": flaw}


def test_a_prefix_may_end_with_white_space(call: Caller, namespace: str) -> None:
    for name in ("dune messiah", "dunes"):
        call(IncrementRequest(namespace=namespace, counter=name))

    listed = call(ListCountersRequest(namespace=namespace, prefix="dune ")).counters

    assert [counter.counter for counter in listed] == ["dune messiah"]


def test_a_counter_and_an_item_of_one_name_are_apart(call: Caller, namespace: str) -> None:
    counter = call(IncrementRequest(namespace=namespace, counter="stock:main:dune", delta=5)).counter
    level = call(IncrementCopiesRequest(namespace=namespace, item="dune")).stock_level

    assert (counter.value, level.on_hand) == (5, 1)


@pytest.mark.parametrize("label", ["a", "0", "A.b_c-d", "x" * 63])
def test_a_namespace_and_a_location_may_have_letters_digits_dots_dashes_and_underscores(
    call: Caller, namespace: str, label: str
) -> None:
    own = f"{namespace}{label}"[-63:]
    request = IncrementCopiesRequest(namespace=own, item=namespace, location=label)

    level = call(request).stock_level

    assert level.location == label
    assert call(GetStockRequest(namespace=own, item=namespace, location=label)).stock_level == level


def test_reason_and_reference_may_be_as_long_as_promised(call: Caller, namespace: str) -> None:
    reply = call(IncrementRequest(namespace=namespace, counter="visits", reason="é" * 32, reference="😀" * 64))

    assert reply.revision == 1
