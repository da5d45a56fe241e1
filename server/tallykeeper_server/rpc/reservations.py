"""ReservationService on the wire."""

from typing import cast

from tallykeeper.v1 import reservation_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import DamagedLevel, Reservation, ReservationState
from tallykeeper_server.domain.queries import FindLevels, FindReservations, ListedReservation
from tallykeeper_server.domain.refusals import damaged, not_found
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.pending import Pending
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import STATE_OF_MESSAGE, reservation_message
from tallykeeper_server.rpc.mutations import apply
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.reservation_changes import ReservationChanges
from tallykeeper_server.rpc.validation import Fields, reservation_name


class ReservationServicer:
    """Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine, changes: ReservationChanges) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)
        self._changes = changes

    def Reserve(self, request: reservation_pb2.ReserveRequest, call: Call) -> Pending[reservation_pb2.ReserveResponse]:
        """Hold copies."""
        return apply(self._engine, self._changes.reserve, request, call)

    def Commit(self, request: reservation_pb2.CommitRequest, call: Call) -> Pending[reservation_pb2.CommitResponse]:
        """Take what is reserved."""
        return apply(self._engine, self._changes.commit, request, call)

    def Release(self, request: reservation_pb2.ReleaseRequest, call: Call) -> Pending[reservation_pb2.ReleaseResponse]:
        """Give back what is reserved."""
        return apply(self._engine, self._changes.release, request, call)

    def Extend(self, request: reservation_pb2.ExtendRequest, call: Call) -> Pending[reservation_pb2.ExtendResponse]:
        """Give a reservation more time."""
        return apply(self._engine, self._changes.extend, request, call)

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
        after = await self._tokens.open(request.page_token, _place_of, *listing, deadline=call.deadline)
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
            place = f"{last.state.name}\0{last.reservation_id}"
            token = await self._tokens.seal(place, *listing, deadline=call.deadline)
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


def _place_of(text: str) -> ListedReservation:
    """Return the reservation at which a page ended.

    :raises ValueError: the text is not that of one.
    """
    state, reservation_id = text.split("\0")
    if state not in ReservationState.__members__:
        message = f"{state} is no state"
        raise ValueError(message)
    return ListedReservation(ReservationState[state], reservation_id)
