"""ReservationService on the wire."""

import uuid
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Protocol, cast

from tallykeeper.v1 import reservation_pb2
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
from tallykeeper_server.domain.levels import DamagedLevel, Reservation, ReservationName, ReservationState, StockName
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.domain.queries import FindLevels, FindReservations, ListedReservation
from tallykeeper_server.domain.refusals import damaged, not_found
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.pending import Pending
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import STATE_OF_MESSAGE, reservation_message
from tallykeeper_server.rpc.mutations import Body, MutationSpec, Origin, apply
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.validation import Fields, reservation_name, stock_name

_CHOSEN_ID_BYTES: Final = 16


class ReservationSpecs:
    """The mutations of a server that lets reservations live for so long."""

    def __init__(self, *, lifetime_ms_max: int) -> None:
        self._lifetime_ms_max = lifetime_ms_max
        self.reserve: Final = MutationSpec("reservation_reserve", self._read_reserve, ReserveResponse, _fill)
        self.commit: Final = MutationSpec("reservation_commit", _read_commit, CommitResponse, _fill, resolves=True)
        self.release: Final = MutationSpec("reservation_release", _read_release, ReleaseResponse, _fill, resolves=True)
        self.extend: Final = MutationSpec("reservation_extend", self._read_extend, ExtendResponse, _fill)

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
    for index, line in enumerate(lines):
        within = fields.within(f"lines[{index}].")
        name = stock_name(line, within)
        copies[name] = copies.get(name, 0) + within.copies(line)
        if copies[name] > limits.INTEGER_MAX >= line.copies:
            within.refuse("copies", f"makes {copies[name]} of this level together; 1 .. 2^53-1 is allowed")
    return copies


def _chosen_id(origin: Origin) -> str:
    """Return a reservation's id: the same one for the same request id, and else one that nothing has."""
    namespace, request_id, index = origin
    if not request_id:
        return uuid.uuid4().hex
    text = f"{namespace}\0{request_id}\0{index}"
    return blake2b(text.encode(), digest_size=_CHOSEN_ID_BYTES).hexdigest()


class _HasReservation(Protocol):
    @property
    def reservation(self) -> ReservationMessage: ...


def _fill(response: _HasReservation, applied: Applied) -> None:
    reservation = cast("Reservation", applied.levels[0])
    response.reservation.CopyFrom(reservation_message(reservation, reservation.state))


class ReservationServicer:
    """Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine, specs: ReservationSpecs) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)
        self._specs = specs

    def Reserve(self, request: reservation_pb2.ReserveRequest, call: Call) -> Pending[reservation_pb2.ReserveResponse]:
        """Hold copies."""
        return apply(self._engine, self._specs.reserve, request, call)

    def Commit(self, request: reservation_pb2.CommitRequest, call: Call) -> Pending[reservation_pb2.CommitResponse]:
        """Take what is reserved."""
        return apply(self._engine, self._specs.commit, request, call)

    def Release(self, request: reservation_pb2.ReleaseRequest, call: Call) -> Pending[reservation_pb2.ReleaseResponse]:
        """Give back what is reserved."""
        return apply(self._engine, self._specs.release, request, call)

    def Extend(self, request: reservation_pb2.ExtendRequest, call: Call) -> Pending[reservation_pb2.ExtendResponse]:
        """Give a reservation more time."""
        return apply(self._engine, self._specs.extend, request, call)

    async def GetReservation(
        self, request: reservation_pb2.GetReservationRequest, call: Call
    ) -> reservation_pb2.GetReservationResponse:
        """Read one reservation."""
        fields = Fields()
        name = reservation_name(request.reservation_id, fields)
        query = FindLevels(
            namespace=fields.namespace(request.namespace),
            names=(name,),
            min_revision=fields.min_revision(request.min_revision),
        )
        fields.check()
        found = await self._engine.ask(query, deadline=call.deadline)
        if not found.levels:
            raise not_found(name)
        reservation = cast("Reservation | DamagedLevel", found.levels[0])
        if isinstance(reservation, DamagedLevel):
            raise damaged(reservation)
        return reservation_pb2.GetReservationResponse(reservation=_message_of(reservation), revision=found.revision)

    async def ListReservations(
        self, request: reservation_pb2.ListReservationsRequest, call: Call
    ) -> reservation_pb2.ListReservationsResponse:
        """List reservations by holder, item and state, a page at a time."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        holder = fields.optional_name("holder", request.holder, limits.HOLDER_BYTES_MAX)
        item = fields.optional_name("item", request.item)
        fields.enum("state", request.state, reservation_pb2.ReservationState)
        page_size = fields.page_size(request.page_size)
        fields.check()
        listing = ("reservations", namespace, holder, item, str(request.state))
        after = await self._tokens.open(request.page_token, _cursor_of, *listing, deadline=call.deadline)
        query = FindReservations(
            namespace=namespace,
            state=STATE_OF_MESSAGE.get(request.state),
            holder=holder,
            item=item,
            after=after,
            limit=page_size,
        )
        found = await self._engine.ask(query, deadline=call.deadline)
        last = found.after
        token = ""
        if last:
            cursor = f"{last.state.name}\0{last.reservation_id}"
            token = await self._tokens.seal(cursor, *listing, deadline=call.deadline)
        return reservation_pb2.ListReservationsResponse(
            reservations=map(_message_of, found.reservations),
            next_page_token=token,
            revision=found.revision,
        )


def _message_of(reservation: Reservation | DamagedLevel) -> reservation_pb2.Reservation:
    """Return the message of a reservation, or a mark for one that cannot be read."""
    if isinstance(reservation, DamagedLevel):
        return reservation_pb2.Reservation(reservation_id=reservation.name.text, damage=reservation.damage)
    return reservation_message(reservation, reservation.state)


def _cursor_of(text: str) -> ListedReservation:
    """Return the reservation at which a page ended.

    :raises ValueError: the text is not that of one.
    """
    state, reservation_id = text.split("\0")
    if state not in ReservationState.__members__:
        message = f"{state} is no state"
        raise ValueError(message)
    return ListedReservation(ReservationState[state], reservation_id)
