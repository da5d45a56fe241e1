"""The lists that come in pages: their calls, the contents of their pages, and the way to the next page.

The clients send the calls and read the pages.
"""

import inspect
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
    """A request of any list."""

    page_token: str


@dataclass(frozen=True, slots=True)
class Listing(Generic[P, PageT, EachT]):
    """A list: the function that builds its call, the function that returns the contents of a page, and their type."""

    build: Callable[Concatenate[Defaults, P], Call[PageT]]
    on_page: Callable[[PageT], Iterable[EachT]]
    kind: type[EachT]

    def document(self, method: Callable[..., object], iterator: object) -> None:
        """Give a client's method that reads all pages its name, docstring and signature.

        The docstring has the arguments, the errors and the example of the method that reads one page.
        """
        listing = self.build.__name__
        page = inspect.cleandoc(self.build.__doc__ or "")
        arguments = page[page.index("Args:") : page.index("Returns:")]
        errors_and_example = page[page.index("Raises:") :]
        text = (
            f"Yield everything that `{listing}` lists, and read one page after another.\n\n"
            "The size and the timeout hold for each page. The listing begins with the page of the token.\n\n"
            f"{arguments}Yields:\n    Each {self.kind.__name__} of each page.\n\n{errors_and_example}"
        )
        document(method, self.build, name=listing.replace("list_", "iterate_"), text=text, returns=iterator)


def turn(call: Call[PageT], page: PageT) -> bool:
    """Change the call so that it asks for the page after ``page``. Return False if that was the last page."""
    cast("_PageRequest", call.request).page_token = page.next_page_token
    return bool(page.next_page_token)


COUNTERS: Final = Listing(CounterReads.list_counters.build, lambda page: page.counters, Counter)
STOCK: Final = Listing(InventoryReads.list_stock.build, lambda page: page.stock_levels, StockLevel)
RESERVATIONS: Final = Listing(ReservationReads.list_reservations.build, lambda page: page.reservations, Reservation)
ENTRIES: Final = Listing(LedgerReads.list_entries.build, lambda page: page.entries, Entry)
NAMESPACES: Final = Listing(NamespaceReads.list_namespaces.build, lambda page: page.namespaces, Namespace)
