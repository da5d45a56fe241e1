"""The methods of LedgerService, and the filters of listings and watches."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from tallykeeper.v1 import ledger_pb2
from tallykeeper_server.domain import limits
from tallykeeper_server.domain.audit import Audit, Difference, DifferenceKind
from tallykeeper_server.domain.entries import Entry
from tallykeeper_server.domain.levels import CounterName, ReadLevel, StockName
from tallykeeper_server.domain.queries import Snapshot
from tallykeeper_server.engine.engine import Engine
from tallykeeper_server.engine.entry_pages import EntryListing, read_entry_page
from tallykeeper_server.engine.lookups import RequestFate, look_up_request
from tallykeeper_server.engine.namespace_reader import EngineSource
from tallykeeper_server.engine.verify import Progress, verify
from tallykeeper_server.engine.watch import WatchHub
from tallykeeper_server.engine.watched_levels import read_watched_levels
from tallykeeper_server.rpc.admission import Call
from tallykeeper_server.rpc.messages import counter_messages, entry_message, stock_messages, timestamp_of
from tallykeeper_server.rpc.operations import KIND_OF_OPERATION
from tallykeeper_server.rpc.page_tokens import PageTokens
from tallykeeper_server.rpc.validation import Fields

_PROGRESS_SECONDS: Final = 0.5
_REVISION_DIGITS_MAX: Final = 16
_REVISION: Final = re.compile(rf"[0-9]{{1,{_REVISION_DIGITS_MAX}}}")
_OUTCOMES: Final = {
    RequestFate.UNKNOWN: ledger_pb2.REQUEST_OUTCOME_UNKNOWN,
    RequestFate.APPLIED: ledger_pb2.REQUEST_OUTCOME_APPLIED,
    RequestFate.REFUSED: ledger_pb2.REQUEST_OUTCOME_REFUSED,
    RequestFate.INCOMPLETE: ledger_pb2.REQUEST_OUTCOME_INCOMPLETE,
}
_DIFFERENCES: Final = {
    DifferenceKind.STOCK: ledger_pb2.DIFFERENCE_KIND_STOCK,
    DifferenceKind.COUNTER: ledger_pb2.DIFFERENCE_KIND_COUNTER,
    DifferenceKind.RESERVATION: ledger_pb2.DIFFERENCE_KIND_RESERVATION,
    DifferenceKind.LEDGER: ledger_pb2.DIFFERENCE_KIND_LEDGER,
    DifferenceKind.DAMAGED_ENTRY: ledger_pb2.DIFFERENCE_KIND_DAMAGED_ENTRY,
}


Passes: TypeAlias = Callable[[Entry], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilter:
    """The filter of a listing. A field that is empty or None lets every entry pass."""

    item: str
    counter: str
    location: str
    reservation_id: str
    operations: Collection[str]
    """The names of the Lua operations."""
    reference: str
    request_id: str
    start_ms: int | None
    end_ms: int | None

    @property
    def is_open(self) -> bool:
        """True if every entry passes."""
        names = (self.item, self.counter, self.location, self.reservation_id, self.reference, self.request_id)
        return not any(names) and not self.operations and self.start_ms is None and self.end_ms is None

    def passes(self, entry: Entry) -> bool:
        """Return whether an entry belongs to the listing. A damaged entry passes if it may belong to it."""
        if entry.damage:
            return not entry.commit_time_ms or self._is_of_the_time(entry.commit_time_ms)
        return (
            (not self.operations or entry.operation in self.operations)
            and (not self.reference or entry.reference == self.reference)
            and (not self.request_id or entry.request_id == self.request_id)
            and self._is_of_the_time(entry.commit_time_ms)
            and (not self.reservation_id or _reservation_of(entry) == self.reservation_id)
            and (not self.counter or any(line.name == CounterName(self.counter) for line in entry.lines))
            and (not (self.item or self.location) or any(self._has(line.name) for line in entry.lines))
        )

    def _is_of_the_time(self, time_ms: int) -> bool:
        return (self.start_ms is None or time_ms >= self.start_ms) and (self.end_ms is None or time_ms < self.end_ms)

    def _has(self, name: CounterName | StockName) -> bool:
        return (
            isinstance(name, StockName)
            and (not self.item or name.item == self.item)
            and (not self.location or name.location == self.location)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchFilter:
    """The filter of a watch. Without items, counters and reservation ids, it lets every name pass."""

    items: frozenset[str]
    counters: frozenset[str]
    reservation_ids: frozenset[str]
    locations: frozenset[str]

    @property
    def is_open(self) -> bool:
        """True if all names are watched. ``locations`` may still limit the stock levels."""
        return not (self.items or self.counters or self.reservation_ids)

    def passes(self, entry: Entry) -> bool:
        """Return whether an entry is watched. A damaged entry passes if it may be one that is watched."""
        if entry.damage or (self.is_open and not self.locations):
            return True
        return _reservation_of(entry) in self.reservation_ids or any(self.has(line.name) for line in entry.lines)

    def has(self, name: CounterName | StockName) -> bool:
        """Return whether a level is watched."""
        if isinstance(name, CounterName):
            return self.is_open or name.counter in self.counters
        return (self.is_open or name.item in self.items) and (not self.locations or name.location in self.locations)


class LedgerServicer:
    """LedgerService. Each method checks its request, asks the engine and builds the response."""

    def __init__(self, engine: Engine, source: EngineSource, hub: WatchHub) -> None:
        self._engine = engine
        self._tokens = PageTokens(engine)
        self._source = source
        self._hub = hub

    async def ListEntries(self, request: ledger_pb2.ListEntriesRequest, call: Call) -> ledger_pb2.ListEntriesResponse:
        """List entries, the newest or the oldest first, a page at a time."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        wanted = _list_filter(request, fields)
        page_size = fields.page_size(request.page_size)
        fields.check()
        listing = ("entries", namespace, str(request.newest_first), repr(wanted))
        cursor = await self._tokens.open(request.page_token, _cursor_of, *listing, deadline=call.deadline)

        revision = (await self._engine.ask(Snapshot(namespace, ()), deadline=call.deadline)).revision
        passes = None if wanted.is_open else wanted.passes
        place = EntryListing(namespace=namespace, newest_first=request.newest_first, passes=passes, cursor=cursor)
        page = await read_entry_page(place, page_size, partial(self._engine.ask, deadline=call.deadline))
        token = ""
        if page.cursor is not None:
            token = await self._tokens.seal(str(page.cursor), *listing, deadline=call.deadline)
        return ledger_pb2.ListEntriesResponse(
            entries=map(_entry_message, page.entries),
            next_page_token=token,
            revision=max(revision, page.revision),
        )

    async def Watch(self, request: ledger_pb2.WatchRequest, call: Call) -> AsyncIterator[ledger_pb2.WatchResponse]:
        """Follow the ledger."""
        del call  # dispatch ends the stream when its caller loses the permission
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        watched = _watch_filter(request, fields)
        after: int | None = None
        if request.HasField("after_revision"):
            after = fields.quantity("after_revision", request.after_revision, least=0)
            if request.include_levels:
                fields.refuse("include_levels", "cannot be together with after_revision")
        fields.check()
        if request.include_levels:
            snapshot = await read_watched_levels(self._source, namespace, watched)
            after = snapshot.revision
            yield _levels_message(snapshot.revision, snapshot.levels)
        async with aclosing(self._hub.watch(namespace, after=after, passes=watched.passes)) as batches:
            async for batch in batches:
                yield ledger_pb2.WatchResponse(entries=map(_entry_message, batch.entries), revision=batch.revision)

    async def LookupRequest(
        self, request: ledger_pb2.LookupRequestRequest, call: Call
    ) -> ledger_pb2.LookupRequestResponse:
        """Return the outcome of the request with a request id."""
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        request_id = fields.request_id(request.request_id)
        if not request_id:
            fields.refuse("request_id", "must not be empty")
        fields.check()
        found = await look_up_request(self._engine, namespace, request_id, deadline=call.deadline)
        time_ms = found.commit_time_ms
        return ledger_pb2.LookupRequestResponse(
            outcome=_OUTCOMES[found.fate],
            applied_revision=found.applied_revision,
            revision=found.revision,
            commit_time=None if time_ms is None else timestamp_of(time_ms),
            refusal_reason=found.refusal_reason,
            applied_count=found.applied_count,
            refused_count=found.refused_count,
        )

    async def VerifyNamespace(
        self, request: ledger_pb2.VerifyNamespaceRequest, call: Call
    ) -> AsyncIterator[ledger_pb2.VerifyNamespaceResponse]:
        """Compare the ledger of a namespace with its levels."""
        del call  # the transport ends the stream at its caller's deadline, and each query has its own deadline
        fields = Fields()
        namespace = fields.namespace(request.namespace)
        fields.check()
        progress = Progress()
        work = asyncio.create_task(verify(self._source, namespace, progress))
        try:
            while not work.done():
                yield ledger_pb2.VerifyNamespaceResponse(progress=_progress_message(progress))
                await asyncio.wait([work], timeout=_PROGRESS_SECONDS)
            yield ledger_pb2.VerifyNamespaceResponse(result=_result_message(await work))
        finally:
            work.cancel()
            await asyncio.wait([work])


