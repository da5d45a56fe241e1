"""The mutations of reservations on the wire."""

import uuid
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Protocol, cast

from tallykeeper.v1.reservation_pb2 import (
    CommitRequest,
    CommitResponse,
    ExtendRequest,
    ExtendResponse,
    ReleaseRequest,
    ReleaseResponse,
    ReserveRequest,
    ReserveResponse,
    StockLine,
)
from tallykeeper.v1.reservation_pb2 import (
    Reservation as ReservationMessage,
)
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import Reservation, ReservationName, StockName
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.rpc.messages import reservation_message
from tallykeeper_server.rpc.mutations import Body, Change, Origin
from tallykeeper_server.rpc.validation import Fields, reservation_name, stock_name

_CHOSEN_ID_BYTES: Final = 16


class ReservationChanges:
    """The mutations of a server that lets reservations live for so long."""

    def __init__(self, *, lifetime_ms_max: int) -> None:
        self._lifetime_ms_max = lifetime_ms_max
        self.reserve: Final = Change("reservation_reserve", self._read_reserve, ReserveResponse, _fill)
        self.commit: Final = Change("reservation_commit", _read_commit, CommitResponse, _fill, resolves=True)
        self.release: Final = Change("reservation_release", _read_release, ReleaseResponse, _fill, resolves=True)
        self.extend: Final = Change("reservation_extend", self._read_extend, ExtendResponse, _fill)

    def _read_reserve(self, request: ReserveRequest, fields: Fields, origin: Origin) -> Body:
        reservation_id = fields.optional_name("reservation_id", request.reservation_id)
        fields.count("lines", len(request.lines), limits.RESERVATION_LINES_MAX)
        lines = _summed(request.lines, fields)
        ttl_ms = self._ttl_ms(request, fields)
        holder = fields.optional_name("holder", request.holder, limits.HOLDER_BYTES_MAX)
        name = ReservationName(reservation_id or _chosen_id(origin))
        return (name, *lines), (ttl_ms, holder, *lines.values())

    def _read_extend(self, request: ExtendRequest, fields: Fields, _: Origin) -> Body:
        return (reservation_name(request.reservation_id, fields),), (self._ttl_ms(request, fields),)

    def _ttl_ms(self, request: ReserveRequest | ExtendRequest, fields: Fields) -> int:
        if not request.HasField("ttl"):
            return min(limits.RESERVATION_TTL_MS_DEFAULT, self._lifetime_ms_max)
        return fields.duration_ms("ttl", request.ttl, self._lifetime_ms_max)


def _read_commit(request: CommitRequest, fields: Fields, _: Origin) -> Body:
    name = reservation_name(request.reservation_id, fields)
    if request.lines:
        fields.count("lines", len(request.lines), limits.RESERVATION_LINES_MAX)
    lines = _summed(request.lines, fields)
    return (name, *lines), tuple(lines.values())


def _read_release(request: ReleaseRequest, fields: Fields, _: Origin) -> Body:
    return (reservation_name(request.reservation_id, fields),), ()


def _summed(lines: Sequence[StockLine], fields: Fields) -> dict[StockName, int]:
    """Return the copies of each level, in the order in which the lines first name them."""
    copies: dict[StockName, int] = {}
    for place, line in enumerate(lines):
        within = fields.within(f"lines[{place}].")
        name = stock_name(line, within)
        copies[name] = copies.get(name, 0) + within.copies(line)
        if copies[name] > limits.INTEGER_MAX >= line.copies:
            within.refuse("copies", f"makes {copies[name]} of this level together; 1 .. 2^53-1 is allowed")
    return copies


def _chosen_id(origin: Origin) -> str:
    """Return a reservation's id: the same one for the same request id, and else one that nothing has."""
    namespace, request_id, place = origin
    if not request_id:
        return uuid.uuid4().hex
    text = f"{namespace}\0{request_id}\0{place}"
    return blake2b(text.encode(), digest_size=_CHOSEN_ID_BYTES).hexdigest()


class _HasReservation(Protocol):
    @property
    def reservation(self) -> ReservationMessage: ...


def _fill(response: _HasReservation, applied: Applied) -> None:
    reservation = cast("Reservation", applied.levels[0])
    response.reservation.CopyFrom(reservation_message(reservation, reservation.state))
