"""The calls of ReservationService: what each takes, and the request that it becomes.

Each function with `Rpc` becomes a method of the clients. A client passes its own defaults as the first argument.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Unpack

from tallykeeper.v1 import reservation_pb2 as pb
from tallykeeper_client._calls.base import Call, Defaults, MutationOptions, ReadOptions, Rpc, mutation, read


class ReservationMutations:
    """The mutations of ReservationService."""

    @Rpc
    def reserve(
        defaults: Defaults,
        lines: Iterable[pb.StockLine],
        *,
        reservation_id: str = "",
        ttl: timedelta | None = None,
        holder: str = "",
        **options: Unpack[MutationOptions],
    ) -> Call[pb.ReserveResponse]:
        """Hold the copies of 1 to 100 lines, all of them or none, for ``ttl``: 1 ms to 30 days, 15 minutes if None.

        A line that names no copies is of one. The server chooses the id if none is given. ``holder`` is whom it is
        for, to list by. Raises `InsufficientStock`, whose ``lines`` name each level that is short,
        `ReservationExists` if the id is taken, and `ValueOverflow`.
        """
        request = pb.ReserveRequest(reservation_id=reservation_id, lines=lines, ttl=ttl, holder=holder)
        return mutation(defaults, "ReservationService/Reserve", request, pb.ReserveResponse, **options)

    @Rpc
    def commit(
        defaults: Defaults,
        reservation_id: str,
        *,
        lines: Iterable[pb.StockLine] | None = None,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.CommitResponse]:
        """Take what is reserved: everything if ``lines`` is None, else what they name, and give back the rest.

        Raises `ReservationNotFound`, `ReservationCommitted`, `ReservationReleased` or `ReservationExpired` if it is not
        active, and `CommitExceedsReserved` if lines name more than is reserved. No lines in an iterable are a
        ValueError: the contract would take them for everything.
        """
        request = pb.CommitRequest(reservation_id=reservation_id, lines=lines)
        if lines is not None and not request.lines:
            message = "lines names nothing to take: release the reservation, or pass None to take everything"
            raise ValueError(message)
        return mutation(defaults, "ReservationService/Commit", request, pb.CommitResponse, **options)

    @Rpc
    def release(
        defaults: Defaults, reservation_id: str, **options: Unpack[MutationOptions]
    ) -> Call[pb.ReleaseResponse]:
        """Give back what is reserved.

        Raises `ReservationNotFound`, `ReservationCommitted`, `ReservationReleased` or `ReservationExpired` if it is not
        active.
        """
        request = pb.ReleaseRequest(reservation_id=reservation_id)
        return mutation(defaults, "ReservationService/Release", request, pb.ReleaseResponse, **options)

    @Rpc
    def extend(
        defaults: Defaults,
        reservation_id: str,
        *,
        ttl: timedelta | None = None,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.ExtendResponse]:
        """Let a reservation end ``ttl`` from now, 1 ms to 30 days, 15 minutes if None; never sooner than it would.

        Raises `ReservationNotFound`, `ReservationCommitted`, `ReservationReleased` or `ReservationExpired` if it is not
        active, and `ReservationLifetimeExceeded` if it would live longer than the server allows.
        """
        request = pb.ExtendRequest(reservation_id=reservation_id, ttl=ttl)
        return mutation(defaults, "ReservationService/Extend", request, pb.ExtendResponse, **options)


class ReservationReads:
    """The reads of ReservationService."""

    @Rpc
    def get_reservation(
        defaults: Defaults, reservation_id: str, *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.GetReservationResponse]:
        """Read a reservation; one that has ended is kept for a while. Raises `ReservationNotFound`."""
        request = pb.GetReservationRequest(reservation_id=reservation_id, min_revision=min_revision)
        return read(defaults, "ReservationService/GetReservation", request, pb.GetReservationResponse, **options)

    @Rpc
    def list_reservations(
        defaults: Defaults,
        *,
        holder: str = "",
        item: str = "",
        state: pb.ReservationState = pb.RESERVATION_STATE_UNSPECIFIED,
        page_size: int = 0,
        page_token: str = "",
        **options: Unpack[ReadOptions],
    ) -> Call[pb.ListReservationsResponse]:
        """Read one page of the reservations for a holder, of an item and in a state, where these are given.

        Active ones come first.

        ``page_size`` is at most 1,000; 0 means 100. ``page_token`` is the ``next_page_token`` of the page before;
        that of the last page is empty. Raises `PageTokenInvalid` if the token belongs to another listing.
        """
        request = pb.ListReservationsRequest(
            holder=holder, item=item, state=state, page_size=page_size, page_token=page_token
        )
        return read(defaults, "ReservationService/ListReservations", request, pb.ListReservationsResponse, **options)
