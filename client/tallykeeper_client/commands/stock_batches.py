"""How rows of stock become batches, and how these are sent: several at once, and each counted once.

Which rows are in a batch depends on the file alone, and so does its request id: to send a file again changes nothing.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from tallykeeper.v1.batch_pb2 import ApplyResponse, Operation
from tallykeeper_client import operations
from tallykeeper_client.call import UNCHANGED, MutationOptions
from tallykeeper_client.client import Client
from tallykeeper_client.commands.stock_file import BadRow, Row
from tallykeeper_client.errors import Overloaded

OPERATIONS_MAX: Final = 500
"""How many operations a batch has, at most: half of what the contract allows, so that others are soon served."""

IN_FLIGHT_MAX: Final = 4
"""How many batches are under way at once."""

_OVERLOADED_MAX: Final = 30
"""How often a batch is sent again that met a server with too much to do."""

_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of a row: on_hand is set or, if ``adds``, added. ``location`` is that of rows that name none."""

    adds: bool
    location: str = ""

    def operations(self, row: Row) -> Iterator[Operation]:
        """Make what a row asks for: its copies first, so that a new level has crossed nothing when it is ruled."""
        location = row.location or self.location
        if not self.adds:
            yield operations.set_stock(row.item, row.on_hand, location=location)
        elif row.on_hand:
            yield operations.increment_copies(row.item, location=location, copies=row.on_hand)
        if row.settings:
            yield operations.configure_stock(
                row.item,
                location=location,
                safety_stock=row.settings.get("safety_stock", UNCHANGED),
                backorder_limit=row.settings.get("backorder_limit", UNCHANGED),
                low_stock_threshold=row.settings.get("low_stock_threshold", UNCHANGED),
            )

    def identify(self, file: BinaryIO) -> str:
        """Read a file to its end and make what is the same for the same file and plan: 32 hexadecimal digits."""
        digest = hashlib.blake2b(f"{self.adds} {self.location}\n".encode(), digest_size=16)
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
        return digest.hexdigest()


@dataclass(slots=True)
class Batch:
    """Some rows that follow one another: what is wrong with the bad ones, and what the others ask for."""

    first_row: int
    last_line: int = 0
    row_count: int = 0
    flaws: list[str] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    """The line of each operation's row."""
    levels: set[tuple[str, str]] = field(default_factory=set)
    """What the operations change: item and location."""
    bad_row_count: int = 0

    def take(self, row: Row | BadRow, plan: Plan) -> None:
        """Put one more row into it."""
        self.row_count += 1
        self.last_line = row.line
        if isinstance(row, BadRow):
            self.bad_row_count += 1
            self.flaws.extend(row.flaws)
            return
        self.levels.add((row.item, row.location or plan.location or "main"))
        for operation in plan.operations(row):
            self.operations.append(operation)
            self.lines.append(row.line)


def batches(rows: Iterable[Row | BadRow], plan: Plan, *, rows_max: int) -> Iterator[Batch]:
    """Put rows into batches of so many, the bad ones counted."""
    batch = Batch(first_row=1)
    for number, row in enumerate(rows, start=1):
        batch.take(row, plan)
        if batch.row_count == rows_max:
            yield batch
            batch = Batch(first_row=number + 1)
    if batch.row_count:
        yield batch


def send(client: Client, batch: Batch, *, file_id: str, options: MutationOptions) -> ApplyResponse:
    """Apply a batch under its own request id, and again if the server has too much to do at the moment."""
    if not batch.operations:
        return ApplyResponse()
    under: MutationOptions = {**options, "request_id": f"{file_id}-{batch.first_row}"}
    for _ in range(_OVERLOADED_MAX):
        try:
            return client.apply(batch.operations, **under)
        except Overloaded as error:
            time.sleep(error.retry_after_seconds or 1.0)
    return client.apply(batch.operations, **under)


def sent(every: Iterable[Batch], send_one: Callable[[Batch], ApplyResponse]) -> Iterator[tuple[Batch, ApplyResponse]]:
    """Send batches, several at once, and give each with its answer, in order.

    One that changes a level which is changed by one under way waits for it: the later row of a file has the last word.
    """
    with ThreadPoolExecutor(IN_FLIGHT_MAX) as threads:
        under_way: deque[tuple[Batch, Future[ApplyResponse]]] = deque()
        for batch in every:
            while len(under_way) == IN_FLIGHT_MAX or any(batch.levels & other.levels for other, _ in under_way):
                yield _first(under_way)
            under_way.append((batch, threads.submit(send_one, batch)))
        while under_way:
            yield _first(under_way)


def _first(under_way: deque[tuple[Batch, Future[ApplyResponse]]]) -> tuple[Batch, ApplyResponse]:
    batch, answer = under_way.popleft()
    return batch, answer.result()
