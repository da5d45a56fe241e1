"""Page tokens: each is valid only for the listing that gave it."""

import base64
from contextlib import closing
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest, ListCountersRequest
from tallykeeper.v1.inventory_pb2 import DeleteStockRequest, IncrementCopiesRequest, ListStockRequest, SetStockRequest
from tallykeeper.v1.ledger_pb2 import ListEntriesRequest, OperationKind
from tallykeeper.v1.namespace_pb2 import ListNamespacesRequest
from tallykeeper.v1.reservation_pb2 import ListReservationsRequest, ReservationState, ReserveRequest, StockLine
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.settings import Settings
from tallykeeper_server.store import keys
from tests.rpc.bad_values import set_field
from tests.rpc.conftest import FailingCall
from tests.support.client import REQUEST_TYPES, Caller, Failure
from tests.support.server import ThreadedServer

GARBAGE = ["x", "abcd", "!!!!", "名", " ", "\n", "AAAAAAAAAAAAAAAA", "=" * 8, "a" * 10_000]
OTHER_FILTERS: dict[type[Message], dict[str, object]] = {
    ListCountersRequest: {"namespace": "another", "prefix": "a"},
    ListStockRequest: {"namespace": "another", "item_prefix": "a", "location": "annex", "any_location": True},
    ListReservationsRequest: {
        "namespace": "another",
        "holder": "kim",
        "item": "a1",
        "state": ReservationState.RESERVATION_STATE_ACTIVE,
    },
    ListEntriesRequest: {
        "namespace": "another",
        "item": "a1",
        "counter": "a1",
        "location": "main",
        "reservation_id": "a1",
        "operation": OperationKind.OPERATION_KIND_INCREMENT,
        "reference": "order 1",
        "request_id": "r1",
        "start_time": Timestamp(seconds=1),
        "end_time": Timestamp(seconds=2**33),
        "newest_first": True,
    },
    ListNamespacesRequest: {"prefix": "test"},
}
"""The fields of the request that a token belongs to, with another value for each."""
LISTINGS = list(OTHER_FILTERS)
NOT_CURSORS: dict[type[Message], list[str]] = {
    ListStockRequest: ["", "a1", "a1\0main\0main"],
    ListReservationsRequest: ["", "a1", "SOLD\0a1", "1\0a1", "ACTIVE"],
    ListEntriesRequest: ["", "a1", "-1", "1.5", "1e3", "9" * 20, "9" * 5_000, "1_0", " 1", "\u0661"],
}
"""Texts that are no cursors of listings whose cursors are more than names."""


@pytest.fixture
def listed(call: Caller, namespace: str) -> str:
    """A namespace with two counters, two items and two reservations, and one whose name begins with its name."""
    for name in ("a1", "a2"):
        call(IncrementRequest(namespace=namespace, counter=name))
        call(IncrementCopiesRequest(namespace=namespace, item=name))
        call(ReserveRequest(namespace=namespace, reservation_id=name, lines=[StockLine(item=name)]))
    call(IncrementRequest(namespace=f"{namespace}.b", counter="a1"))
    return namespace


def listing(listing_type: type[Message], namespace: str) -> Any:  # noqa: ANN401  # a request of the type
    """Return the request of a listing's first page, with one element."""
    request: Any = listing_type()
    set_field(request, "prefix" if listing_type is ListNamespacesRequest else "namespace", namespace)
    request.page_size = 1
    return request


def token_of(call: Caller, listing_type: type[Message], namespace: str) -> str:
    """Return the token of a listing's second page."""
    token = call(listing(listing_type, namespace)).next_page_token
    assert token
    return str(token)


