"""Spells every key and every name in an index. No other Python module does.

A key begins with ``tk:{<namespace>}:``. The braces are a hash tag: on a cluster all keys of a namespace are in one
slot, so that one script may change them together. The namespace comes first, and cannot hold a brace itself, so that a
brace in an item or a counter cannot move the tag.
"""

import re
from functools import lru_cache
from typing import Final

from tallykeeper_server.domain.levels import CounterName, LevelName, ReservationName, ReservationState, StockName
from tallykeeper_server.domain.queries import (
    FindReservations,
    Kind,
    LevelRange,
    ListedReservation,
    ListNames,
    ListReservations,
)

BEGINNINGS: Final = ("tk:{", "tk:namespaces", "tk:agenda", "tk:open-reservations", "tk:page-token-key")
"""The beginnings of all keys: those of each namespace, those of each home, and the one of the page token key."""
REVISIONS_AND_BUCKETS: Final = "tk:{*}:re*"
"""A pattern for SCAN: the keys that ``namespace_and_bucket`` takes apart, and those of reservations."""
REQUEST_BUCKETS: Final = 3
"""The number of request buckets of a namespace: one takes new records, the others keep older ones."""
_LEVELS_BEGIN_WITH: Final[dict[type[LevelName], str]] = {
    StockName: "stock:",
    CounterName: "counter:",
    ReservationName: "reservation:",
}


def namespaces(home: str) -> str:
    """Return the key of the set of all namespaces of a home that were ever changed.

    A home is a part of the store whose keys one script may change together. Where that is the whole store, the home is
    "". A cluster has a home for each slot: a text that lies in the slot (``slots.home_of_slot``).
    """
    return _shared("tk:namespaces", home)


def agenda(home: str) -> str:
    """Return the key of the sorted set of namespaces, by the millisecond at which something is due in them."""
    return _shared("tk:agenda", home)


def open_reservations(home: str) -> str:
    """Return the key of the number of active reservations in all namespaces of a home."""
    return _shared("tk:open-reservations", home)


def page_token_key() -> str:
    """Return the key of the secret that seals page tokens. The store has one for all its namespaces."""
    return "tk:page-token-key"


def _shared(name: str, home: str) -> str:
    return f"{name}:{{{home}}}" if home else name


def prefix(namespace: str) -> str:
    """Return the beginning of all keys of a namespace."""
    return f"tk:{{{namespace}}}:"


def level_prefix(namespace: str, kind: Kind) -> str:
    """Return the beginning of the keys of all levels of one kind. The scripts that read make keys of it."""
    return f"{prefix(namespace)}{kind.value}:"


def level(namespace: str, name: LevelName) -> str:
    """Return the key of a counter or a stock level."""
    return prefix(namespace) + level_suffix(name)


def level_suffix(name: LevelName) -> str:
    """Return the part of a level's key after the prefix, which the ledger calls the level by."""
    return _LEVELS_BEGIN_WITH[type(name)] + name.text


def name_of_suffix(suffix: str) -> LevelName:
    """Return the level that the ledger, or a line of a reservation, calls by a text.

    :raises ValueError: the text is no level's name.
    """
    kind, _, text = suffix.partition(":")
    if kind == "stock":
        location, _, item = text.partition(":")
        return StockName(item, location)
    if kind == "counter":
        return CounterName(text)
    if kind == "reservation":
        return ReservationName(text)
    message = "a line of it does not name a level"
    raise ValueError(message)


def ledger(namespace: str) -> str:
    """Return the key of a namespace's ledger, a stream."""
    return prefix(namespace) + "ledger"


def is_ledger(key: bytes) -> bool:
    """Return whether a key is that of a ledger."""
    return re.fullmatch(rb"tk:\{[^}]*\}:ledger", key) is not None


def revision(namespace: str) -> str:
    """Return the key of a namespace's last revision."""
    return prefix(namespace) + "revision"


def clock(namespace: str) -> str:
    """Return the key of the time that a namespace has reached, and of its current request bucket."""
    return prefix(namespace) + "clock"


def time_of_clock(text: bytes | None) -> int:
    """Return the time of a namespace's clock, in milliseconds since 1970; 0 if it has none.

    :raises ValueError: the script did not write the clock.
    """
    return int(text.partition(b" ")[0]) if text else 0


def index(namespace: str, kind: Kind) -> str:
    """Return the key of the sorted set of a namespace's names of one kind."""
    return f"{prefix(namespace)}index:{kind.value}"


