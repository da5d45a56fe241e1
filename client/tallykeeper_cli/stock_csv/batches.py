"""The batches of an import: rows are put into batches, several batches are sent at once, and each counts once.

The rows of a batch depend only on the file and the options. So does its request id within one import. A continued
import sends the same batches again, and those that were applied change nothing.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tallykeeper.v1.batch_pb2 import ApplyResponse, Operation
from tallykeeper.v1.inventory_pb2 import StockKey, StockLevel
from tallykeeper_cli.stock_csv.file_format import BadRow, Row
from tallykeeper_client import UNCHANGED, MutationOptions, operations
from tallykeeper_client.client import Client
from tallykeeper_client.errors import BatchRefused, Overloaded

OPERATIONS_MAX: Final = 500
"""The maximum number of operations in a batch. It is half of the contract's, so that other callers wait less."""

ATOMIC_OPERATIONS_MAX: Final = 1000
"""The maximum number of operations that the contract allows in a batch."""

IN_FLIGHT_MAX: Final = 4
"""The maximum number of batches in flight."""

_OVERLOADED_MAX: Final = 30
"""The maximum number of times that a batch is sent again to an overloaded server."""

Level: TypeAlias = tuple[str, str]
"""An item and its location."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The effect of a row: on_hand is set or, if ``adds``, added. ``location`` is that of the rows that name none."""

    adds: bool
    location: str = ""
    allow_below_reserved: bool = False

    def level(self, row: Row) -> Level:
        """Return the level that a row is about."""
        return row.item, row.location or self.location or "main"

    def operations(self, row: Row) -> Sequence[Operation]:
        """Return the operations of a row. Its copies come first, so that a new level crosses no threshold.

        A count below 0 comes last, because the backorder limit must allow it first.
        """
        copies, settings = self._copies(row), self._settings(row)
        return [*settings, *copies] if row.on_hand < 0 else [*copies, *settings]

    def doubts(self, row: Row) -> Sequence[str]:
        """Describe the values of a row that are allowed and probably not intended."""
        if not self._owes_too_much(row):
            return ()
        limit = row.settings["backorder_limit"]
        return [f"line {row.line}, column on_hand: {row.on_hand} is below what backorder_limit {limit} allows"]

    def _copies(self, row: Row) -> Sequence[Operation]:
        location = row.location or self.location
        if self.adds:
            if row.on_hand > 0:
                return [operations.increment_copies(row.item, location=location, copies=row.on_hand)]
            if row.on_hand < 0:
                return [operations.decrement_copies(row.item, location=location, copies=-row.on_hand)]
            return []
        return [
            operations.set_stock(
                row.item,
                row.on_hand,
                location=location,
                expected_on_hand=row.expected_on_hand,
                allow_below_reserved=self.allow_below_reserved or self._owes_too_much(row),
            )
        ]

    def _settings(self, row: Row) -> Sequence[Operation]:
        if not row.settings:
            return []
        return [
            operations.configure_stock(
                row.item,
                location=row.location or self.location,
                safety_stock=row.settings.get("safety_stock", UNCHANGED),
                backorder_limit=row.settings.get("backorder_limit", UNCHANGED),
                low_stock_threshold=row.settings.get("low_stock_threshold", UNCHANGED),
            )
        ]

    def _owes_too_much(self, row: Row) -> bool:
        """Return True if a row itself has more backorders than its backorder limit allows, as an export may."""
        limit = row.settings.get("backorder_limit")
        return not self.adds and row.on_hand < 0 and limit is not None and row.on_hand + limit < 0


@dataclass(slots=True)
class Batch:
    """Rows that follow one another: those that are not sent, and the operations of the others."""

    first_row: int
    last_line: int = 0
    row_count: int = 0
    left_out: list[BadRow] = field(default_factory=list)
    rows: list[tuple[Row, int]] = field(default_factory=list)
    """Each row that is sent, with the number of its operations."""
    operations: list[Operation] = field(default_factory=list)
    levels: set[Level] = field(default_factory=set)
    """The levels that the operations change."""

    def take(self, row: Row | BadRow, plan: Plan) -> None:
        """Add a row to the batch."""
        self.row_count += 1
        self.last_line = row.line
        if isinstance(row, BadRow):
            self.left_out.append(row)
            return
        self.levels.add(plan.level(row))
        made = plan.operations(row)
        self.rows.append((row, len(made)))
        self.operations.extend(made)


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch with its answer, and its levels just before it. A level that did not exist is absent."""

    batch: Batch
    answer: ApplyResponse
    before: Mapping[Level, StockLevel]
    refusal: BatchRefused | None = None
    """The error of an atomic batch with failed operations. Then nothing was changed, and the answer is empty."""


def batches(rows: Iterable[Row | BadRow], plan: Plan, *, rows_max: int) -> Iterator[Batch]:
    """Put rows into batches of ``rows_max`` rows. Bad rows count too."""
    batch = Batch(first_row=1)
    for number, row in enumerate(rows, start=1):
        batch.take(row, plan)
        if batch.row_count == rows_max:
            yield batch
            batch = Batch(first_row=number + 1)
    if batch.row_count:
        yield batch


def send(client: Client, batch: Batch, *, import_id: str, atomic: bool, options: MutationOptions) -> Sent:
    """Apply a batch under its own request id. Repeat it while the server is overloaded."""
    if not batch.operations:
        return Sent(batch, ApplyResponse(), {})
    under: MutationOptions = {**options, "request_id": f"{import_id}-{batch.first_row}"}
    for attempt in range(_OVERLOADED_MAX + 1):
        before: Mapping[Level, StockLevel] = {}
        try:
            before = _levels(client, batch)
            return Sent(batch, client.apply(batch.operations, atomic=atomic, **under), before)
        except BatchRefused as refusal:
            return Sent(batch, ApplyResponse(), before, refusal)
        except Overloaded as error:
            if attempt == _OVERLOADED_MAX:
                raise
            time.sleep(error.retry_after_seconds or 1.0)
    raise AssertionError


def sent(every: Iterable[Batch], send_one: Callable[[Batch], Sent]) -> Generator[Sent]:
    """Send batches, several at once, and yield each with its answer, in order.

    A batch waits for the batches in flight that change one of its levels, because the later row of a file must win.
    """
    threads = ThreadPoolExecutor(IN_FLIGHT_MAX)
    try:
        under_way: deque[tuple[Batch, Future[Sent]]] = deque()
        for batch in every:
            while len(under_way) == IN_FLIGHT_MAX or any(batch.levels & other.levels for other, _ in under_way):
                yield under_way.popleft()[1].result()
            under_way.append((batch, threads.submit(send_one, batch)))
        while under_way:
            yield under_way.popleft()[1].result()
    finally:
        threads.shutdown(cancel_futures=True)


def _levels(client: Client, batch: Batch) -> Mapping[Level, StockLevel]:
    keys = [StockKey(item=item, location=location) for item, location in sorted(batch.levels)]
    found = client.batch_get_stock(keys)
    return {(level.item, level.location): level for level in found.stock_levels}