def assert_token_refused(failure: Failure) -> None:
    assert (failure.code, failure.reason) == (StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    assert failure.metadata == {"field": "page_token", "violations": "1"}
    assert failure.violations.keys() == {"page_token"}


def test_every_listing_and_every_filter_is_in_the_table() -> None:
    fields = {
        request_type: {field.name for field in request_type.DESCRIPTOR.fields} - {"page_size", "page_token"}
        for request_type in REQUEST_TYPES
        if "page_token" in request_type.DESCRIPTOR.fields_by_name
    }

    assert {request_type: set(filters) for request_type, filters in OTHER_FILTERS.items()} == fields


@pytest.mark.parametrize("token", GARBAGE)
@pytest.mark.parametrize("listing_type", LISTINGS)
def test_garbage_is_refused(failure: FailingCall, listed: str, listing_type: type[Message], token: str) -> None:
    request = listing(listing_type, listed)
    request.page_token = token

    assert_token_refused(failure(request))


@pytest.mark.parametrize(
    ("listing_type", "field"), [(each, field) for each, filters in OTHER_FILTERS.items() for field in filters]
)
def test_a_token_of_other_filters_is_refused(
    call: Caller, failure: FailingCall, listed: str, listing_type: type[Message], field: str
) -> None:
    request = listing(listing_type, listed)
    request.page_token = token_of(call, listing_type, listed)
    set_field(request, field, OTHER_FILTERS[listing_type][field])

    assert_token_refused(failure(request))


@pytest.mark.parametrize("listing_type", LISTINGS)
def test_the_token_of_another_listing_is_refused(
    call: Caller, failure: FailingCall, listed: str, listing_type: type[Message]
) -> None:
    for other in LISTINGS:
        if other is not listing_type:
            request = listing(listing_type, listed)
            request.page_token = token_of(call, other, listed)

            assert_token_refused(failure(request))


@pytest.mark.parametrize("listing_type", LISTINGS)
def test_a_token_that_was_changed_is_refused(
    call: Caller, failure: FailingCall, listed: str, listing_type: type[Message]
) -> None:
    raw = bytearray(base64.urlsafe_b64decode(token_of(call, listing_type, listed)))
    raw[-1] ^= 1
    request = listing(listing_type, listed)
    request.page_token = base64.urlsafe_b64encode(bytes(raw)).decode()

    assert_token_refused(failure(request))


@pytest.mark.parametrize(
    ("listing_type", "cursor"), [(each, cursor) for each, cursors in NOT_CURSORS.items() for cursor in cursors]
)
def test_a_cursor_that_this_server_does_not_understand_is_refused(
    call: Caller, listed: str, monkeypatch: pytest.MonkeyPatch, listing_type: type[Message], cursor: str
) -> None:
    sealed = PageTokens.seal

    async def seal(tokens: PageTokens, _: str, *listing: str, deadline: float) -> str:
        return await sealed(tokens, cursor, *listing, deadline=deadline)

    request = listing(listing_type, listed)
    with monkeypatch.context() as patch:
        patch.setattr(PageTokens, "seal", seal)  # as a server of another version might
        request.page_token = token_of(call, listing_type, listed)

    with pytest.raises(Failure) as raised:
        call(request)
    assert_token_refused(raised.value)


@pytest.mark.parametrize("listing_type", LISTINGS)
def test_a_token_tells_nothing_of_what_is_in_it(call: Caller, listed: str, listing_type: type[Message]) -> None:
    raw = base64.urlsafe_b64decode(token_of(call, listing_type, listed))

    assert not [text for text in (b"a1", b"main", b"ACTIVE", listed.encode()) if text in raw]


@pytest.mark.parametrize("listing_type", LISTINGS)
def test_a_token_that_a_key_of_ones_own_sealed_is_refused(
    failure: FailingCall, listed: str, listing_type: type[Message]
) -> None:
    request = listing(listing_type, listed)
    request.page_token = base64.urlsafe_b64encode(AESSIV(bytes(64)).encrypt(b"a1", [])).decode()

    assert_token_refused(failure(request))


def test_a_token_is_good_at_every_server_of_the_store_and_after_a_restart(own_store: str, namespace: str) -> None:
    settings = Settings(listen="127.0.0.1:0", store=own_store)
    request = ListCountersRequest(namespace=namespace, page_size=1)
    with ThreadedServer(settings) as one, ThreadedServer(settings) as other:
        with closing(Caller(one.target)) as call:
            for name in ("a1", "a2"):
                call(IncrementRequest(namespace=namespace, counter=name))
            request.page_token = token_of(call, ListCountersRequest, namespace)
        with closing(Caller(other.target)) as call:
            assert [counter.counter for counter in call(request).counters] == ["a2"]
    with ThreadedServer(settings) as later, closing(Caller(later.target)) as call:
        assert [counter.counter for counter in call(request).counters] == ["a2"]


def test_a_key_that_no_server_wrote_is_a_defect_and_is_not_used(own_store: str, namespace: str) -> None:
    with redis.Redis.from_url(own_store) as connection:
        connection.set(keys.page_token_key(), "short")
    with (
        ThreadedServer(Settings(listen="127.0.0.1:0", store=own_store)) as server,
        closing(Caller(server.target)) as call,
    ):
        for name in ("a1", "a2"):
            call(IncrementRequest(namespace=namespace, counter=name))
        with pytest.raises(Failure) as raised:
            call(ListCountersRequest(namespace=namespace, page_size=1))

        assert raised.value.reason == "INTERNAL"
        assert len(call(ListCountersRequest(namespace=namespace)).counters) == 2


@pytest.mark.parametrize("page_size", [1_001, 2**31 - 1])
@pytest.mark.parametrize("listing_type", LISTINGS)
def test_a_page_size_above_the_maximum_is_reduced(
    call: Caller, listed: str, listing_type: type[Message], page_size: int
) -> None:
    largest, larger = listing(listing_type, listed), listing(listing_type, listed)
    largest.page_size, larger.page_size = 1_000, page_size

    assert call(larger) == call(largest)


def test_the_largest_page_has_a_thousand(call: Caller, namespace: str) -> None:
    operations = [Operation(increment=IncrementRequest(counter=f"c{number}")) for number in range(1_000)]
    call(ApplyRequest(namespace=namespace, operations=operations, mode=BATCH_MODE_INDEPENDENT))
    call(IncrementRequest(namespace=namespace, counter="one more"))

    page = call(ListCountersRequest(namespace=namespace, page_size=5_000))

    assert (len(page.counters), bool(page.next_page_token)) == (1_000, True)


@pytest.mark.parametrize("listing_type", LISTINGS)
def test_a_page_may_have_another_size_than_the_one_before(
    call: Caller, listed: str, listing_type: type[Message]
) -> None:
    request = listing(listing_type, listed)
    request.page_token = token_of(call, listing_type, listed)
    request.page_size = 500

    assert call(request).next_page_token == ""


@pytest.mark.parametrize("location", ["", "main", "annex"])
def test_a_token_of_all_locations_is_not_one_of_a_location(
    call: Caller, failure: FailingCall, listed: str, location: str
) -> None:
    anywhere = call(ListStockRequest(namespace=listed, any_location=True, page_size=1))

    token = anywhere.next_page_token

    assert_token_refused(failure(ListStockRequest(namespace=listed, location=location, page_token=token)))


def test_a_token_outlives_the_name_that_it_points_to(call: Caller, namespace: str) -> None:
    for item in ("a1", "a2"):
        call(IncrementCopiesRequest(namespace=namespace, item=item))
    token = token_of(call, ListStockRequest, namespace)
    call(SetStockRequest(namespace=namespace, item="a1", on_hand=0))
    call(DeleteStockRequest(namespace=namespace, item="a1"))

    page = call(ListStockRequest(namespace=namespace, location="main", page_size=500, page_token=token))

    assert [level.item for level in page.stock_levels] == ["a2"]
