"""How long things are remembered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are remembered: in milliseconds, the ledger in revisions (0: for ever)."""

    request_ms: int
    ledger_revisions: int
    reservation_ms: int
    """How long a reservation is kept after it has ended."""
    reservation_lifetime_ms: int
    """How long a reservation may live in all."""
