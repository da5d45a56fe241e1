"""Entries of a namespace's ledger, read through the service."""

from typing import Any

from tallykeeper.v1.counter_pb2 import Counter
from tallykeeper.v1.ledger_pb2 import CounterChange, Entry, EntryLine, ListEntriesRequest, StockChange
from tests.support.client import Caller

_PAGE_SIZE_MAX = 1_000


def entries_of(call: Caller, namespace: str, *, request_id: str = "") -> list[Entry]:
    """Return all entries, or those of one request id, the oldest first."""
    request = ListEntriesRequest(namespace=namespace, request_id=request_id, page_size=_PAGE_SIZE_MAX)
    return [entry for page in call.pages(request) for entry in page.entries]


def counter_line(counter: str, value_change: int = 0, after: Counter | None = None) -> EntryLine:
    """Return the line of a counter. Without a counter after it, the line says that the counter was deleted."""
    return EntryLine(counter=CounterChange(counter=counter, value_change=value_change, after=after))


def stock_line(item: str, location: str = "main", **change: Any) -> EntryLine:  # noqa: ANN401  # fields of StockChange
    """Return the line of a stock level. ``change`` without fields after the change is the deletion of the level."""
    return EntryLine(stock=StockChange(item=item, location=location, **change))
