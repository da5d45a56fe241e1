"""The calls of InventoryService: what each takes, and the request that it becomes.

Each function with `Rpc` becomes a method of the clients. A client passes its own defaults as the first argument.
An empty location means ``main``.
"""

from collections.abc import Iterable
from typing import Unpack

from tallykeeper.v1 import inventory_pb2 as pb
from tallykeeper_client._calls.base import (
    UNCHANGED,
    Call,
    Defaults,
    MutationOptions,
    ReadOptions,
    Rpc,
    Unchanged,
    mask_of,
    mutation,
    read,
    value_or_none,
)


class InventoryMutations:
    """The mutations of InventoryService."""

    @Rpc
    def decrement_copies(
        defaults: Defaults,
        item: str,
        *,
        location: str = "",
        copies: int = 1,
        shortage_policy: pb.ShortagePolicy = pb.SHORTAGE_POLICY_REJECT,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.DecrementCopiesResponse]:
        """Take ``copies``, 1 .. 2^53-1, of an item: a sale, a loan, a pick.

        Raises `InsufficientStock` if fewer may be taken, unless ``shortage_policy`` is TAKE_AVAILABLE: then as
        many are taken as may be, and ``copies_taken`` says how many. Raises `ItemNotFound` if there is no level.
        """
        request = pb.DecrementCopiesRequest(
            item=item, location=location, copies=copies, shortage_policy=shortage_policy
        )
        return mutation(defaults, "InventoryService/DecrementCopies", request, pb.DecrementCopiesResponse, **options)

    @Rpc
    def increment_copies(
        defaults: Defaults,
        item: str,
        *,
        location: str = "",
        copies: int = 1,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.IncrementCopiesResponse]:
        """Add ``copies``, 1 .. 2^53-1, of an item: a delivery, a return. Creates the level if there is none.

        Raises `ValueOverflow` if more than 2^53-1 would be on hand.
        """
        request = pb.IncrementCopiesRequest(item=item, location=location, copies=copies)
        return mutation(defaults, "InventoryService/IncrementCopies", request, pb.IncrementCopiesResponse, **options)

    @Rpc
    def set_stock(
        defaults: Defaults,
        item: str,
        on_hand: int,
        *,
        location: str = "",
        expected_on_hand: int | None = None,
        allow_below_reserved: bool = False,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.SetStockResponse]:
        """Set how many copies are on hand, if there are ``expected_on_hand`` where that is given.

        Both are -(2^53-1) .. 2^53-1, and below 0 where copies were taken on backorder. A level that does not exist
        counts as 0 and is created. With ``allow_below_reserved``, a count below the reserved copies is recorded: the
        level's ``short_copies`` says how many are missing, and nothing more can be reserved until they are covered.

        Raises `ValueChanged` if on_hand is another, `StockBelowReserved` if reservations hold more than on_hand and
        backorder_limit together, and `ValueOverflow` if available would fall below -(2^53-1).
        """
        request = pb.SetStockRequest(
            item=item,
            location=location,
            on_hand=on_hand,
            expected_on_hand=expected_on_hand,
            allow_below_reserved=allow_below_reserved,
        )
        return mutation(defaults, "InventoryService/SetStock", request, pb.SetStockResponse, **options)

    @Rpc
    def move_copies(
        defaults: Defaults,
        item: str,
        *,
        from_location: str = "",
        to_location: str = "",
        copies: int = 1,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.MoveCopiesResponse]:
        """Move ``copies``, 1 .. 2^53-1, from one location to another. Creates the level there if there is none.

        The locations must differ. Raises `InsufficientStock` if fewer copies are available, `ItemNotFound` if there
        is no level to move from, and `ValueOverflow` if more than 2^53-1 would be on hand where they go.
        """
        request = pb.MoveCopiesRequest(item=item, from_location=from_location, to_location=to_location, copies=copies)
        return mutation(defaults, "InventoryService/MoveCopies", request, pb.MoveCopiesResponse, **options)

    @Rpc
    def configure_stock(
        defaults: Defaults,
        item: str,
        *,
        location: str = "",
        safety_stock: int | Unchanged | None = UNCHANGED,
        backorder_limit: int | Unchanged | None = UNCHANGED,
        low_stock_threshold: int | Unchanged | None = UNCHANGED,
        **options: Unpack[MutationOptions],
    ) -> Call[pb.ConfigureStockResponse]:
        """Set, clear to 0 (``None``) or leave (`UNCHANGED`) what rules a level; each is 0 .. 2^53-1 copies.

        A level that does not exist is created with no copies on hand. Raises `ValueOverflow` if available would
        fall below -(2^53-1).
        """
        request = pb.ConfigureStockRequest(
            item=item,
            location=location,
            safety_stock=value_or_none(safety_stock),
            backorder_limit=value_or_none(backorder_limit),
            low_stock_threshold=value_or_none(low_stock_threshold),
            update_mask=mask_of(
                safety_stock=safety_stock,
                backorder_limit=backorder_limit,
                low_stock_threshold=low_stock_threshold,
            ),
        )
        return mutation(defaults, "InventoryService/ConfigureStock", request, pb.ConfigureStockResponse, **options)

    @Rpc
    def delete_stock(
        defaults: Defaults, item: str, *, location: str = "", **options: Unpack[MutationOptions]
    ) -> Call[pb.DeleteStockResponse]:
        """Delete a level that has no copies on hand, and return it as it was.

        Raises `ItemNotFound` if there is none, and `StockNotEmpty` if copies are on hand or reserved.
        """
        request = pb.DeleteStockRequest(item=item, location=location)
        return mutation(defaults, "InventoryService/DeleteStock", request, pb.DeleteStockResponse, **options)


