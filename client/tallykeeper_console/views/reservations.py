"""The rows of reservations, with the time that is left of each open one."""

from typing import Final

from tallykeeper_client import Reservation, ReservationState
from tallykeeper_console.views import figures
from tallykeeper_console.views.paged_list import KEY, Row

COLUMNS: Final = (
    ("reservation", "Reservation"),
    ("state", "State"),
    ("remaining", "Remaining"),
    ("holder", "Holder"),
    ("lines", "Copies"),
    ("created", "Created"),
    ("ends", "Ends"),
)
STATES: Final = {
    "Open": ReservationState.RESERVATION_STATE_ACTIVE,
    "Committed": ReservationState.RESERVATION_STATE_COMMITTED,
    "Released": ReservationState.RESERVATION_STATE_RELEASED,
    "Expired": ReservationState.RESERVATION_STATE_EXPIRED,
    "All": ReservationState.RESERVATION_STATE_UNSPECIFIED,
}
"""The states to choose from, by the words of the page."""

LINES_SHOWN_MAX: Final = 3
"""The number of lines of a reservation that its row names; the others are counted."""

_SIGNS: Final = {
    ReservationState.RESERVATION_STATE_ACTIVE: "● open",
    ReservationState.RESERVATION_STATE_COMMITTED: "✔ committed",
    ReservationState.RESERVATION_STATE_RELEASED: "↩ released",
    ReservationState.RESERVATION_STATE_EXPIRED: "○ expired",
}


def reservation_row(reservation: Reservation, *, now: float) -> Row:
    """Return the row of a reservation; ``now`` is in seconds since 1970."""
    is_open = reservation.state == ReservationState.RESERVATION_STATE_ACTIVE and not reservation.HasField("damage")
    return {
        KEY: reservation.reservation_id,
        "reservation": reservation.reservation_id,
        "state": "✖ damaged"
        if reservation.HasField("damage")
        else _SIGNS.get(reservation.state, "a state that this console does not know"),
        "is_open": is_open,
        "expires_at": figures.seconds_of(reservation.expire_time),
        "remaining": remaining(figures.seconds_of(reservation.expire_time), now=now) if is_open else "",
        "share": share(reservation, now=now) if is_open else 0.0,
        "holder": reservation.holder,
        "lines": lines(reservation),
        "created": figures.moment(reservation.create_time),
        "ends": figures.moment(
            reservation.resolve_time if reservation.resolve_time.seconds else reservation.expire_time
        ),
    }


def remaining(expires_at: float, *, now: float) -> str:
    """Write the time until a reservation expires. A reservation can be due before the server has recorded its end."""
    return figures.length(expires_at - now) if expires_at > now else "due"


def share(reservation: Reservation, *, now: float) -> float:
    """Return the part of a reservation's life that is left, from 0 to 1."""
    begin, end = figures.seconds_of(reservation.create_time), figures.seconds_of(reservation.expire_time)
    return min(max((end - now) / (end - begin), 0.0), 1.0) if end > begin else 0.0


def lines(reservation: Reservation) -> str:
    """Name the copies of a reservation, as in ``2 × dune @ main``."""
    named = [
        f"{figures.number(line.copies)} × {line.item} @ {line.location}" for line in reservation.lines[:LINES_SHOWN_MAX]
    ]
    others = len(reservation.lines) - len(named)
    return ", ".join(named) + (f" and {others} more" if others else "")