def name_expiry(namespace: str, kind: Kind) -> str:
    """Return the key of the sorted set of names that leave an index, by the millisecond at which they are forgotten."""
    return f"{prefix(namespace)}expiry:{kind.value}"


def due(namespace: str) -> str:
    """Return the key of the sorted set of active reservations by the millisecond at which their time is up."""
    return prefix(namespace) + "expiry"


def request_record(request_id: str, part: int) -> str:
    """Return the field of a request bucket for one part of a batch; empty if it has no request id.

    No request id holds a control character.
    """
    return f"{request_id}\1{part}" if part and request_id else request_id


def request_bucket(namespace: str, bucket: int) -> str:
    """Return the key of one of the hashes of request records, 0 .. REQUEST_BUCKETS - 1."""
    return f"{prefix(namespace)}requests:{bucket}"


def namespace_and_bucket(key: bytes) -> tuple[str, int | None]:
    """Return the namespace of a revision or of a request bucket, and the bucket's number; ("", None) for other keys."""
    found = re.fullmatch(r"tk:\{([^}]*)\}:(?:revision|requests:([0-9]+))", key.decode(errors="replace"))
    return (found[1], None if found[2] is None else int(found[2])) if found else ("", None)


@lru_cache(maxsize=1_024)
def script_keys(namespace: str) -> tuple[str, ...]:
    """Return the keys that the script needs of a namespace, in its order, without the revision and the clock."""
    return (
        ledger(namespace),
        index(namespace, Kind.STOCK),
        index(namespace, Kind.COUNTER),
        index(namespace, Kind.RESERVATION),
        name_expiry(namespace, Kind.COUNTER),
        name_expiry(namespace, Kind.RESERVATION),
        due(namespace),
        *(request_bucket(namespace, bucket) for bucket in range(REQUEST_BUCKETS)),
    )


def listed(name: LevelName) -> bytes:
    """Return a name as its index has it: counters by name, stock by item and then location."""
    if isinstance(name, StockName):
        return f"{name.item}\0{name.location}".encode()
    return name.text.encode()


def name_of_listed(kind: Kind, text: bytes) -> LevelName:
    """Return the name of a level from its text in an index."""
    if kind is Kind.STOCK:
        item, _, location = text.decode().rpartition("\0")
        return StockName(item, location)
    return CounterName(text.decode())


def listed_range(query: ListNames | LevelRange) -> tuple[bytes, bytes]:
    """Return the bounds, as ZRANGE BYLEX takes them, of the names that a query asks for.

    No name holds the byte 0xff, because it never occurs in UTF-8.
    """
    beginning = query.prefix.encode() + (b"\0" if query.whole_item else b"")
    low = b"(" + listed(query.after) if query.after else b"[" + beginning
    return low, b"(" + beginning + b"\xff"


_LISTED_STATES: Final = {
    ReservationState.ACTIVE: "1",
    ReservationState.EXPIRED: "2",
    ReservationState.COMMITTED: "3",
    ReservationState.RELEASED: "4",
}
_STATES_LISTED: Final = {digit: state for state, digit in _LISTED_STATES.items()}


def listed_reservation_of(text: bytes) -> ListedReservation:
    """Return the reservation that the index has as ``text``."""
    digit, _, reservation_id = text.decode().partition("\0")
    return ListedReservation(_STATES_LISTED[digit], reservation_id)


def reservation_range(query: ListReservations) -> tuple[bytes, bytes]:
    """Return the bounds, as ZRANGE BYLEX takes them, of the reservations that a query asks for."""
    return _range_of_states(query.first, query.last, query.after)


def found_reservation_range(query: FindReservations) -> tuple[bytes, bytes]:
    """Return the bounds, as ZRANGE BYLEX takes them, of the reservations that a filtered query must look at.

    The index has a reservation whose time is up among the active ones until it is swept.
    """
    if query.state is None:
        return _range_of_states(ReservationState.ACTIVE, ReservationState.RELEASED, query.after)
    first = ReservationState.ACTIVE if query.state is ReservationState.EXPIRED else query.state
    return _range_of_states(first, query.state, query.after)


def _range_of_states(
    first: ReservationState, last: ReservationState, after: ListedReservation | None
) -> tuple[bytes, bytes]:
    low = f"[{_LISTED_STATES[first]}\0"
    if after:
        low = f"({_LISTED_STATES[after.state]}\0{after.reservation_id}"
    return low.encode(), f"[{_LISTED_STATES[last]}\0".encode() + b"\xff"
