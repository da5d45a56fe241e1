"""The Python client of Tallykeeper: counters and stock that many callers change at once.

    with Client("127.0.0.1:50051", namespace="shop") as client:
        client.increment("visitors")
        client.increment_copies("dune", copies=10)
        try:
            client.decrement_copies("dune", copies=3, reference="order-17")
        except InsufficientStock as error:
            print(f"only {error.available} left")

`AsyncClient` has the same methods, to be awaited. Both retry what met an unreachable service, under the same
request id, until the call's deadline; both raise `TallykeeperError` and its subclasses.

Responses are the generated messages of `tallykeeper.v1`, as the contract describes them: one vocabulary for
every language, and no second set of types to keep in step with it.
"""

from tallykeeper.v1.counter_pb2 import Counter
from tallykeeper.v1.inventory_pb2 import ShortagePolicy, StockKey, StockLevel
from tallykeeper_client.aio_client import AsyncClient
from tallykeeper_client.call import UNCHANGED, Unchanged
from tallykeeper_client.client import Client
from tallykeeper_client.errors import (
    CounterBoundExceeded,
    CounterNotFound,
    DeadlineExceeded,
    InsufficientStock,
    InternalError,
    InvalidField,
    ItemNotFound,
    OutcomeUnknown,
    Overloaded,
    PageTokenInvalid,
    RequestIdReused,
    StockNotEmpty,
    StoreOutOfMemory,
    StoreUnavailable,
    TallykeeperError,
    Unavailable,
    ValueChanged,
    ValueOverflow,
)
from tallykeeper_client.failure import FieldViolation, PreconditionViolation

__all__ = [
    "UNCHANGED",
    "AsyncClient",
    "Client",
    "Counter",
    "CounterBoundExceeded",
    "CounterNotFound",
    "DeadlineExceeded",
    "FieldViolation",
    "InsufficientStock",
    "InternalError",
    "InvalidField",
    "ItemNotFound",
    "OutcomeUnknown",
    "Overloaded",
    "PageTokenInvalid",
    "PreconditionViolation",
    "RequestIdReused",
    "ShortagePolicy",
    "StockKey",
    "StockLevel",
    "StockNotEmpty",
    "StoreOutOfMemory",
    "StoreUnavailable",
    "TallykeeperError",
    "Unavailable",
    "Unchanged",
    "ValueChanged",
    "ValueOverflow",
]
