"""The rows of stock levels and counters, and the state of each in a sign and a word."""

from collections.abc import Sequence
from typing import Final

from tallykeeper_client import Counter, StockLevel
from tallykeeper_console.views import addresses, figures
from tallykeeper_console.views.paged_list import KEY, Row

STOCK_COLUMNS: Final = (
    ("item", "Item"),
    ("location", "Location"),
    ("state", "State"),
    ("on_hand", "On hand"),
    ("reserved", "Reserved"),
    ("available", "Available"),
    ("trend", "Last change"),
    ("safety_stock", "Safety stock"),
    ("backorder_limit", "Backorder limit"),
    ("low_stock_threshold", "Low from"),
)
COUNTER_COLUMNS: Final = (
    ("counter", "Counter"),
    ("state", "State"),
    ("value", "Value"),
    ("min", "Minimum"),
    ("max", "Maximum"),
    ("expires", "Expires"),
    ("trend", "Last change"),
)
DAMAGED: Final = "✖ damaged"


def stock_state(level: StockLevel) -> str:
    """Name the state of a stock level. The sign before the word differs in its shape, not only in its color."""
    if level.HasField("damage"):
        return DAMAGED
    if level.short_copies:
        return f"✖ short by {figures.number(level.short_copies)}"
    if level.available <= 0:
        return "○ out"
    if level.low_stock_threshold and level.available <= level.low_stock_threshold:
        return "◐ low"
    return "● in stock"


def counter_state(counter: Counter) -> str:
    """Name the state of a counter: whether it has reached a bound."""
    if counter.HasField("damage"):
        return DAMAGED
    if counter.HasField("max") and counter.value >= counter.max:
        return "▲ at maximum"
    if counter.HasField("min") and counter.value <= counter.min:
        return "▼ at minimum"
    return "● counting"


def stock_row(namespace: str, level: StockLevel) -> Row:
    """Return the row of a stock level."""
    return {
        KEY: f"{level.item}\0{level.location}",
        "href": addresses.page(namespace, "item", name=level.item),
        "item": level.item,
        "location": level.location,
        "state": stock_state(level),
        "on_hand": level.on_hand,
        "reserved": level.reserved,
        "available": level.available,
        "safety_stock": figures.optional(level.safety_stock, present=level.safety_stock != 0),
        "backorder_limit": figures.optional(level.backorder_limit, present=level.backorder_limit != 0),
        "low_stock_threshold": figures.optional(level.low_stock_threshold, present=level.low_stock_threshold != 0),
        "trend": "",
    }


def counter_row(namespace: str, counter: Counter) -> Row:
    """Return the row of a counter."""
    return {
        KEY: counter.counter,
        "href": addresses.page(namespace, "counter", name=counter.counter),
        "counter": counter.counter,
        "state": counter_state(counter),
        "value": counter.value,
        "min": figures.optional(counter.min, present=counter.HasField("min")),
        "max": figures.optional(counter.max, present=counter.HasField("max")),
        "expires": figures.moment(counter.expire_time),
        "trend": "",
    }


class Trends:
    """The last change of a number that was seen in each row of a page."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._before: dict[str, Row] = {}
        self._texts: dict[str, str] = {}

    def mark(self, rows: Sequence[Row]) -> None:
        """Write into each row its change since the last call, or its earlier change if it has not changed.

        Rows that are not given are forgotten, so that this never holds more than a page.
        """
        texts = {}
        for row in rows:
            before = self._before.get(row[KEY])
            change = row[self._field] - before[self._field] if before else 0
            row["trend"] = figures.trend(change) or self._texts.get(row[KEY], "")
            texts[row[KEY]] = row["trend"]
        self._texts = texts
        self._before = {row[KEY]: row for row in rows}
