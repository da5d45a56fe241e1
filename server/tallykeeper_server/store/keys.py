"""Every key, and every name in an index, is spelled here and nowhere else in Python.

A key begins with ``tk:{<namespace>}:``. The braces are a hash tag: on a cluster all keys of a namespace are in
one slot, so that one script may change them together. The namespace comes first, and cannot hold a brace
itself, so that a brace in an item or a counter cannot move the tag.
"""

from typing import Final

from tallykeeper_server.domain.levels import CounterName, LevelName, StockName
from tallykeeper_server.domain.queries import Kind, ListNames

NAMESPACES: Final = "tk:namespaces"
"""A set of the namespaces that have ever been changed, outside of all of them."""


def prefix(namespace: str) -> str:
    """Return what all keys of a namespace begin with."""
    return f"tk:{{{namespace}}}:"


def level(namespace: str, name: LevelName) -> str:
    """Return the key of a counter or a stock level."""
    return prefix(namespace) + level_suffix(name)


def level_suffix(name: LevelName) -> str:
    """Return what follows the prefix in a level's key: what the ledger calls it by."""
    if isinstance(name, StockName):
        return f"stock:{name.location}:{name.item}"
    return f"counter:{name.counter}"


def ledger(namespace: str) -> str:
    """Return the key of a namespace's ledger, a stream."""
    return prefix(namespace) + "ledger"


def revision(namespace: str) -> str:
    """Return the key of a namespace's last revision."""
    return prefix(namespace) + "revision"


def index(namespace: str, kind: Kind) -> str:
    """Return the key of the sorted set of a namespace's names of one kind."""
    return f"{prefix(namespace)}index:{kind.value}"


def counter_expiry(namespace: str) -> str:
    """Return the key of the sorted set of counters by the millisecond at which they expire."""
    return prefix(namespace) + "expiry:counter"


def request_bucket(namespace: str, bucket: int) -> str:
    """Return the key of the hash of request records of one span of Redis's time."""
    return f"{prefix(namespace)}requests:{bucket}"


def script_keys(namespace: str, buckets: range) -> list[str]:
    """Return the keys that the script needs of a namespace, in its order, the revision aside."""
    return [
        ledger(namespace),
        index(namespace, Kind.STOCK),
        index(namespace, Kind.COUNTER),
        counter_expiry(namespace),
        *(request_bucket(namespace, bucket) for bucket in buckets),
    ]


def listed(name: LevelName) -> bytes:
    """Return how a name stands in its index: counters by name, stock by item and then location."""
    if isinstance(name, StockName):
        return f"{name.item}\0{name.location}".encode()
    return name.counter.encode()


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
