"""The rows of namespaces."""

from typing import Final

from tallykeeper.v1.namespace_pb2 import Durability, Namespace
from tallykeeper_console.views import addresses, figures
from tallykeeper_console.views.paged_list import KEY, Row

COLUMNS: Final = (
    ("namespace", "Namespace"),
    ("revision", "Revision"),
    ("stock_levels", "Stock levels"),
    ("counters", "Counters"),
    ("reservations", "Open reservations"),
    ("ledger", "Ledger from"),
    ("durability", "Durability"),
    ("retention", "Request ids kept"),
)


def namespace_row(namespace: Namespace) -> Row:
    """Return the row of a namespace."""
    return {
        KEY: namespace.namespace,
        "href": addresses.page(namespace.namespace, "stock"),
        "namespace": namespace.namespace,
        "revision": namespace.revision,
        "stock_levels": namespace.stock_level_count,
        "counters": namespace.counter_count,
        "reservations": namespace.active_reservation_count,
        "ledger": namespace.oldest_revision,
        "durability": f"✖ {namespace.damage}"
        if namespace.HasField("damage")
        else durability_word(namespace.durability),
        "retention": figures.duration(namespace.request_retention),
    }


def durability_word(durability: Durability) -> str:
    """Name what an acknowledged change survives, as in ``fsync``."""
    return Durability.Name(durability).removeprefix("DURABILITY_").lower()
