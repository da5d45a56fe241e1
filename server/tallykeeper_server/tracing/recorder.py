"""Gathers the spans that have ended, and hands them to the exporter in chunks."""

import asyncio
import contextlib
import marshal
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from tallykeeper_server.tracing.records import Record

CHUNK_SPANS: Final = 512
"""The spans in a full chunk. Writing one takes 0.2 ms, for which the event loop does nothing else."""
FLUSH_SECONDS: Final = 0.1
"""The time after which a chunk goes that is not full."""


class Recorder:
    """The spans that have ended and wait for their chunk."""

    def __init__(self, send: Callable[[bytes, int], None]) -> None:
        """Take ``send``, which takes a chunk and the number of its spans."""
        self._send = send
        self._records: list[Record] = []

    def add(self, record: Record) -> None:
        """Take a span that has ended."""
        records = self._records
        records.append(record)
        if len(records) >= CHUNK_SPANS:
            self.flush()

    def flush(self) -> None:
        """Send the spans that wait."""
        records = self._records
        if records:
            self._records = []
            # The clock of the records only counts. Each chunk says how far it is behind the clock of the calendar.
            behind_ns = time.time_ns() - time.perf_counter_ns()
            self._send(marshal.dumps((behind_ns, records)), len(records))

    @contextlib.asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Flush ten times a second within this context, and at its end."""
        task = asyncio.create_task(self._flush_forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            self.flush()

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()
