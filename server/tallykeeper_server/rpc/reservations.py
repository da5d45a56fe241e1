"""The methods of ReservationService: reads of the servicer, and mutations as rows of the table of operations."""

import uuid
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, Protocol, cast

from tallykeeper.v1 import reservation_pb2
from tallykeeper.v1.ledger_pb2 import OperationKind
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
from tallykeeper_server.access.roles import Role
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.levels import DamagedLevel, Reservation, ReservationName, ReservationState, StockName
from tallykeeper_server.domain.mutations import Applied
from tallykeeper_server.domain.queries import FindLevels, FindReservations, ListedReservation
from tallykeeper_server.domain.refusals import damaged, not_found
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import STATE_OF_MESSAGE, reservation_message
from tallykeeper_server.rpc.mutations import Body, MutationSpec, ReadContext
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.validation import Fields, reservation_name, stock_name

_CHOSEN_ID_BYTES: Final = 16


class ReservationServicer:
    """The reads of ReservationService. Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)

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
    """Return the message of a reservation. One that cannot be read has the field ``damage``."""
    if isinstance(reservation, DamagedLevel):
        return reservation_pb2.Reservation(reservation_id=reservation.name.text, damage=reservation.damage)
    return reservation_message(reservation, reservation.state)


def _cursor_of(text: str) -> ListedReservation:
    """Return the reservation at which a page ended.

    :raises ValueError: the text is not a cursor of reservations.
    """
    state, reservation_id = text.split("\0")
    if state not in ReservationState.__members__:
        message = f"{state} is no state"
        raise ValueError(message)
    return ListedReservation(ReservationState[state], reservation_id)


def _read_reserve(request: ReserveRequest, fields: Fields, context: ReadContext) -> Body:
    reservation_id = fields.optional_name("reservation_id", request.reservation_id)
    fields.count("lines", len(request.lines), limits.RESERVATION_LINES_MAX)
    lines = _summed(request.lines, fields)
    ttl_ms = _ttl_ms(request, fields, context)
    holder = fields.optional_name("holder", request.holder, limits.HOLDER_BYTES_MAX)
    name = ReservationName(reservation_id or _chosen_id(context))
    return (name, *lines), (ttl_ms, holder, *lines.values())


def _read_commit(request: CommitRequest, fields: Fields, _: ReadContext) -> Body:
    name = reservation_name(request.reservation_id, fields)
    if request.lines:
        fields.count("lines", len(request.lines), limits.RESERVATION_LINES_MAX)
    lines = _summed(request.lines, fields)
    return (name, *lines), tuple(lines.values())


def _read_release(request: ReleaseRequest, fields: Fields, _: ReadContext) -> Body:
    return (reservation_name(request.reservation_id, fields),), ()


def _read_extend(request: ExtendRequest, fields: Fields, context: ReadContext) -> Body:
    return (reservation_name(request.reservation_id, fields),), (_ttl_ms(request, fields, context),)


def _ttl_ms(request: ReserveRequest | ExtendRequest, fields: Fields, context: ReadContext) -> int:
    *_, most_ms = context
    if not request.HasField("ttl"):
        return min(limits.RESERVATION_TTL_MS_DEFAULT, most_ms)
    return fields.duration_ms("ttl", request.ttl, most_ms)


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


def _chosen_id(context: ReadContext) -> str:
    """Return an id for a reservation: for a request id always the same, without a request id a new one."""
    namespace, request_id, index, _ = context
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


MUTATIONS: Final[tuple[MutationSpec[Any, Any], ...]] = (
    MutationSpec(
        rpc="ReservationService.Reserve",
        field="reserve",
        operation="reservation_reserve",
        kind=OperationKind.OPERATION_KIND_RESERVE,
        role=Role.WRITE,
        read=_read_reserve,
        response=ReserveResponse,
        fill=_fill,
    ),
    MutationSpec(
        rpc="ReservationService.Commit",
        field="commit",
        operation="reservation_commit",
        kind=OperationKind.OPERATION_KIND_COMMIT,
        role=Role.WRITE,
        read=_read_commit,
        response=CommitResponse,
        fill=_fill,
        resolves=True,
    ),
    MutationSpec(
        rpc="ReservationService.Release",
        field="release",
        operation="reservation_release",
        kind=OperationKind.OPERATION_KIND_RELEASE,
        role=Role.WRITE,
        read=_read_release,
        response=ReleaseResponse,
        fill=_fill,
        resolves=True,
    ),
    MutationSpec(
        rpc="ReservationService.Extend",
        field="extend",
        operation="reservation_extend",
        kind=OperationKind.OPERATION_KIND_EXTEND,
        role=Role.WRITE,
        read=_read_extend,
        response=ExtendResponse,
        fill=_fill,
    ),
)
"""The rows of the table of operations for this service."""
