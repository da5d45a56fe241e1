"""The calls of InventoryService: for each method, a function that builds its request.

The clients turn each function with `Rpc` into a method. A client passes its own defaults as the first argument.
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
        """Take copies of an item, as for a sale, a loan or a pick.

        Args:
            item: The item's name, 1 to 128 bytes of UTF-8 without control characters.
            location: The location, ``[A-Za-z0-9][A-Za-z0-9._-]{0,62}``. An empty text means ``main``.
            copies: The number of copies to take, 1 .. 2^53-1.
            shortage_policy: The rule if fewer copies may be taken. ``SHORTAGE_POLICY_REJECT`` takes none.
                ``SHORTAGE_POLICY_TAKE_AVAILABLE`` takes the copies that may be taken, perhaps 0.
            **options: See `MutationOptions`.

        Returns:
            The ``stock_level`` after the change, and in ``copies_taken`` the number of copies that were taken.

        Raises:
            InsufficientStock: Fewer copies may be taken, and the policy is ``SHORTAGE_POLICY_REJECT``. None was taken.
            ItemNotFound: The item has no stock level at the location.

        Example:
            >>> client.set_stock("dune", 5).stock_level.available
            5
            >>> client.decrement_copies("dune", copies=3, reference="order-17").stock_level.available
            2
            >>> take_available = ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE
            >>> client.decrement_copies("dune", copies=3, shortage_policy=take_available).copies_taken
            2

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
        """Add copies of an item, as for a delivery or a return. The stock level is created if it does not exist.

        Args:
            item: The item's name, 1 to 128 bytes of UTF-8 without control characters.
            location: The location, ``[A-Za-z0-9][A-Za-z0-9._-]{0,62}``. An empty text means ``main``.
            copies: The number of copies to add, 1 .. 2^53-1.
            **options: See `MutationOptions`.

        Returns:
            The ``stock_level`` after the change.

        Raises:
            ValueOverflow: More than 2^53-1 copies would be on hand. None was added.

        Example:
            >>> client.increment_copies("dune", copies=10, reference="delivery-8").stock_level.on_hand
            10

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
        """Set the number of copies on hand, as after a stock-taking.

        A stock level that does not exist counts as 0 and is created.

        Args:
            item: The item's name, 1 to 128 bytes of UTF-8 without control characters.
            on_hand: The number of copies, -(2^53-1) .. 2^53-1. It is below 0 where copies were taken on backorder.
            location: The location, ``[A-Za-z0-9][A-Za-z0-9._-]{0,62}``. An empty text means ``main``.
            expected_on_hand: The number that must be on hand now, -(2^53-1) .. 2^53-1. None means any number.
            allow_below_reserved: Record the number even if it is below the reserved copies. The level's
                ``short_copies`` then says how many are missing. Nothing more can be reserved until they are covered.
            **options: See `MutationOptions`.

        Returns:
            The ``stock_level`` after the change.

        Raises:
            ValueChanged: The number on hand is not the expected one. Nothing was changed.
            StockBelowReserved: More copies are reserved than ``on_hand`` and the backorder limit cover. Nothing was
                changed.
            ValueOverflow: The available copies would be below -(2^53-1). Nothing was changed.

        Example:
            >>> client.set_stock("dune", 7, location="annex").stock_level.on_hand
            7
            >>> client.set_stock("dune", 9, location="annex", expected_on_hand=7).stock_level.on_hand
            9

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
        """Move available copies of an item from one location to another.

        The stock level at the other location is created if it does not exist.

        Args:
            item: The item's name, 1 to 128 bytes of UTF-8 without control characters.
            from_location: The location that the copies leave, ``[A-Za-z0-9][A-Za-z0-9._-]{0,62}``. An empty text means
                ``main``.
            to_location: The location to which the copies go. It must not be ``from_location``. An empty text means
                ``main``.
            copies: The number of copies to move, 1 .. 2^53-1.
            **options: See `MutationOptions`.

        Returns:
            Both levels after the change: ``from_stock_level`` and ``to_stock_level``.

        Raises:
            InsufficientStock: Fewer copies are available at ``from_location``. None was moved.
            ItemNotFound: The item has no stock level at ``from_location``.
            ValueOverflow: More than 2^53-1 copies would be on hand at ``to_location``. None was moved.

        Example:
            >>> client.set_stock("dune", 5).stock_level.available
            5
            >>> client.move_copies("dune", to_location="annex", copies=2).to_stock_level.on_hand
            2

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
        """Set the safety stock, the backorder limit and the low-stock threshold of a stock level.

        A level that does not exist is created with no copies. None sets a number to 0. `UNCHANGED` leaves it as it is.

        Args:
            item: The item's name, 1 to 128 bytes of UTF-8 without control characters.
            location: The location, ``[A-Za-z0-9][A-Za-z0-9._-]{0,62}``. An empty text means ``main``.
            safety_stock: The number of copies to keep back, 0 .. 2^53-1.
            backorder_limit: The number of copies that may be taken beyond the available ones, 0 .. 2^53-1.
            low_stock_threshold: The number of available copies at or below which the level is low, 0 .. 2^53-1.
            **options: See `MutationOptions`.

        Returns:
            The ``stock_level`` after the change.

        Raises:
            ValueOverflow: The available copies would be below -(2^53-1). Nothing was changed.

        Example:
            >>> client.configure_stock("dune", safety_stock=1, backorder_limit=2).stock_level.backorder_limit
            2

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
        """Delete a stock level that has no copies on hand.

        Args:
            item: The item's name, 1 to 128 bytes of UTF-8 without control characters.
            location: The location, ``[A-Za-z0-9][A-Za-z0-9._-]{0,62}``. An empty text means ``main``.
            **options: See `MutationOptions`.

        Returns:
            The ``stock_level`` before it was deleted.

        Raises:
            ItemNotFound: The item has no stock level at the location.
            StockNotEmpty: Copies are on hand or reserved. Nothing was deleted.

        """
        request = pb.DeleteStockRequest(item=item, location=location)
        return mutation(defaults, "InventoryService/DeleteStock", request, pb.DeleteStockResponse, **options)


