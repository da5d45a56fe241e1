"""Every key, and every name in an index, is spelled here and nowhere else in Python.

A key begins with ``tk:{<namespace>}:``. The braces are a hash tag: on a cluster all keys of a namespace are in
one slot, so that one script may change them together. The namespace comes first, and cannot hold a brace
itself, so that a brace in an item or a counter cannot move the tag.
"""

from functools import lru_cache
from typing import Final

from tallykeeper_server.domain.levels import CounterName, LevelName, ReservationName, ReservationState, StockName
from tallykeeper_server.domain.queries import Kind, ListedReservation, ListNames, ListReservations

NAMESPACES: Final = "tk:namespaces"
"""A set of the namespaces that have ever been changed, outside of all of them."""
BEGINNINGS: Final = ("tk:{", NAMESPACES)
"""What each key of Tallykeeper begins with, one or the other."""
_LEVELS_BEGIN_WITH: Final[dict[type[LevelName], str]] = {
    StockName: "stock:",
    CounterName: "counter:",
    ReservationName: "reservation:",
}


def prefix(namespace: str) -> str:
    """Return what all keys of a namespace begin with."""
    return f"tk:{{{namespace}}}:"


def level(namespace: str, name: LevelName) -> str:
    """Return the key of a counter or a stock level."""
    return prefix(namespace) + level_suffix(name)


def level_suffix(name: LevelName) -> str:
    """Return what follows the prefix in a level's key: what the ledger calls it by."""
    return _LEVELS_BEGIN_WITH[type(name)] + name.text


def name_of_suffix(suffix: str) -> LevelName:
    """Return the level that the ledger, or a reservation's line, calls so.

    :raises ValueError: it is the name of no level.
    """
    kind, _, text = suffix.partition(":")
    if kind == "stock":
        location, _, item = text.partition(":")
        return StockName(item, location)
    if kind == "counter":
        return CounterName(text)
    if kind == "reservation":
        return ReservationName(text)
    message = f"{suffix!r} is no level's name"
    raise ValueError(message)


def ledger(namespace: str) -> str:
    """Return the key of a namespace's ledger, a stream."""
    return prefix(namespace) + "ledger"


def revision(namespace: str) -> str:
    """Return the key of a namespace's last revision."""
    return prefix(namespace) + "revision"


def index(namespace: str, kind: Kind) -> str:
    """Return the key of the sorted set of a namespace's names of one kind."""
    return f"{prefix(namespace)}index:{kind.value}"


def name_expiry(namespace: str, kind: Kind) -> str:
    """Return the key of the sorted set of what leaves an index, by the millisecond at which Redis forgets it."""
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
    """Return the key of the hash of request records of one span of Redis's time."""
    return f"{prefix(namespace)}requests:{bucket}"


@lru_cache(maxsize=1_024)  # they are the same for hours
def script_keys(namespace: str, buckets: range) -> tuple[str, ...]:
    """Return the keys that the script needs of a namespace, in its order, the revision aside."""
    return (
        ledger(namespace),
        index(namespace, Kind.STOCK),
        index(namespace, Kind.COUNTER),
        index(namespace, Kind.RESERVATION),
        name_expiry(namespace, Kind.COUNTER),
        name_expiry(namespace, Kind.RESERVATION),
        due(namespace),
        *(request_bucket(namespace, bucket) for bucket in buckets),
    )


def listed(name: LevelName) -> bytes:
    """Return how a name stands in its index: counters by name, stock by item and then location."""
    if isinstance(name, StockName):
        return f"{name.item}\0{name.location}".encode()
    return name.text.encode()


def name_of_listed(kind: Kind, text: bytes) -> LevelName:
    """Return the name that stands in the index as ``text``."""
    if kind is Kind.STOCK:
        item, _, location = text.decode().rpartition("\0")
        return StockName(item, location)
    return CounterName(text.decode())


def listed_range(query: ListNames) -> tuple[bytes, bytes]:
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
    """Return the reservation that stands in the index as ``text``."""
    digit, _, reservation_id = text.decode().partition("\0")
    return ListedReservation(_STATES_LISTED[digit], reservation_id)


def reservation_range(query: ListReservations) -> tuple[bytes, bytes]:
    """Return the bounds, as ZRANGE BYLEX takes them, of the reservations that a query asks for."""
    low = f"[{_LISTED_STATES[query.first]}\0"
    if query.after:
        low = f"({_LISTED_STATES[query.after.state]}\0{query.after.reservation_id}"
    return low.encode(), f"[{_LISTED_STATES[query.last]}\0".encode() + b"\xff"
