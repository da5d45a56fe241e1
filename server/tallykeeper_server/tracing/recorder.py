"""Gathers the spans that have ended, and hands them to the exporter in chunks."""

import asyncio
import contextlib
import marshal
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from tallykeeper_server.tracing.records import CallRecord, StoreRecord, spans_in

CHUNK_SPANS: Final = 128
"""The spans of a full chunk. It is sent after the batch that fills it. A larger chunk would leave the core's cache."""
FLUSH_SECONDS: Final = 0.25
"""The time after which a chunk is sent although it is not full."""


class Recorder:
    """The spans that have ended and wait for their chunk."""

    def __init__(self, send: Callable[[bytes, int], None]) -> None:
        """Take ``send``, which takes a chunk and the number of its spans."""
        self._send = send
        self._calls: list[CallRecord] = []
        self._store_calls: list[StoreRecord] = []
        self.add_call = self._calls.append
        """Takes the record of a call that has ended. It is the list's own method, which takes no time."""
        self.add_store_call = self._store_calls.append
        """Takes the record of a call to the store that has ended."""

    def flush_if_full(self) -> None:
        """Send the spans that wait, if there are enough for a chunk."""
        if len(self._calls) + len(self._store_calls) >= CHUNK_SPANS:
            self.flush()

    def flush(self) -> None:
        """Send the spans that wait."""
        # The clock of the records only counts. Each chunk says how far it is behind the clock of the calendar.
        chunk = (time.time_ns() - time.perf_counter_ns(), self._calls, self._store_calls)
        spans = spans_in(chunk)
        if spans:
            written = marshal.dumps(chunk)
            self._calls.clear()
            self._store_calls.clear()
            self._send(written, spans)

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