def _cursor_of(text: str) -> int:
    """Return the revision at which a page ended.

    :raises ValueError: the text is not a revision.
    """
    if not _REVISION.fullmatch(text) or int(text) > limits.INTEGER_MAX:
        message = f"{text[:_REVISION_DIGITS_MAX]} is no revision"
        raise ValueError(message)
    return int(text)


def _list_filter(request: ledger_pb2.ListEntriesRequest, fields: Fields) -> ListFilter:
    kind = fields.enum("operation", request.operation, ledger_pb2.OperationKind)
    start, end = request.HasField("start_time"), request.HasField("end_time")
    return ListFilter(
        item=fields.optional_name("item", request.item),
        counter=fields.optional_name("counter", request.counter),
        location=request.location and fields.location(request.location),
        reservation_id=fields.optional_name("reservation_id", request.reservation_id),
        operations=[operation for operation, number in KIND_OF_OPERATION.items() if number == kind],
        reference=fields.text("reference", request.reference, limits.REFERENCE_BYTES_MAX),
        request_id=fields.request_id(request.request_id),
        start_ms=fields.time_ms("start_time", request.start_time) if start else None,
        end_ms=fields.time_ms("end_time", request.end_time) if end else None,
    )


def _watch_filter(request: ledger_pb2.WatchRequest, fields: Fields) -> WatchFilter:
    most = limits.WATCH_NAMES_MAX
    fields.count("locations", len(request.locations) or 1, most)
    locations = enumerate(request.locations)
    return WatchFilter(
        items=frozenset(fields.names("items", request.items, most)),
        counters=frozenset(fields.names("counters", request.counters, most)),
        reservation_ids=frozenset(fields.names("reservation_ids", request.reservation_ids, most)),
        locations=frozenset(fields.location(location, f"locations[{index}]") for index, location in locations),
    )


