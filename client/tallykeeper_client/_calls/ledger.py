"""The calls of LedgerService: for each method, a function that builds its request.

The clients turn each function with `Rpc` into a method. A client passes its own defaults as the first argument.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final, Unpack

from tallykeeper.v1 import ledger_pb2 as pb
from tallykeeper_client._calls.base import Call, Defaults, ReadOptions, Rpc, read

VERIFY_TIMEOUT_SECONDS_DEFAULT: Final = 600.0
"""The deadline of a verification without a timeout of its caller. A verification reads a whole namespace."""


class LedgerReads:
    """The reads of LedgerService."""

    @Rpc
    def list_entries(
        defaults: Defaults,
        *,
        item: str = "",
        counter: str = "",
        location: str = "",
        reservation_id: str = "",
        operation: pb.OperationKind = pb.OPERATION_KIND_UNSPECIFIED,
        reference: str = "",
        request_id: str = "",
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        newest_first: bool = False,
        page_size: int = 0,
        page_token: str = "",
        **options: Unpack[ReadOptions],
    ) -> Call[pb.ListEntriesResponse]:
        """Read one page of the ledger's entries that pass all given filters.

        Args:
            item: The item of a line of the entries. An empty text means any item.
            counter: The counter of a line of the entries. An empty text means any counter.
            location: The location of a line of the entries, of the same line as ``item``. An empty text means any
                location.
            reservation_id: The reservation of the entries. An empty text means any reservation.
            operation: The kind of the entries. ``OPERATION_KIND_UNSPECIFIED`` means any kind.
            reference: The reference of the entries. An empty text means any reference.
            request_id: The request id of the entries. An empty text means any request id.
            start_time: The earliest time of the entries. A time without a zone is in UTC. None means no limit.
            end_time: The time before which the entries were made. A time without a zone is in UTC. None means no limit.
            newest_first: True to read the newest entry first, False to read the oldest first.
            page_size: The maximum number on the page. 0 means 100, and more than 1,000 means 1,000.
            page_token: The ``next_page_token`` of the page before, from a call with the same arguments. An empty text
                asks for the first page.
            **options: See `ReadOptions`.

        Returns:
            The ``entries`` of the page, and the ``revision`` at which they are so. ``next_page_token`` is empty on the
            last page. A page may be short or empty and not be the last.

        Raises:
            PageTokenInvalid: The token belongs to another listing.

        Example:
            >>> revision = client.increment_copies("dune", copies=2, reference="delivery-8").revision
            >>> client.list_entries(item="dune").entries[0].reference
            'delivery-8'
            >>> [entry.lines[0].stock.on_hand_change for entry in client.iterate_entries(item="dune")]
            [2]

        """
        request = pb.ListEntriesRequest(
            item=item,
            counter=counter,
            location=location,
            reservation_id=reservation_id,
            operation=operation,
            reference=reference,
            request_id=request_id,
            start_time=start_time,
            end_time=end_time,
            newest_first=newest_first,
            page_size=page_size,
            page_token=page_token,
        )
        return read(defaults, "LedgerService/ListEntries", request, pb.ListEntriesResponse, **options)

    @Rpc
    def lookup_request(
        defaults: Defaults, request_id: str, **options: Unpack[ReadOptions]
    ) -> Call[pb.LookupRequestResponse]:
        """Read the outcome of a mutation or a batch by its request id.

        Args:
            request_id: The request id that was sent, 1 to 64 printable ASCII characters.
            **options: See `ReadOptions`.

        Returns:
            The ``outcome``, and the revision, the time and the counts that belong to it. The outcome is
            ``REQUEST_OUTCOME_UNKNOWN`` if the server never saw the id, or no longer remembers it. It remembers an id
            for at least the namespace's ``request_retention``.

        Example:
            >>> revision = client.increment("visitors", request_id="visit-1").revision
            >>> RequestOutcome.Name(client.lookup_request("visit-1").outcome)
            'REQUEST_OUTCOME_APPLIED'

        """
        request = pb.LookupRequestRequest(request_id=request_id)
        return read(defaults, "LedgerService/LookupRequest", request, pb.LookupRequestResponse, **options)


def watch_responses(  # noqa: D417  # the client gives its defaults
    defaults: Defaults,
    *,
    items: Iterable[str] = (),
    counters: Iterable[str] = (),
    reservation_ids: Iterable[str] = (),
    locations: Iterable[str] = (),
    after_revision: int | None = None,
    include_levels: bool = False,
    **options: Unpack[ReadOptions],
) -> Call[pb.WatchResponse]:
    """Follow the ledger as `watch` does, and yield each response of the server as it comes.

    The first response comes at once. Each response has the ``revision`` up to which all entries have been yielded. Some
    responses have no entries: they only advance the revision.

    Args:
        items: The items whose entries to yield, at most 1,000.
        counters: The counters whose entries to yield, at most 1,000.
        reservation_ids: The reservations whose entries to yield, at most 1,000. Without items, counters and
            reservations, every entry is yielded.
        locations: The locations at which a line of an item counts, at most 1,000. None given means any location.
        after_revision: The revision after which to begin, 0 or more. 0 means the beginning. None means now.
        include_levels: True to get in the first response the levels of the items and counters at its revision, at most
            10,000. It cannot be combined with ``after_revision``.
        **options: See `ReadOptions`. ``timeout_seconds`` limits the time until the first response.

    Yields:
        Each response.

    Raises:
        RevisionTrimmed: The ledger no longer has the entry after ``after_revision``.
        RevisionAhead: The namespace has not reached ``after_revision``, or its store has lost changes.
        RevisionsLost: The store has lost entries that the watch may have yielded.
        TallykeeperError: No first response came within ``timeout_seconds``, or the server refuses the watch.

    Example:
        >>> from contextlib import closing
        >>> revision = client.set_stock("dune", 5).revision
        >>> with closing(client.watch_responses(items=["dune"], include_levels=True)) as responses:
        ...     next(responses).stock_levels[0].available
        5

    """
    request = pb.WatchRequest(
        items=items,
        counters=counters,
        reservation_ids=reservation_ids,
        locations=locations,
        after_revision=after_revision,
        include_levels=include_levels,
    )
    return read(defaults, "LedgerService/Watch", request, pb.WatchResponse, **options)


def watch(  # noqa: D417  # the client gives its defaults
    defaults: Defaults,
    *,
    items: Iterable[str] = (),
    counters: Iterable[str] = (),
    reservation_ids: Iterable[str] = (),
    locations: Iterable[str] = (),
    after_revision: int | None = None,
    **options: Unpack[ReadOptions],
) -> Call[pb.WatchResponse]:
    """Follow the ledger, and yield each entry as it is made: in order, with no gap and no repeat.

    The watch begins when the first entry is asked for. It ends when its iterator or the client is closed.

    A watch that loses its connection connects again, for as long as it takes. It gives up only if the first response
    did not come within ``timeout_seconds``.

    Args:
        items: The items whose entries to yield, at most 1,000.
        counters: The counters whose entries to yield, at most 1,000.
        reservation_ids: The reservations whose entries to yield, at most 1,000. Without items, counters and
            reservations, every entry is yielded.
        locations: The locations at which a line of an item counts, at most 1,000. None given means any location.
        after_revision: The revision after which to begin, 0 or more. 0 means the beginning. None means now.
        **options: See `ReadOptions`. ``timeout_seconds`` limits the time until the first response.

    Yields:
        Each entry.

    Raises:
        RevisionTrimmed: The ledger no longer has the entry after ``after_revision``.
        RevisionAhead: The namespace has not reached ``after_revision``, or its store has lost changes.
        RevisionsLost: The store has lost entries that the watch may have yielded.
        TallykeeperError: No first response came within ``timeout_seconds``, or the server refuses the watch.

    Example:
        >>> from contextlib import closing
        >>> revision = client.increment_copies("dune", copies=3).revision
        >>> with closing(client.watch(items=["dune"], after_revision=revision - 1)) as entries:
        ...     next(entries).lines[0].stock.after.available
        3

    """
    return watch_responses(
        defaults,
        items=items,
        counters=counters,
        reservation_ids=reservation_ids,
        locations=locations,
        after_revision=after_revision,
        **options,
    )


def verify_namespace(  # noqa: D417  # the client gives its defaults
    defaults: Defaults, **options: Unpack[ReadOptions]
) -> Call[pb.VerifyNamespaceResponse]:
    """Replay the ledger, and compare the outcome with the levels and reservations of the namespace.

    Changes may continue during the comparison. The server reads the whole namespace, so this can take minutes.

    Args:
        **options: See `ReadOptions`. Without ``timeout_seconds`` the deadline is 600 seconds.

    Returns:
        The result. ``clean`` is true if there is no difference. ``differences`` has the first 1,000.

    Example:
        >>> revision = client.increment("visitors").revision
        >>> client.verify_namespace().clean
        True

    """
    patient = replace(defaults, timeout_seconds=VERIFY_TIMEOUT_SECONDS_DEFAULT)
    request = pb.VerifyNamespaceRequest()
    return read(patient, "LedgerService/VerifyNamespace", request, pb.VerifyNamespaceResponse, **options)


def verify_responses(  # noqa: D417  # the client gives its defaults
    defaults: Defaults, **options: Unpack[ReadOptions]
) -> Call[pb.VerifyNamespaceResponse]:
    """Verify a namespace as `verify_namespace` does, and yield each response of the server as it comes.

    Args:
        **options: See `ReadOptions`. Without ``timeout_seconds`` the deadline is 600 seconds.

    Yields:
        The progress, at once and about every half second, and at the end the result.

    Example:
        >>> revision = client.increment("visitors").revision
        >>> [response.result.clean for response in client.verify_responses() if response.HasField("result")]
        [True]

    """
    return verify_namespace(defaults, **options)
