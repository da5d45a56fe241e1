"""The calls of ReservationService: for each method, a function that builds its request.

The clients turn each function with `Rpc` into a method. A client passes its own defaults as the first argument.
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
        """Reserve the copies of all lines, or of none.

        Nobody else can take reserved copies until the reservation is committed or released, or expires.

        Args:
            lines: The copies to reserve, 1 to 100 lines. A line without copies reserves 1. Lines that name the same
                level are added up.
            reservation_id: The reservation's id, at most 128 bytes of UTF-8 without control characters. If it is empty,
                the server chooses one.
            ttl: The time until the reservation expires, 1 ms to 30 days unless the server allows another maximum. None
                means 15 minutes.
            holder: The customer or basket for which the copies are reserved, at most 128 bytes of UTF-8.
                `list_reservations` can list by it.
            **options: See `MutationOptions`.

        Returns:
            The ``reservation``.

        Raises:
            InsufficientStock: There are not enough copies. Its ``lines`` names the levels that are short.
            ReservationExists: Another reservation has this id.
            ValueOverflow: More than 2^53-1 copies of a level would be reserved.

        Example:
            >>> client.set_stock("dune", 5).stock_level.available
            5
            >>> basket = client.reserve([StockLine(item="dune", copies=2)], holder="ann").reservation
            >>> client.get_stock("dune").stock_level.available
            3
            >>> client.commit(basket.reservation_id).reservation.lines[0].copies_committed
            2

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
        """Take the copies that are reserved: all of them, or those of some lines. The other copies are given back.

        Args:
            reservation_id: The reservation's id, 1 to 128 bytes of UTF-8 without control characters.
            lines: The copies to take, 1 to 100 lines. None means all reserved copies.
            **options: See `MutationOptions`.

        Returns:
            The ``reservation`` after the change.

        Raises:
            ReservationNotFound: No reservation has this id.
            ReservationCommitted: The reservation has been committed before.
            ReservationReleased: The reservation has been released before.
            ReservationExpired: The reservation has expired.
            CommitExceedsReserved: Lines name more copies than are reserved. None was taken.
            ValueError: ``lines`` is empty. The server would take all reserved copies.

        Example:
            >>> client.set_stock("dune", 5).stock_level.available
            5
            >>> basket = client.reserve([StockLine(item="dune", copies=3)], reservation_id="basket-7").reservation
            >>> committed = client.commit("basket-7", lines=[StockLine(item="dune", copies=1)])
            >>> client.get_stock("dune").stock_level.on_hand
            4

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
        """Give back the copies that are reserved.

        Args:
            reservation_id: The reservation's id, 1 to 128 bytes of UTF-8 without control characters.
            **options: See `MutationOptions`.

        Returns:
            The ``reservation`` after the change.

        Raises:
            ReservationNotFound: No reservation has this id.
            ReservationCommitted: The reservation has been committed before.
            ReservationReleased: The reservation has been released before.
            ReservationExpired: The reservation has expired.

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
        """Give an active reservation more time. It never expires earlier than before.

        Args:
            reservation_id: The reservation's id, 1 to 128 bytes of UTF-8 without control characters.
            ttl: The time until the reservation expires, from now: 1 ms to 30 days unless the server allows another
                maximum. None means 15 minutes.
            **options: See `MutationOptions`.

        Returns:
            The ``reservation`` after the change.

        Raises:
            ReservationNotFound: No reservation has this id.
            ReservationCommitted: The reservation has been committed before.
            ReservationReleased: The reservation has been released before.
            ReservationExpired: The reservation has expired.
            ReservationLifetimeExceeded: The reservation would live longer, from its beginning, than the server allows.

        """
        request = pb.ExtendRequest(reservation_id=reservation_id, ttl=ttl)
        return mutation(defaults, "ReservationService/Extend", request, pb.ExtendResponse, **options)


class ReservationReads:
    """The reads of ReservationService."""

    @Rpc
    def get_reservation(
        defaults: Defaults, reservation_id: str, *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.GetReservationResponse]:
        """Read a reservation. The server keeps a reservation for some time after it has ended, 7 days by default.

        Args:
            reservation_id: The reservation's id, 1 to 128 bytes of UTF-8 without control characters.
            min_revision: The least revision at which the response must be true, such as the revision of your last
                change. 0 means any.
            **options: See `ReadOptions`.

        Returns:
            The ``reservation``, and the ``revision`` at which it is so.

        Raises:
            ReservationNotFound: No reservation has this id.
            RevisionAhead: The namespace has not reached ``min_revision``, so the store has lost changes.

        """
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
        """Read one page of the reservations that pass all given filters. The active reservations come first.

        Args:
            holder: The holder of the reservations. An empty text means any holder.
            item: The item of a line of the reservations. An empty text means any item.
            state: The state of the reservations. ``RESERVATION_STATE_UNSPECIFIED`` means any state.
            page_size: The maximum number on the page. 0 means 100, and more than 1,000 means 1,000.
            page_token: The ``next_page_token`` of the page before, from a call with the same arguments. An empty text
                asks for the first page.
            **options: See `ReadOptions`.

        Returns:
            The ``reservations`` of the page, and the ``revision`` at which they are so. ``next_page_token`` is empty on
            the last page. A page may be short or empty and not be the last.

        Raises:
            PageTokenInvalid: The token belongs to another listing.

        Example:
            >>> client.set_stock("dune", 5).stock_level.available
            5
            >>> reserved = client.reserve([StockLine(item="dune")], reservation_id="basket-7", holder="ann")
            >>> [reservation.reservation_id for reservation in client.iterate_reservations(holder="ann")]
            ['basket-7']

        """
        request = pb.ListReservationsRequest(
            holder=holder, item=item, state=state, page_size=page_size, page_token=page_token
        )
        return read(defaults, "ReservationService/ListReservations", request, pb.ListReservationsResponse, **options)
