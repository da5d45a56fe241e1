"""Lists that come in pages: which there are, what is on their pages, and how to turn to the next one.

The clients send the calls, and go through the pages.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Concatenate, Final, Generic, ParamSpec, Protocol, TypeAlias, TypeVar, cast

from tallykeeper.v1.counter_pb2 import Counter, ListCountersResponse
from tallykeeper.v1.inventory_pb2 import ListStockResponse, StockLevel
from tallykeeper.v1.ledger_pb2 import Entry, ListEntriesResponse
from tallykeeper.v1.namespace_pb2 import ListNamespacesResponse, Namespace
from tallykeeper.v1.reservation_pb2 import ListReservationsResponse, Reservation
from tallykeeper_client._calls.base import Call, Defaults, document
from tallykeeper_client._calls.counters import CounterReads
from tallykeeper_client._calls.inventory import InventoryReads
from tallykeeper_client._calls.ledger import LedgerReads
from tallykeeper_client._calls.namespaces import NamespaceReads
from tallykeeper_client._calls.reservations import ReservationReads

Page: TypeAlias = (
    ListCountersResponse | ListEntriesResponse | ListNamespacesResponse | ListReservationsResponse | ListStockResponse
)

PageT = TypeVar("PageT", bound=Page)
EachT = TypeVar("EachT")
P = ParamSpec("P")


class _PageRequest(Protocol):
    """What the request of every list has."""

    page_token: str


@dataclass(frozen=True, slots=True)
class Listing(Generic[P, PageT, EachT]):
    """One list: the function that builds its call, what is on a page, and of which type each of it is."""

    build: Callable[Concatenate[Defaults, P], Call[PageT]]
    on_page: Callable[[PageT], Iterable[EachT]]
    kind: type[EachT]

    def document(self, method: Callable[..., object], iterator: object) -> None:
        """Give a client's method that goes through all pages its name, text and signature."""
        listing = self.build.__name__
        text = (
            f"Go through all that `{listing}` lists, asking for one page after another.\n\n"
            "The arguments are the same; the timeout is that of each page, and a page token says where to begin."
        )
        document(method, self.build, name=listing.replace("list_", "iterate_"), text=text, returns=iterator)


def turn(call: Call[PageT], page: PageT) -> bool:
    """Let the call ask for what follows on ``page``; False if that was the last."""
    cast("_PageRequest", call.request).page_token = page.next_page_token
    return bool(page.next_page_token)


COUNTERS: Final = Listing(CounterReads.list_counters.build, lambda page: page.counters, Counter)
STOCK: Final = Listing(InventoryReads.list_stock.build, lambda page: page.stock_levels, StockLevel)
RESERVATIONS: Final = Listing(ReservationReads.list_reservations.build, lambda page: page.reservations, Reservation)
ENTRIES: Final = Listing(LedgerReads.list_entries.build, lambda page: page.entries, Entry)
NAMESPACES: Final = Listing(NamespaceReads.list_namespaces.build, lambda page: page.namespaces, Namespace)
