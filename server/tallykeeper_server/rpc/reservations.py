"""ReservationService on the wire."""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeAlias, cast

from tallykeeper.v1 import reservation_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import DamagedLevel, Reservation, ReservationName, ReservationState
from tallykeeper_server.domain.queries import GetLevels, GetTime, ListedReservation, ListReservations
from tallykeeper_server.domain.refusals import damaged, not_found
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.rpc.calls import Call
from tallykeeper_server.rpc.fields import Fields
from tallykeeper_server.rpc.level_messages import STATE_OF_MESSAGE, reservation_message
from tallykeeper_server.rpc.level_names import reservation_name
from tallykeeper_server.rpc.mutating import apply
from tallykeeper_server.rpc.pages import open_page_token, seal_page_token
from tallykeeper_server.rpc.reservation_changes import ReservationChanges

_LIST_SCANS_MAX: Final = 10
"""How many ranges of the index one page reads at most before it is returned short."""
_LIST_SCAN_MAX: Final = 500


_Found: TypeAlias = tuple[Reservation, ReservationState] | DamagedLevel | None
"""A reservation and what it is now; None where there is none."""


class ReservationServicer:
    """Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine, changes: ReservationChanges) -> None:
        self._engine = engine
        self._changes = changes

    def Reserve(
        self, request: reservation_pb2.ReserveRequest, call: Call
    ) -> Awaitable[reservation_pb2.ReserveResponse]:
        """Hold copies."""
        return apply(self._engine, self._changes.reserve, request, call)

    def Commit(self, request: reservation_pb2.CommitRequest, call: Call) -> Awaitable[reservation_pb2.CommitResponse]:
        """Take what is reserved."""
        return apply(self._engine, self._changes.commit, request, call)

    def Release(
        self, request: reservation_pb2.ReleaseRequest, call: Call
    ) -> Awaitable[reservation_pb2.ReleaseResponse]:
        """Give back what is reserved."""
        return apply(self._engine, self._changes.release, request, call)

    def Extend(self, request: reservation_pb2.ExtendRequest, call: Call) -> Awaitable[reservation_pb2.ExtendResponse]:
        """Give a reservation more time."""
        return apply(self._engine, self._changes.extend, request, call)

    async def GetReservation(
        self, request: reservation_pb2.GetReservationRequest, call: Call
    ) -> reservation_pb2.GetReservationResponse:
        """Read one reservation."""
        fields = Fields()
        name = reservation_name(request.reservation_id, fields)
        query = GetLevels(fields.namespace(request.namespace), (name,), fields.min_revision(request.min_revision))
        fields.check()
        (found,) = await self._read(query, call.deadline)
        if found is None:
            raise not_found(name)
        if isinstance(found, DamagedLevel):
            raise damaged(found)
        return reservation_pb2.GetReservationResponse(reservation=reservation_message(*found))

    async def ListReservations(
        self, request: reservation_pb2.ListReservationsRequest, call: Call
    ) -> reservation_pb2.ListReservationsResponse:
        """List reservations by holder, item and state, a page at a time."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        holder = fields.text("holder", request.holder, limits.HOLDER_BYTES_MAX)
        item = fields.text("item", request.item, limits.NAME_BYTES_MAX)
        fields.enum("state", request.state, reservation_pb2.ReservationState)
        page_size = fields.page_size(request.page_size)
        fields.check()
        listing = ("reservations", namespace, holder, item, str(request.state))
        after = open_page_token(request.page_token, _place_of, *listing)
        first, last = _states_to_read(STATE_OF_MESSAGE.get(request.state))

        page = _Page(page_size)
        scan = page_size if not holder and not item else _LIST_SCAN_MAX
        for _ in range(_LIST_SCANS_MAX):
            query = ListReservations(namespace, first, last, after=after, limit=scan)
            places = await self._engine.ask(query, deadline=call.deadline)
            names = tuple(ReservationName(each.reservation_id) for each in places)
            found = await self._read(GetLevels(namespace, names), call.deadline)
            for place, each in zip(places, found, strict=True):
                if isinstance(each, DamagedLevel):
                    page.add_damaged(each)
                elif each and _passes(each[0], holder, item) and _is_in(each[1], request.state):
                    page.add(*each)
                after = place
                if page.is_full:
                    break
            else:
                if len(places) < scan:
                    after = None
            if after is None or page.is_full:
                break
        token = seal_page_token(f"{after.state.name}\0{after.reservation_id}", *listing) if after else ""
        return reservation_pb2.ListReservationsResponse(reservations=page.reservations, next_page_token=token)

    async def _read(self, query: GetLevels, deadline: float) -> list[_Found]:
        """Return reservations and what they are now."""
        levels, now_ms = await asyncio.gather(
            self._engine.ask(query, deadline=deadline),
            self._engine.ask(GetTime(query.namespace), deadline=deadline),
        )
        reservations = cast("list[Reservation | DamagedLevel | None]", levels)
        return [(each, each.state_at(now_ms)) if isinstance(each, Reservation) else each for each in reservations]


class _Page:
    """The reservations of one page."""

    def __init__(self, size: int) -> None:
        self.reservations: list[reservation_pb2.Reservation] = []
        self._size = size
        self._lines = 0

    @property
    def is_full(self) -> bool:
        """Whether it has as many reservations as are wanted, or as many lines as one answer may have."""
        return len(self.reservations) >= self._size or self._lines >= limits.ANSWER_LINES_MAX

    def add(self, reservation: Reservation, state: ReservationState) -> None:
        """Add one in the state that it is in."""
        self.reservations.append(reservation_message(reservation, state))
        self._lines += len(reservation.lines)

    def add_damaged(self, level: DamagedLevel) -> None:
        """Add a mark for one that cannot be read, and so may be of any holder, item and state."""
        self.reservations.append(reservation_pb2.Reservation(reservation_id=level.name.text, damage=level.damage))


def _states_to_read(state: ReservationState | None) -> tuple[ReservationState, ReservationState]:
    """Return from which state to which the list is read. What has expired may stand among what is active."""
    if state is None:
        return ReservationState.ACTIVE, ReservationState.RELEASED
    return ReservationState.ACTIVE if state is ReservationState.EXPIRED else state, state


def _passes(reservation: Reservation, holder: str, item: str) -> bool:
    return (not holder or reservation.holder == holder) and (
        not item or any(line.name.item == item for line in reservation.lines)
    )


def _is_in(state: ReservationState, wanted: int) -> bool:
    return STATE_OF_MESSAGE.get(wanted, state) is state


def _place_of(text: str) -> ListedReservation:
    """Return the reservation at which a page ended.

    :raises ValueError: the text is not that of one.
    """
    state, reservation_id = text.split("\0")
    if state not in ReservationState.__members__:
        message = f"{state} is no state"
        raise ValueError(message)
    return ListedReservation(ReservationState[state], reservation_id)
