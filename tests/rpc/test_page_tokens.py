"""Page tokens: good for the listing that gave them, and for no other."""

import base64
from collections.abc import Callable

import pytest
from google.protobuf.message import Message
from grpc import StatusCode

from tallykeeper.v1.counter_pb2 import IncrementRequest, ListCountersRequest
from tallykeeper.v1.inventory_pb2 import DeleteStockRequest, IncrementCopiesRequest, ListStockRequest, SetStockRequest
from tests.calling import Caller, Failure
from tests.rpc.conftest import FailingCall

GARBAGE = ["x", "abcd", "!!!!", "名", " ", "\n", "AAAAAAAAAAAAAAAA", "=" * 8, "a" * 10_000]


@pytest.fixture
def listed(call: Caller, namespace: str) -> str:
    """A namespace with two counters and two items."""
    for name in ("a1", "a2"):
        call(IncrementRequest(namespace=namespace, counter=name))
        call(IncrementCopiesRequest(namespace=namespace, item=name))
    return namespace


@pytest.fixture
def counters_token(call: Caller, listed: str) -> str:
    """The token of a listing of counters."""
    return str(call(ListCountersRequest(namespace=listed, page_size=1)).next_page_token)


@pytest.fixture
def stock_token(call: Caller, listed: str) -> str:
    """The token of a listing of stock."""
    return str(call(ListStockRequest(namespace=listed, page_size=1)).next_page_token)


def assert_token_refused(failure: Failure) -> None:
    assert (failure.code, failure.reason) == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    assert failure.metadata == {"field": "page_token", "violations": "1"}
    assert failure.violations.keys() == {"page_token"}


@pytest.mark.parametrize("token", GARBAGE)
@pytest.mark.parametrize("request_type", [ListCountersRequest, ListStockRequest])
def test_garbage_is_refused(
    failure: FailingCall, listed: str, request_type: Callable[..., Message], token: str
) -> None:
    assert_token_refused(failure(request_type(namespace=listed, page_token=token)))


@pytest.mark.parametrize(
    "change", [{"namespace": "another"}, {"prefix": "a"}], ids=["another namespace", "another prefix"]
)
def test_a_listing_of_counters_refuses_anothers_token(
    failure: FailingCall, listed: str, counters_token: str, change: dict[str, str]
) -> None:
    fields = {"namespace": listed, "page_token": counters_token, **change}
    request = ListCountersRequest()
    for field, value in fields.items():
        setattr(request, field, value)

    assert_token_refused(failure(request))


@pytest.mark.parametrize(
    "change",
    [{"namespace": "another"}, {"item_prefix": "a"}, {"location": "annex"}],
    ids=["another namespace", "another prefix", "another location"],
)
def test_a_listing_of_stock_refuses_anothers_token(
    failure: FailingCall, listed: str, stock_token: str, change: dict[str, str]
) -> None:
    fields = {"namespace": listed, "page_token": stock_token, **change}
    request = ListStockRequest()
    for field, value in fields.items():
        setattr(request, field, value)

    assert_token_refused(failure(request))


def test_counters_and_stock_refuse_each_others_tokens(
    failure: FailingCall, listed: str, counters_token: str, stock_token: str
) -> None:
    assert_token_refused(failure(ListCountersRequest(namespace=listed, page_token=stock_token)))
    assert_token_refused(failure(ListStockRequest(namespace=listed, page_token=counters_token)))


def test_a_token_that_was_changed_is_refused(failure: FailingCall, listed: str, counters_token: str) -> None:
    raw = bytearray(base64.urlsafe_b64decode(counters_token))
    raw[-1] ^= 1

    changed = base64.urlsafe_b64encode(bytes(raw)).decode()

    assert_token_refused(failure(ListCountersRequest(namespace=listed, page_token=changed)))


def test_a_token_outlives_the_name_that_it_points_to(call: Caller, listed: str, stock_token: str) -> None:
    call(SetStockRequest(namespace=listed, item="a1"))
    call(DeleteStockRequest(namespace=listed, item="a1"))

    page = call(ListStockRequest(namespace=listed, location="main", page_size=500, page_token=stock_token))

    assert [level.item for level in page.stock_levels] == ["a2"]
