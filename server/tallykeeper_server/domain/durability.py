"""Durability and retention: what an acknowledged change survives, and how long the store remembers it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Durability(StrEnum):
    """What must be so before a change is acknowledged."""

    FSYNC = "fsync"
    """It is on the primary's disk: it survives a power cut of that machine."""
    REPLICATED = "replicated"
    """Enough replicas have it: it survives the loss of the primary, if one of them takes its place."""
    MEMORY = "memory"
    """Nothing more: it may be lost with the store's process. For caches and tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DurabilityPolicy:
    """The level of each namespace, and what the levels mean here."""

    default: Durability = Durability.FSYNC
    namespaces: Mapping[str, Durability] = field(default_factory=dict)
    """The level of those namespaces that have one of their own."""
    replicas_min: int = 1
    """How many replicas must have a change at level ``replicated``."""
    wait_ms: int = 1_000
    """How long one script call waits for disk or replicas before its callers are told that it is not durable yet."""

    def of(self, namespace: str) -> Durability:
        """Return a namespace's level."""
        return self.namespaces.get(namespace, self.default)

    @property
    def levels(self) -> frozenset[Durability]:
        """All levels that any namespace may have."""
        return frozenset((self.default, *self.namespaces.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are remembered: in milliseconds, the ledger in revisions (0: for ever)."""

    request_ms: int
    ledger_revisions: int
    reservation_ms: int
    """How long a reservation is kept after it has ended."""
    reservation_lifetime_ms: int
    """How long a reservation may live in all."""
