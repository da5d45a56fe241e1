"""A reservation: its copies, its holder and its end."""

from dataclasses import dataclass
from typing import Final

from tallykeeper.v1 import reservation_pb2
from tallykeeper.v1.reservation_pb2 import ReservationState

ACTIVE: Final = ReservationState.RESERVATION_STATE_ACTIVE
COMMITTED: Final = ReservationState.RESERVATION_STATE_COMMITTED
RELEASED: Final = ReservationState.RESERVATION_STATE_RELEASED
EXPIRED: Final = ReservationState.RESERVATION_STATE_EXPIRED
LISTED: Final = (ACTIVE, EXPIRED, COMMITTED, RELEASED)
"""The states in the order of listings."""


@dataclass(frozen=True, slots=True)
class HeldLine:
    """Copies of one level, and the number of them that was taken in the end."""

    item: str
    location: str
    copies: int
    committed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Copies that are held until a time, or were held."""

    reservation_id: str
    holder: str
    lines: tuple[HeldLine, ...]
    created_at_ms: int
    expire_at_ms: int
    state: ReservationState = ACTIVE
    resolved_at_ms: int | None = None

    @property
    def message(self) -> reservation_pb2.Reservation:
        """The reservation in the form of replies."""
        shown = reservation_pb2.Reservation(
            reservation_id=self.reservation_id,
            state=self.state,
            holder=self.holder,
            lines=[
                reservation_pb2.ReservationLine(
                    item=line.item, location=line.location, copies=line.copies, copies_committed=line.committed
                )
                for line in self.lines
            ],
        )
        shown.create_time.FromMilliseconds(self.created_at_ms)
        shown.expire_time.FromMilliseconds(self.expire_at_ms)
        if self.resolved_at_ms is not None:
            shown.resolve_time.FromMilliseconds(self.resolved_at_ms)
        return shown
