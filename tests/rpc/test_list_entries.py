"""ListEntries: the entries that pass the filters, in either order, a page at a time."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tallykeeper.v1.batch_pb2 import ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper.v1.inventory_pb2 import IncrementCopiesRequest, MoveCopiesRequest, SetStockRequest
from tallykeeper.v1.ledger_pb2 import Entry, ListEntriesRequest, OperationKind
from tallykeeper.v1.reservation_pb2 import CommitRequest, ExtendRequest, ReserveRequest, StockLine
from tests.support.batches import mode_of
from tests.support.client import Caller
from tests.support.clock import later


def entries(call: Caller, request: ListEntriesRequest) -> list[Entry]:
    """Return the entries on all pages of a listing."""
    found: list[Entry] = []
    for page in call.pages(request):
        assert len(page.entries) <= (request.page_size or 100)
        found += page.entries
    return found


def revisions(call: Caller, request: ListEntriesRequest) -> list[int]:
    """Return the revisions on all pages of a listing."""
    return [entry.revision for entry in entries(call, request)]


@pytest.fixture
def written(call: Caller, namespace: str) -> str:
    """A namespace with ten entries of several kinds."""
    call(IncrementRequest(namespace=namespace, counter="visits", reference="order 1"))
    call(SetStockRequest(namespace=namespace, item="dune", on_hand=9, request_id="r2"))
    call(SetStockRequest(namespace=namespace, item="emma", location="annex", on_hand=9))
    call(MoveCopiesRequest(namespace=namespace, item="dune", to_location="annex", copies=4))
    lines = [StockLine(item="dune"), StockLine(item="emma", location="annex")]
    call(ReserveRequest(namespace=namespace, reservation_id="a", lines=lines, reference="order 1"))
    call(ReserveRequest(namespace=namespace, reservation_id="b", lines=lines[:1]))
    call(ExtendRequest(namespace=namespace, reservation_id="a"))
    call(CommitRequest(namespace=namespace, reservation_id="a", reference="order 1"))
    call(IncrementRequest(namespace=namespace, counter="dune", request_id="r9"))
    call(IncrementCopiesRequest(namespace=namespace, item="visits"))
    return namespace


@pytest.mark.parametrize("page_size", [0, 1, 3, 10, 1_000])
@pytest.mark.parametrize("newest_first", [False, True])
def test_it_lists_all_in_either_order(call: Caller, written: str, page_size: int, *, newest_first: bool) -> None:
    request = ListEntriesRequest(namespace=written, page_size=page_size, newest_first=newest_first)

    listed = revisions(call, request)

    assert listed == (list(range(10, 0, -1)) if newest_first else list(range(1, 11)))


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"item": "dune"}, {2, 4, 5, 6, 8}),
        ({"item": "emma"}, {3, 5, 8}),
        ({"item": "visits"}, {10}),
        ({"item": "dun"}, set()),
        ({"counter": "visits"}, {1}),
        ({"counter": "dune"}, {9}),
        ({"location": "annex"}, {3, 4, 5, 8}),
        ({"item": "dune", "location": "annex"}, {4}),
        ({"item": "emma", "location": "main"}, set()),
        ({"reservation_id": "a"}, {5, 7, 8}),
        ({"reservation_id": "b"}, {6}),
        ({"operation": OperationKind.OPERATION_KIND_SET_STOCK}, {2, 3}),
        ({"operation": OperationKind.OPERATION_KIND_EXPIRE}, set()),
        ({"reference": "order 1"}, {1, 5, 8}),
        ({"reference": "order"}, set()),
        ({"request_id": "r9"}, {9}),
        ({"reservation_id": "a", "reference": "order 1", "item": "dune"}, {5, 8}),
        ({"item": "dune", "counter": "dune"}, set()),
    ],
)
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("page_size", [1, 1_000])
def test_it_lists_what_passes_every_filter(
    call: Caller, written: str, filters: dict[str, object], expected: set[int], page_size: int, *, newest_first: bool
) -> None:
    request = ListEntriesRequest(namespace=written, page_size=page_size, newest_first=newest_first)
    for name, value in filters.items():
        setattr(request, name, value)

    assert revisions(call, request) == sorted(expected, reverse=newest_first)


@pytest.mark.parametrize("newest_first", [False, True])
def test_it_lists_what_was_made_from_a_time_on_and_before_another(
    call: Caller, written: str, *, newest_first: bool
) -> None:
    made = entries(call, ListEntriesRequest(namespace=written))
    start, end = made[3].commit_time, made[7].commit_time

    listed = revisions(
        call, ListEntriesRequest(namespace=written, start_time=start, end_time=end, newest_first=newest_first)
    )

    expected = [
        entry.revision
        for entry in made
        if start.ToMilliseconds() <= entry.commit_time.ToMilliseconds() < end.ToMilliseconds()
    ]
    assert listed == sorted(expected, reverse=newest_first)


def test_it_lists_nothing_of_another_time(call: Caller, written: str) -> None:
    last = entries(call, ListEntriesRequest(namespace=written))[-1].commit_time

    assert revisions(call, ListEntriesRequest(namespace=written, start_time=later(last, 1))) == []
    assert revisions(call, ListEntriesRequest(namespace=written, end_time=Timestamp(seconds=1))) == []
    assert len(revisions(call, ListEntriesRequest(namespace=written, end_time=later(last, 1)))) == 10


def test_the_newest_first_lists_what_there_was_when_it_began(call: Caller, written: str) -> None:
    request = ListEntriesRequest(namespace=written, newest_first=True, page_size=4)
    first = call(request)
    call(IncrementRequest(namespace=written, counter="visits"))
    request.page_token = first.next_page_token

    rest = revisions(call, request)

    assert [entry.revision for entry in first.entries] + rest == list(range(10, 0, -1))


def test_a_listing_from_the_oldest_continues_to_entries_made_during_it(call: Caller, written: str) -> None:
    request = ListEntriesRequest(namespace=written, page_size=4)
    first = call(request)
    call(IncrementRequest(namespace=written, counter="visits"))
    request.page_token = first.next_page_token

    rest = revisions(call, request)

    assert [entry.revision for entry in first.entries] + rest == list(range(1, 12))


def test_without_a_page_size_a_page_has_a_hundred_at_most(call: Caller, namespace: str) -> None:
    for _ in range(101):
        call(IncrementRequest(namespace=namespace, counter="visits"))

    page = call(ListEntriesRequest(namespace=namespace))

    assert 0 < len(page.entries) <= 100
    assert page.next_page_token


def test_what_is_rare_in_a_long_ledger_is_found(call: Caller, namespace: str) -> None:
    call(IncrementRequest(namespace=namespace, counter="rare"))
    for _ in range(1_000):
        call(IncrementRequest(namespace=namespace, counter="visits"))
    call(IncrementRequest(namespace=namespace, counter="rare"))

    assert revisions(call, ListEntriesRequest(namespace=namespace, counter="rare")) == [1, 1_002]
    assert revisions(call, ListEntriesRequest(namespace=namespace, counter="rare", newest_first=True)) == [1_002, 1]


def test_an_empty_ledger_has_none(call: Caller, namespace: str) -> None:
    page = call(ListEntriesRequest(namespace=namespace))

    assert (list(page.entries), page.next_page_token) == ([], "")


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("page_size", [1, 59, 60, 61, 100])
@pytest.mark.parametrize("counter", ["", "odd"])
def test_pages_may_end_anywhere_in_the_entries_of_a_batch(
    call: Caller, namespace: str, page_size: int, counter: str, *, newest_first: bool
) -> None:
    """The entries of one batch are one entry of the store's stream."""
    made = 0
    for size in (1, 3, 60, 1, 70):
        names = ["odd" if number % 2 else "even" for number in range(made + 1, made + size + 1)]
        operations = [Operation(increment=IncrementRequest(counter=name)) for name in names]
        call(ApplyRequest(namespace=namespace, mode=mode_of(atomic=True), operations=operations))
        made += size
    request = ListEntriesRequest(namespace=namespace, page_size=page_size, newest_first=newest_first, counter=counter)

    listed = revisions(call, request)

    expected = range(1, made + 1, 2 if counter else 1)
    assert listed == list(reversed(expected) if newest_first else expected)
