"""The state of a server: its store, the promises that the store keeps, and the use of everything with a limit.

It holds values only. `store` and `app` find them, and `rpc` puts them on the wire.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from tallykeeper_server.domain.durability import Durability

NEAR_FRACTION: Final = 0.8
"""The fraction of a limit from which the limit is near. The last fifth leaves time to act: a store that fills evenly
for a month has six days left, and a certificate of 90 days has 18."""


class StoreKind(StrEnum):
    """The form in which a store runs."""

    EMBEDDED = "embedded"
    NODE = "node"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class LimitUse:
    """The use of something that has a limit."""

    name: str
    """The thing, such as ``connections``."""
    used: int
    limit: int
    unit: str = ""
    """The unit of both numbers, ``bytes`` or ``seconds``; empty for a count."""

    @property
    def is_near(self) -> bool:
        """True if the limit is near."""
        return self.used >= NEAR_FRACTION * self.limit


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica of a node."""

    address: str
    is_online: bool
    lag_seconds: int
    """The time since the replica last answered its primary."""
    lag_bytes: int
    """The bytes of changes that it has not confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendOnlyFile:
    """The append-only file of a node."""

    is_enabled: bool
    sync_policy: str
    """``always``, ``everysec``, ``no`` or ``unknown``."""
    write_succeeded: bool
    """Whether the last write has succeeded."""
    rewrite_succeeded: bool
    """Whether the last rewrite has succeeded, or there was none."""
    delayed_syncs: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """The state of a node that takes changes."""

    address: str
    """Empty if the store has only one primary."""
    software: str = ""
    memory_bytes: int = 0
    memory_bytes_max: int = 0
    """0 if there is no limit."""
    clients: int = 0
    clients_max: int = 0
    """0 if the node does not say."""
    append_only_file: AppendOnlyFile | None = None
    replicas: tuple[Replica, ...] = ()
    fault: str = ""
    """The reason why the node is away; then the other fields have no values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The promise of one level of durability, and whether the store keeps it."""

    durability: Durability
    is_default: bool
    namespaces: tuple[str, ...]
    """The namespaces that the settings name for this level."""
    reasons: tuple[str, ...]
    """The reasons why it is not kept; empty if it is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """The state of a store."""

    nodes: tuple[NodeStatus, ...]
    promises: tuple[Promise, ...]
    request_ids: int | None
    """The number of request ids that it remembers; None if they were not counted."""
    fault: str = ""
    """The reason why its primaries are not known; empty if they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """The state of a server, seen from one of its workers."""

    version: str
    uptime_seconds: float
    workers: int
    worker: int
    worker_uptime_seconds: float
    certificate_ends_at: float | None
    """The end of the certificate in seconds since 1970; None without TLS."""
    store_kind: StoreKind
    store_location: str
    """The data directory, or the URL without users and passwords."""
    store: StoreStatus
    limits: Sequence[LimitUse]


class StatusSource(Protocol):
    """A source of the state of this server."""

    async def status(self, *, seconds: float) -> ServerStatus:
        """Return the state. The store has at most a number of ``seconds`` to answer."""
