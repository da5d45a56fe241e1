"""The script's refusals, in words for the person who reads the error."""

from collections.abc import Mapping, Sequence
from itertools import starmap
from typing import Final

from tallykeeper_server.domain.errors import LevelDamagedError, RefusedError, RefusedLine
from tallykeeper_server.domain.levels import CounterName, DamagedLevel, LevelName, ReservationName, StockName
from tallykeeper_server.domain.mutations import Mutation, Refused

_LINES_SHOWN_MAX: Final = 20
_LINES_BYTES_MAX: Final = 4_500
"""The most bytes of the lines in an error: they travel as base64, and gRPC's trailers hold 8 KiB."""
_LINES_IN_MESSAGE_MAX: Final = 3
_MESSAGE_BYTES_MAX: Final = 400
"""The length of a message, in bytes, from which on it describes no further line."""
_OVERHEAD_BYTES: Final = 8
"""The approximate bytes that a name and a value take in addition to their own."""

_REASONS_OF_LINES: Final = frozenset({"INSUFFICIENT_STOCK", "COMMIT_EXCEEDS_RESERVED"})
"""The reasons that the operations of reservations give for each line that they concern."""

_SENTENCES: Final = {
    "COMMIT_EXCEEDS_RESERVED": (
        "the commit takes {requested} copies of {item!r} at {location!r}, of which {reserved} are reserved"
    ),
    "COUNTER_BOUND_EXCEEDED": "counter {counter!r}: {value} {change}is outside its bounds {min} .. {max}",
    "COUNTER_NOT_FOUND": "there is no counter {counter!r}",
    "INSUFFICIENT_STOCK": (
        "{requested} copies of {item!r} at {location!r} were asked for and {available} are available"
        " (backorder limit {backorder_limit})"
    ),
    "ITEM_NOT_FOUND": "there is no stock of {item!r} at {location!r}",
    "REQUEST_ID_REUSED": "this request_id came before with another body; use a new one for each new request",
    "RESERVATION_COMMITTED": "reservation {reservation_id!r} has been committed",
    "RESERVATION_EXISTS": "there is a reservation {reservation_id!r} already; choose another id",
    "RESERVATION_EXPIRED": "reservation {reservation_id!r} has expired; what it held can be taken by others",
    "RESERVATION_LIFETIME_EXCEEDED": (
        "reservation {reservation_id!r} would live {lifetime_ms} ms from its beginning; {lifetime_ms_max} ms are"
        " allowed"
    ),
    "RESERVATION_NOT_FOUND": "there is no reservation {reservation_id!r}",
    "RESERVATION_RELEASED": "reservation {reservation_id!r} has been released",
    "STOCK_BELOW_RESERVED": (
        "{item!r} at {location!r} has {reserved} copies reserved, more than {on_hand} on hand and the backorder limit"
        " {backorder_limit} allow; set allow_below_reserved to record this count"
    ),
    "STOCK_NOT_EMPTY": (
        "{item!r} at {location!r} still has {on_hand} copies on hand and {reserved} reserved; only an empty"
        " level can be deleted"
    ),
    "VALUE_CHANGED": "the value is {actual} and not {expected} as expected",
    "VALUE_OVERFLOW": "the result would leave the range of numbers, -(2^53-1) .. 2^53-1 ({facts})",
}
_NOT_FOUND: Final = {CounterName: "COUNTER_NOT_FOUND", StockName: "ITEM_NOT_FOUND"}


def refusal_of(mutation: Mutation, refused: Refused) -> RefusedError:
    """Return the error for a mutation that the script refused."""
    if refused.reason == "REQUEST_ID_REUSED" and isinstance(mutation.levels[0], ReservationName):
        return refusal(refused.reason, {})  # the server may have chosen its id
    if not refused.lines:
        return refusal(refused.reason, {**mutation.levels[0].facts, **refused.facts})
    lines = [_line_of(mutation, refused.reason, facts) for facts in refused.lines]
    if refused.reason not in _REASONS_OF_LINES or not mutation.operation.startswith("reservation_"):
        return RefusedError(refused.reason, lines[0].sentence, lines[0].facts, lines)
    shown = lines[:_LINES_SHOWN_MAX]
    while len(shown) > 1 and sum(map(_size_of, shown)) > _LINES_BYTES_MAX:
        del shown[-1]
    facts = dict(shown[0].facts)
    for number, line in enumerate(shown[1:], 2):
        facts |= {f"{name}_{number}": value for name, value in line.facts.items()}
    return RefusedError(refused.reason, _message_of(shown, len(lines)), {**facts, "lines": str(len(lines))}, shown)


def refusal(reason: str, facts: Mapping[str, str]) -> RefusedError:
    """Return the error for a refusal, with its values and the names of its levels."""
    return RefusedError(reason, _sentence_of(reason, facts), facts)


def not_found(name: LevelName) -> RefusedError:
    """Return the error for a level that a query asked for and that does not exist."""
    return refusal(_NOT_FOUND.get(type(name), "RESERVATION_NOT_FOUND"), name.facts)


def damaged(level: DamagedLevel) -> LevelDamagedError:
    """Return the error for a level that a query asked for and that cannot be read."""
    name = level.name
    if isinstance(name, StockName):
        subject = f"{name.item!r} at {name.location!r}"
    else:
        subject = f"{'counter' if isinstance(name, CounterName) else 'reservation'} {name.text!r}"
    return LevelDamagedError(subject, level.damage, name.facts)


def total_overflow(item: str) -> RefusedError:
    """Return the error for an item whose levels add up to more than a number may be."""
    reason = "VALUE_OVERFLOW"
    return refusal(reason, {"item": item})


def item_not_found(item: str) -> RefusedError:
    """Return the error for an item that has no level at any location."""
    reason = "ITEM_NOT_FOUND"
    message = f"there is no stock of {item!r} at any location"
    return RefusedError(reason, message, {"item": item})


def _line_of(mutation: Mutation, reason: str, facts: Mapping[str, str]) -> RefusedLine:
    about = {**mutation.levels[int(facts["line"]) - 1].facts, **facts}
    del about["line"]
    return RefusedLine(_sentence_of(reason, about), about)


def _size_of(line: RefusedLine) -> int:
    """Return the approximate size in bytes of a line in an error: its metadata, its sentence, and twice its level."""
    facts = sum(len(name) + len(value.encode()) + _OVERHEAD_BYTES for name, value in line.facts.items())
    level = sum(len(line.facts.get(name, "").encode()) for name in ("item", "location"))
    return facts + 2 * (level + _OVERHEAD_BYTES) + len(line.sentence.encode())


def _message_of(shown: Sequence[RefusedLine], count: int) -> str:
    sentences = [shown[0].sentence]
    for line in shown[1:_LINES_IN_MESSAGE_MAX]:
        if sum(len(sentence.encode()) for sentence in sentences) + len(line.sentence.encode()) <= _MESSAGE_BYTES_MAX:
            sentences.append(line.sentence)
    untold = count - len(sentences)
    return "; ".join(sentences) + (f"; and {untold} lines more" if untold > 0 else "")


def _sentence_of(reason: str, facts: Mapping[str, str]) -> str:
    """Return a sentence for a refusal. ``facts`` are the script's values and the names of the levels."""
    change = f"changed by {facts['delta']} " if "delta" in facts else ""
    listed = ", ".join(starmap("{} {}".format, facts.items()))
    optional = {"min": "(none)", "max": "(none)", "change": change, "facts": listed}
    return _SENTENCES[reason].format_map(optional | dict(facts))
