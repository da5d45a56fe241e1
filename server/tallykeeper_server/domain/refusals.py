"""What the script's refusals mean, in words for the person who reads the error."""

from collections.abc import Mapping
from typing import Final

from tallykeeper_server.domain.errors import RefusedError
from tallykeeper_server.domain.levels import LevelName, StockName

_SENTENCES: Final = {
    "COUNTER_BOUND_EXCEEDED": "counter {counter!r}: {value} {change}is outside its bounds {min} .. {max}",
    "COUNTER_NOT_FOUND": "there is no counter {counter!r}",
    "INSUFFICIENT_STOCK": (
        "{requested} copies of {item!r} at {location!r} were asked for and {available} are available"
        " (backorder limit {backorder_limit})"
    ),
    "ITEM_NOT_FOUND": "there is no stock of {item!r} at {location!r}",
    "REQUEST_ID_REUSED": "this request_id came before with another body; use a new one for each new request",
    "STOCK_NOT_EMPTY": (
        "{item!r} at {location!r} still has {on_hand} copies on hand and {reserved} reserved; only an empty"
        " level can be deleted"
    ),
    "VALUE_CHANGED": "the value is {actual} and not {expected} as expected",
    "VALUE_OVERFLOW": "the result would leave the range of numbers, -(2^53-1) .. 2^53-1 ({facts})",
}


def _sentence_of(reason: str, facts: Mapping[str, str]) -> str:
    """Say what a refusal means. ``facts`` are those of the script and the names of what it was about."""
    change = f"changed by {facts['delta']} " if "delta" in facts else ""
    listed = ", ".join(f"{name} {value}" for name, value in facts.items())
    optional = {"min": "(none)", "max": "(none)", "change": change, "facts": listed}
    return _SENTENCES[reason].format_map(optional | dict(facts))


def not_found(name: LevelName) -> RefusedError:
    """Return the error for a level that a query asked for and that is not there."""
    reason = "ITEM_NOT_FOUND" if isinstance(name, StockName) else "COUNTER_NOT_FOUND"
    return refusal(reason, name.facts)


def total_overflow(item: str) -> RefusedError:
    """Return the error for an item whose levels add up to more than a number may be."""
    reason = "VALUE_OVERFLOW"
    return refusal(reason, {"item": item})


def item_not_found(item: str) -> RefusedError:
    """Return the error for an item that has no level at any location."""
    reason = "ITEM_NOT_FOUND"
    message = f"there is no stock of {item!r} at any location"
    return RefusedError(reason, message, {"item": item})


def refusal(reason: str, facts: Mapping[str, str]) -> RefusedError:
    """Return the error for a refusal of the script's."""
    return RefusedError(reason, _sentence_of(reason, facts), facts)
