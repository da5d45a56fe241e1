"""Durability and retention: what an acknowledged change survives, and how long the store remembers it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Durability(StrEnum):
    """The condition that must hold before a change is acknowledged."""

    FSYNC = "fsync"
    """The change is on the primary's disk: it survives a power cut of that machine."""
    REPLICATED = "replicated"
    """Enough replicas have the change: it survives the loss of the primary, if one of them becomes the primary."""
    MEMORY = "memory"
    """No condition: the change may be lost with the store's process. For caches and tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DurabilityPolicy:
    """The level of each namespace, and the parameters of the levels."""

    default: Durability = Durability.FSYNC
    namespaces: Mapping[str, Durability] = field(default_factory=dict)
    """The namespaces that have another level than the default."""
    replicas_min: int = 1
    """The replicas that must have a change at level ``replicated``."""
    wait_ms: int = 1_000
    """The time that one script call waits for the disk or for replicas, before its callers get NOT_DURABLE_YET."""

    def of(self, namespace: str) -> Durability:
        """Return a namespace's level."""
        return self.namespaces.get(namespace, self.default)

    @property
    def levels(self) -> frozenset[Durability]:
        """All levels that any namespace has."""
        return frozenset((self.default, *self.namespaces.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The times for which the store remembers, in milliseconds; the ledger has a length in revisions (0: no limit)."""

    request_ms: int
    ledger_revisions: int
    reservation_ms: int
    """The time for which a reservation is kept after it has ended."""
    reservation_lifetime_ms: int
    """The longest life of a reservation, with all its extensions."""
