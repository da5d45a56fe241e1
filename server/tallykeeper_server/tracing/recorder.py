"""Gathers the spans that have ended, and hands them to the exporter in chunks."""

import asyncio
import contextlib
import marshal
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from tallykeeper_server.tracing.records import Record

CHUNK_SPANS: Final = 128
"""The spans of a full chunk. It is sent after the batch that fills it. A larger chunk would leave the core's cache."""
FLUSH_SECONDS: Final = 0.25
"""The time after which a chunk is sent although it is not full."""


class Recorder:
    """The spans that have ended and wait for their chunk."""

    def __init__(self, send: Callable[[bytes, int], None]) -> None:
        """Take ``send``, which takes a chunk and the number of its spans."""
        self._send = send
        self._records: list[Record] = []
        self.add = self._records.append
        """Takes the record of a span that has ended. It is the list's own method, which takes no time."""

    def flush_if_full(self) -> None:
        """Send the spans that wait, if there are enough for a chunk."""
        if len(self._records) >= CHUNK_SPANS:
            self.flush()

    def flush(self) -> None:
        """Send the spans that wait."""
        records = self._records
        if records:
            # The clock of the records only counts. Each chunk says how far it is behind the clock of the calendar.
            behind_ns = time.time_ns() - time.perf_counter_ns()
            chunk, spans = marshal.dumps((behind_ns, records)), len(records)
            records.clear()
            self._send(chunk, spans)

    @contextlib.asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Flush four times a second within this context, and at its end."""
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
