"""The process that exports the spans of one worker. It alone loads OpenTelemetry.

It reads chunks from its standard input, and writes a report of each to its standard output, in JSON, one to a line. The
worker ends it by closing the input.
"""

import contextlib
import json
import marshal
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final, TextIO

from tallykeeper_server.tracing.collector import Collector, Refusal
from tallykeeper_server.tracing.environment import TraceSettingError
from tallykeeper_server.tracing.otlp import Encoder
from tallykeeper_server.tracing.records import HEAD, Chunk, spans_in

_NICENESS: Final = 10
"""The process gives way to the workers and the store."""
_REQUEST_SPANS: Final = 2_048
"""The number of spans from which on no further chunk joins a request."""
_READ_BYTES_MAX: Final = 1 << 20
_READ_PAUSE_SECONDS: Final = 0.02
_END_SECONDS: Final = 5.0
"""The time for the last spans after the worker has gone."""


class _Input:
    """The chunks, read by a thread, so that the end of the worker is noticed while an export waits for its backend.

    The thread sleeps between its reads. If each chunk woke it, this process would interrupt the worker more often.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ends_at: float | None = None
        threading.Thread(target=self._read, daemon=True).start()

    def seconds_left(self, seconds: float) -> float:
        """Return the seconds that the next export may take, at most ``seconds``."""
        return seconds if self._ends_at is None else min(seconds, self._ends_at - time.monotonic())

    def __iter__(self) -> Iterator[list[Chunk]]:
        """Yield the chunks for each request: the next one, and those that wait already, as far as they fit."""
        while (chunk := self._chunks.get()) is not None:
            chunks = [marshal.loads(chunk)]  # noqa: S302  # the worker has written it
            while sum(map(spans_in, chunks)) < _REQUEST_SPANS:
                try:
                    further = self._chunks.get_nowait()
                except queue.Empty:
                    break
                if further is None:
                    self._chunks.put(None)
                    break
                chunks.append(marshal.loads(further))  # noqa: S302  # from the worker
            yield chunks

    def _read(self) -> None:
        unread = b""
        while some := os.read(self._descriptor, _READ_BYTES_MAX):
            unread += some
            begin = 0
            while (end := _end_of_chunk(unread, begin)) is not None:
                self._chunks.put(unread[begin + HEAD.size : end])
                begin = end
            unread = unread[begin:]
            time.sleep(_READ_PAUSE_SECONDS)
        self._ends_at = time.monotonic() + _END_SECONDS
        self._chunks.put(None)


def _end_of_chunk(read: bytes, begin: int) -> int | None:
    """Return the end of the chunk whose head begins at an index; None if it has not been read completely."""
    if len(read) < begin + HEAD.size:
        return None
    end: int = begin + HEAD.size + HEAD.unpack_from(read, begin)[0]
    return end if end <= len(read) else None


def main() -> None:
    """Export spans until the worker closes the input."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the spans of the worker's last calls are still to come
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    reports = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # no library writes among the reports
    description = json.loads(sys.argv[1])
    try:
        collector = Collector(os.environ)
        encoder = Encoder(service_instance=description["instance"], store=description["store"])
    except TraceSettingError as error:
        _report(reports, refused=str(error))
        return
    _report(reports, ready=True)
    source = _Input(sys.stdin.fileno())
    for chunks in source:
        seconds = source.seconds_left(collector.timeout_seconds)
        refusal: Refusal | None = Refusal("the server has stopped")
        if seconds > 0:
            refusal = collector.export(encoder.request(chunks), timeout_seconds=seconds)
        spans = sum(map(spans_in, chunks))
        _report(reports, spans=spans, **_failure(refusal, spans))


def _failure(refusal: Refusal | None, spans: int) -> dict[str, object]:
    """Return the part of a report that says what the backend has not taken of some spans."""
    if refusal is None:
        return {"failed": 0, "error": ""}
    return {"failed": spans if refusal.spans is None else min(refusal.spans, spans), "error": refusal.error}


def _report(reports: TextIO, **values: object) -> None:
    with contextlib.suppress(BrokenPipeError):  # the worker has gone, and nobody counts the spans any more
        print(json.dumps(values), file=reports, flush=True)


if __name__ == "__main__":
    main()
