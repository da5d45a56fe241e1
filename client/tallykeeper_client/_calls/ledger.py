"""The calls of LedgerService: what each takes, and the request that it becomes.

Each function with `Rpc` becomes a method of the clients. A client passes its own defaults as the first argument.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final, Unpack

from tallykeeper.v1 import ledger_pb2 as pb
from tallykeeper_client._calls.base import Call, Defaults, ReadOptions, Rpc, read

VERIFY_TIMEOUT_SECONDS_DEFAULT: Final = 600.0
"""The deadline of a verification that names none: it reads all of a namespace."""


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
        """Read one page of the entries that pass all the filters given, from ``start_time`` on and before ``end_time``.

        A time without a zone is in UTC.

        ``page_size`` is at most 1,000; 0 means 100. ``page_token`` is the ``next_page_token`` of the page before;
        that of the last page is empty. Raises `PageTokenInvalid` if the token belongs to another listing.
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
        """Tell what became of a mutation or a batch with this request id, as long as it is remembered."""
        request = pb.LookupRequestRequest(request_id=request_id)
        return read(defaults, "LedgerService/LookupRequest", request, pb.LookupRequestResponse, **options)


def watch_responses(
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
    """Follow the ledger as `watch` does, and give each response as it comes, bookmarks among them.

    The first one comes at once and says after which revision it follows. With ``include_levels``, which does not go
    together with ``after_revision``, it holds what the items and counters are at that revision, at most 10,000.
    Each says with its ``revision`` how far everything has been given.
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


def watch(
    defaults: Defaults,
    *,
    items: Iterable[str] = (),
    counters: Iterable[str] = (),
    reservation_ids: Iterable[str] = (),
    locations: Iterable[str] = (),
    after_revision: int | None = None,
    **options: Unpack[ReadOptions],
) -> Call[pb.WatchResponse]:
    """Follow the ledger: give each entry as it is made, in order, with no gap and no repeat, across reconnections.

    Entries are those with a line of one of the items or counters, or of one of the reservations; all if none is
    named. Of the lines with items only those at the locations count, if any is named. It begins after
    ``after_revision``, 0 being the beginning; after what there is when it is first asked for an entry, if None.

    It begins anew when it is cut off, for as long as it takes, but gives up with what stands in the way if there
    was no first response within ``timeout_seconds``. Raises `RevisionTrimmed` if the ledger no longer has what
    follows, and `RevisionAhead` if the namespace has not come so far or has lost changes. Closing the iterator or
    the client ends it.
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


def verify_namespace(defaults: Defaults, **options: Unpack[ReadOptions]) -> Call[pb.VerifyNamespaceResponse]:
    """Replay the ledger, compare the outcome with the levels and reservations that there are, and return the result.

    Changes may go on. The server reads the whole namespace, and has ten minutes for it unless ``timeout_seconds`` gives
    another time.

        assert client.verify_namespace().clean
    """
    patient = replace(defaults, timeout_seconds=VERIFY_TIMEOUT_SECONDS_DEFAULT)
    request = pb.VerifyNamespaceRequest()
    return read(patient, "LedgerService/VerifyNamespace", request, pb.VerifyNamespaceResponse, **options)


def verify_responses(defaults: Defaults, **options: Unpack[ReadOptions]) -> Call[pb.VerifyNamespaceResponse]:
    """Verify as `verify_namespace` does, and give each response as it comes: the progress, and last the result."""
    return verify_namespace(defaults, **options)