def _entry_message(entry: Entry) -> ledger_pb2.Entry:
    return entry_message(entry, KIND_OF_OPERATION.get(entry.operation))


def _levels_message(revision: int, levels: Sequence[ReadLevel]) -> ledger_pb2.WatchResponse:
    counters = [level for level in levels if isinstance(level.name, CounterName)]
    stock = [level for level in levels if not isinstance(level.name, CounterName)]
    return ledger_pb2.WatchResponse(
        revision=revision, stock_levels=stock_messages(stock), counters=counter_messages(counters)
    )


def _progress_message(progress: Progress) -> ledger_pb2.VerifyProgress:
    return ledger_pb2.VerifyProgress(
        revisions_replayed=progress.revisions_replayed,
        revisions_total=progress.revisions_total,
        reservations_checked=progress.reservations_checked,
        reservations_total=progress.reservations_total,
        levels_checked=progress.levels_checked,
        levels_total=progress.levels_total,
    )


def _result_message(found: Audit) -> ledger_pb2.VerifyResult:
    return ledger_pb2.VerifyResult(
        clean=not found.difference_count,
        differences=map(_difference_message, found.differences),
        difference_count=found.difference_count,
        from_revision=found.from_revision,
        revision=found.revision,
        levels_checked=found.levels_checked,
        levels_unchecked=found.levels_unchecked,
        reservations_checked=found.reservations_checked,
    )


def _difference_message(difference: Difference) -> ledger_pb2.Difference:
    return ledger_pb2.Difference(
        kind=_DIFFERENCES[difference.kind],
        name=difference.name,
        location=difference.location,
        revision=difference.revision,
        expected=difference.expected,
        actual=difference.actual,
    )


def _reservation_of(entry: Entry) -> str | None:
    return None if entry.reservation is None else entry.reservation.name.reservation_id