class InventoryReads:
    """The reads of InventoryService."""

    @Rpc
    def get_stock(
        defaults: Defaults, item: str, *, location: str = "", min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.GetStockResponse]:
        """Read the stock level of an item at a location, with every change that was acknowledged before this call.

        Args:
            item: The item's name, 1 to 128 bytes of UTF-8 without control characters.
            location: The location, ``[A-Za-z0-9][A-Za-z0-9._-]{0,62}``. An empty text means ``main``.
            min_revision: The least revision at which the response must be true, such as the revision of your last
                change. 0 means any.
            **options: See `ReadOptions`.

        Returns:
            The ``stock_level``, and the ``revision`` at which it is so.

        Raises:
            ItemNotFound: The item has no stock level at the location.
            RevisionAhead: The namespace has not reached ``min_revision``, so the store has lost changes.

        Example:
            >>> added = client.increment_copies("dune", copies=3)
            >>> level = client.get_stock("dune").stock_level
            >>> (level.on_hand, level.reserved, level.available)
            (3, 0, 3)

        """
        request = pb.GetStockRequest(item=item, location=location, min_revision=min_revision)
        return read(defaults, "InventoryService/GetStock", request, pb.GetStockResponse, **options)

    @Rpc
    def batch_get_stock(
        defaults: Defaults, keys: Iterable[pb.StockKey], *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.BatchGetStockResponse]:
        """Read stock levels as they are at one moment.

        Args:
            keys: The items and locations of the levels, 1 to 1,000.
            min_revision: The least revision at which the response must be true, such as the revision of your last
                change. 0 means any.
            **options: See `ReadOptions`.

        Returns:
            The ``stock_levels`` that exist, in the order of the keys, and in ``missing`` the keys of those that do not.

        Raises:
            RevisionAhead: The namespace has not reached ``min_revision``, so the store has lost changes.

        """
        request = pb.BatchGetStockRequest(keys=keys, min_revision=min_revision)
        return read(defaults, "InventoryService/BatchGetStock", request, pb.BatchGetStockResponse, **options)

    @Rpc
    def get_item(
        defaults: Defaults, item: str, *, min_revision: int = 0, **options: Unpack[ReadOptions]
    ) -> Call[pb.GetItemResponse]:
        """Read the stock levels of an item at all its locations, at most 10,000, and their totals.

        Args:
            item: The item's name, 1 to 128 bytes of UTF-8 without control characters.
            min_revision: The least revision at which the response must be true, such as the revision of your last
                change. 0 means any.
            **options: See `ReadOptions`.

        Returns:
            The ``stock_levels`` in the order of their locations, and ``total_on_hand``, ``total_reserved`` and
            ``total_available``.

        Raises:
            ItemNotFound: The item has no stock level.
            ValueOverflow: A total is outside -(2^53-1) .. 2^53-1.
            RevisionAhead: The namespace has not reached ``min_revision``, so the store has lost changes.

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
        """Read one page of the stock levels, in the order of their items' bytes and then of their locations'.

        Args:
            item_prefix: The beginning of the items' names, at most 128 bytes of UTF-8. An empty text means all items.
            location: The location of the levels. An empty text means ``main``. It must be empty with ``any_location``.
            any_location: True to read the levels at all locations.
            page_size: The maximum number on the page. 0 means 100, and more than 1,000 means 1,000.
            page_token: The ``next_page_token`` of the page before, from a call with the same arguments. An empty text
                asks for the first page.
            **options: See `ReadOptions`.

        Returns:
            The ``stock_levels`` of the page, and the ``revision`` at which they are so. ``next_page_token`` is empty on
            the last page. A page may be short or empty and not be the last.

        Raises:
            PageTokenInvalid: The token belongs to another listing.

        Example:
            >>> for item in ("dune", "emma"):
            ...     revision = client.increment_copies(item, copies=2).revision
            >>> [level.item for level in client.list_stock("d").stock_levels]
            ['dune']
            >>> sum(level.available for level in client.iterate_stock())
            4

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
        """Read the numbers of available copies for some lines at one moment. This reserves nothing.

        Args:
            lines: The wanted copies, 1 to 100 lines. A line without copies asks for 1. Lines that name the same level
                share its copies. A line with ``any_location`` counts the copies at all locations of its item, at most
                10,000.
            min_revision: The least revision at which the response must be true, such as the revision of your last
                change. 0 means any.
            **options: See `ReadOptions`.

        Returns:
            One of ``lines`` for each line, and ``sufficient``, which is true if every line is sufficient.

        Raises:
            ValueOverflow: A total is outside -(2^53-1) .. 2^53-1.
            RevisionAhead: The namespace has not reached ``min_revision``, so the store has lost changes.

        Example:
            >>> client.set_stock("dune", 2).stock_level.available
            2
            >>> client.check_availability([AvailabilityLine(item="dune", copies=3)]).sufficient
            False

        """
        request = pb.CheckAvailabilityRequest(lines=lines, min_revision=min_revision)
        return read(defaults, "InventoryService/CheckAvailability", request, pb.CheckAvailabilityResponse, **options)
