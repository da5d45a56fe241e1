"""A namespace's ledger, as the service gives it."""

from tallykeeper.v1.ledger_pb2 import Entry, ListEntriesRequest
from tests.calling import Caller

_PAGE_SIZE_MAX = 1_000


def entries_of(call: Caller, namespace: str, *, request_id: str = "") -> list[Entry]:
    """Return all entries, or those of one request id, the oldest first."""
    request = ListEntriesRequest(namespace=namespace, request_id=request_id, page_size=_PAGE_SIZE_MAX)
    return [entry for page in call.pages(request) for entry in page.entries]