class InventoryReads:
    """The reads of InventoryService."""

    @Rpc
    def get_stock(
        defaults: Defaults, item: str, *, location: str = "", min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.GetStockResponse]:
        """Read a level with every change that was acknowledged before. Raises `ItemNotFound`."""
        request = pb.GetStockRequest(item=item, location=location, min_revision=min_revision)
        return read(defaults, "InventoryService/GetStock", request, pb.GetStockResponse, **options)

    @Rpc
    def batch_get_stock(
        defaults: Defaults, keys: Iterable[pb.StockKey], *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.BatchGetStockResponse]:
        """Read 1 to 1,000 levels as they are at one moment, and name those that do not exist."""
        request = pb.BatchGetStockRequest(keys=keys, min_revision=min_revision)
        return read(defaults, "InventoryService/BatchGetStock", request, pb.BatchGetStockResponse, **options)

    @Rpc
    def get_item(
        defaults: Defaults, item: str, *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.GetItemResponse]:
        """Read an item's levels at all its locations, at most 10,000, and their totals.

        Raises `ItemNotFound` if it has none, and `ValueOverflow` if a total is outside -(2^53-1) .. 2^53-1.
        """
        request = pb.GetItemRequest(item=item, min_revision=min_revision)
        return read(defaults, "InventoryService/GetItem", request, pb.GetItemResponse, **options)

    @Rpc
    def list_stock(
        defaults: Defaults,
        item_prefix: str = "",
        *,
        location: str = "",
        any_location: bool = False,
        page_size: int = 0,
        page_token: str = "",
        **options: Unpack[ReadOptions],
    ) -> Call[pb.ListStockResponse]:
        """Read one page of the levels whose items begin with ``item_prefix``, in order of their bytes.

        They are those at ``location``, or with ``any_location`` those at all, an item's in order of their locations;
        then ``location`` must be empty.

        ``page_size`` is at most 1,000; 0 means 100. ``page_token`` is the ``next_page_token`` of the page before;
        that of the last page is empty. Raises `PageTokenInvalid` if the token belongs to another listing.
        """
        request = pb.ListStockRequest(
            item_prefix=item_prefix,
            location=location,
            any_location=any_location,
            page_size=page_size,
            page_token=page_token,
        )
        return read(defaults, "InventoryService/ListStock", request, pb.ListStockResponse, **options)

    @Rpc
    def check_availability(
        defaults: Defaults,
        lines: Iterable[pb.AvailabilityLine],
        *,
        min_revision: int = 0,
        **options: Unpack[ReadOptions],
    ) -> Call[pb.CheckAvailabilityResponse]:
        """Tell for each of 1 to 100 lines what is available, now and for everyone: nothing is held by it.

        A line that names no copies asks for one. Lines that name the same level share what there is.
        """
        request = pb.CheckAvailabilityRequest(lines=lines, min_revision=min_revision)
        return read(defaults, "InventoryService/CheckAvailability", request, pb.CheckAvailabilityResponse, **options)
