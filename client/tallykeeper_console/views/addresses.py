"""The addresses of the pages. Names stand in the query, because an item may hold any character."""

from typing import Final
from urllib.parse import urlencode

PAGES: Final = {
    "stock": "Stock",
    "counters": "Counters",
    "reservations": "Reservations",
    "ledger": "Ledger",
    "activity": "Activity",
    "verify": "Verify",
}
"""The pages of a namespace: the last part of the address, and the title."""

NAMESPACES: Final = "/namespaces"


def page(namespace: str, page_name: str, /, **query: str) -> str:
    """Return the address of a page of a namespace. Empty values are left out of the query."""
    given = {key: value for key, value in query.items() if value}
    return f"/{namespace}/{page_name}" + (f"?{urlencode(given)}" if given else "")
