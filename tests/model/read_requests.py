"""Random valid reads and listings of the few names that the mutations use."""

from typing import Any, Final

from hypothesis import strategies as st

from tallykeeper.v1 import counter_pb2, inventory_pb2, ledger_pb2, reservation_pb2
from tests.model.requests import (
    COUNTERS,
    HOLDERS,
    ITEMS,
    LOCATIONS,
    REFERENCES,
    REQUEST_IDS,
    RESERVATIONS,
    copies,
    counter_names,
    items,
    locations,
    small_copies,
)

page_sizes: Final = st.sampled_from((1, 2, 100))
prefixes: Final = st.sampled_from(("", "dune:", "visit"))

_stock_keys = st.builds(inventory_pb2.StockKey, item=items, location=locations)
_at_a_location = st.builds(
    inventory_pb2.AvailabilityLine, item=items, location=locations, copies=st.none() | small_copies | copies
)
_anywhere = st.builds(
    inventory_pb2.AvailabilityLine,
    item=items,
    copies=st.none() | small_copies | copies,
    any_location=st.just(value=True),
)
reads: Final = st.one_of(
    st.builds(counter_pb2.GetCounterRequest, counter=counter_names),
    st.builds(counter_pb2.BatchGetCountersRequest, counters=st.lists(counter_names, min_size=1, max_size=4)),
    st.builds(inventory_pb2.GetStockRequest, item=items, location=locations),
    st.builds(inventory_pb2.BatchGetStockRequest, keys=st.lists(_stock_keys, min_size=1, max_size=4)),
    st.builds(inventory_pb2.GetItemRequest, item=items),
    st.builds(
        inventory_pb2.CheckAvailabilityRequest, lines=st.lists(_at_a_location | _anywhere, min_size=1, max_size=4)
    ),
    st.builds(reservation_pb2.GetReservationRequest, reservation_id=st.sampled_from(RESERVATIONS)),
    st.builds(ledger_pb2.LookupRequestRequest, request_id=st.sampled_from(REQUEST_IDS)),
)

stock_listings: Final = st.builds(
    inventory_pb2.ListStockRequest, item_prefix=prefixes, location=locations, page_size=page_sizes
) | st.builds(
    inventory_pb2.ListStockRequest, item_prefix=prefixes, any_location=st.just(value=True), page_size=page_sizes
)

reservation_listings: Final = st.builds(
    reservation_pb2.ListReservationsRequest,
    holder=st.sampled_from(HOLDERS),
    item=st.sampled_from(("", *ITEMS)),
    state=st.sampled_from(reservation_pb2.ReservationState.values()),
    page_size=page_sizes,
)

_FILTERS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "item": st.sampled_from(ITEMS),
    "counter": st.sampled_from(COUNTERS),
    "location": st.sampled_from(LOCATIONS),
    "reservation_id": st.sampled_from(RESERVATIONS),
    "operation": st.sampled_from(ledger_pb2.OperationKind.values()),
    "reference": st.sampled_from(REFERENCES),
    "request_id": st.sampled_from(REQUEST_IDS),
}


@st.composite
def entry_listings(draw: st.DrawFn) -> ledger_pb2.ListEntriesRequest:
    """Listings of entries with none to three filters."""
    names = draw(st.lists(st.sampled_from(sorted(_FILTERS)), unique=True, max_size=3))
    filters = {name: draw(_FILTERS[name]) for name in names}
    return ledger_pb2.ListEntriesRequest(newest_first=draw(st.booleans()), page_size=draw(page_sizes), **filters)


@st.composite
def watches(draw: st.DrawFn) -> ledger_pb2.WatchRequest:
    """Watches of everything, or of some names."""
    if draw(st.booleans()):
        return ledger_pb2.WatchRequest()
    watched_items = draw(st.lists(st.sampled_from(ITEMS), unique=True))
    return ledger_pb2.WatchRequest(
        items=watched_items,
        counters=draw(st.lists(st.sampled_from(COUNTERS), unique=True)),
        reservation_ids=draw(st.lists(st.sampled_from(RESERVATIONS), unique=True)),
        locations=draw(st.lists(st.sampled_from(LOCATIONS), max_size=1)) if watched_items else [],
    )
