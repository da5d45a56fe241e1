"""Keeps a process that exports spans, so that the worker itself spends no time on it.

The process gets chunks through a pipe, and reports each through another one. Spans wait until their report.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import structlog

from tallykeeper_server.metrics.meters import SpanMeter
from tallykeeper_server.tracing.environment import TraceSettingError
from tallykeeper_server.tracing.records import HEAD

_MODULE: Final = "tallykeeper_server.tracing.export_process"
_START_SECONDS: Final = 30.0
"""The maximum time until the process can export. It usually takes a second, because it loads OpenTelemetry."""
_END_SECONDS: Final = 2.0
"""The maximum time for the last spans when the server stops. A worker must end within three seconds."""
_RESTART_FIRST_SECONDS: Final = 0.1
_RESTART_MAX_SECONDS: Final = 30.0
_HEALTHY_SECONDS: Final = 10.0
"""A process that ran this long before it ended is started again without a longer pause."""

log = structlog.get_logger()


class Exporter:
    """The process, and the spans that it has and has not reported."""

    def __init__(self, meter: SpanMeter, description: Mapping[str, object], *, queue_spans_max: int) -> None:
        """Take the ``description`` of this worker and its store, for the process, and the spans that may wait."""
        self._meter = meter
        self._queue_spans_max = queue_spans_max
        self._description = json.dumps(description)
        self._process: asyncio.subprocess.Process | None = None
        self._waiting_spans = 0
        self._failing = False
        self._closes = False
        self._dropping = False
        meter.waiting.read = lambda: self._waiting_spans

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the process running within this context. At its end, wait until the last spans are exported.

        :raises TraceSettingError: the process cannot export as its environment asks.
        """
        await self._start()
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            self._closes = True
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.close()
                await asyncio.wait([keeping], timeout=_END_SECONDS)
            if self._process is not None:
                _kill(self._process)
            keeping.cancel()
            await asyncio.wait([keeping])

    @property
    def process_id(self) -> int | None:
        """The id of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    def send(self, chunk: bytes, spans: int) -> None:
        """Hand over a chunk. If there is no room for it or no process, it is dropped and counted."""
        process = self._process
        full = self._waiting_spans + spans > self._queue_spans_max
        if process is None or process.stdin is None or process.stdin.is_closing() or full:
            self._meter.add("dropped", spans)
            if full and not self._dropping:
                self._dropping = True
                log.warning("spans are dropped because too many wait for their export", waiting=self._waiting_spans)
            return
        self._waiting_spans += spans
        process.stdin.write(HEAD.pack(len(chunk)) + chunk)

    async def _start(self) -> None:
        """Start a process, and return when it can export.

        :raises TraceSettingError: it cannot.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", _MODULE, self._description),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the server, which then ends this process
            )
        except OSError as error:
            message = f"the process that exports traces cannot be started: {error.strerror}"
            raise TraceSettingError(message) from error
        try:
            refusal = await _refusal_of(process)
        except BaseException:
            _kill(process)
            await process.wait()
            raise
        if refusal is not None:
            _kill(process)
            await process.wait()
            message = f"traces cannot be exported: {refusal}"
            raise TraceSettingError(message)
        self._process = process

    async def _keep(self) -> None:
        """Start the process again each time it ends. The pause grows with each failure in a row."""
        loop = asyncio.get_running_loop()
        delay = _RESTART_FIRST_SECONDS
        while True:
            since = loop.time()
            status = await self._follow()
            lost, self._waiting_spans = self._waiting_spans, 0
            self._meter.add("lost", lost)
            if self._closes:
                return
            if loop.time() - since > _HEALTHY_SECONDS:
                delay = _RESTART_FIRST_SECONDS
            log.error("the process that exports traces ended", status=status, spans_lost=lost, again_in_seconds=delay)
            while self._process is None:
                await asyncio.sleep(delay)
                delay = min(2 * delay, _RESTART_MAX_SECONDS)
                with contextlib.suppress(TraceSettingError):
                    await self._start()
            log.info("the process that exports traces runs again", process_id=self.process_id)

    async def _follow(self) -> int:
        """Take the reports of the process until it ends. Return its exit status."""
        process = self._process
        if process is None:
            return 0
        while (report := await _next_report(process)) is not None:
            self._take(report)
        status = await process.wait()
        self._process = None
        return status

    def _take(self, report: Mapping[str, Any]) -> None:
        spans = report["spans"]
        self._waiting_spans -= spans
        if 2 * self._waiting_spans < self._queue_spans_max:
            self._dropping = False  # the next drop is logged again
        failed, error = report["failed"], report["error"]
        self._meter.add("failed", failed)
        self._meter.add("exported", spans - failed)
        if error and not self._failing:
            log.warning("spans are not exported", error=error, spans=failed)
        elif self._failing and not error:
            log.info("spans are exported again")
        self._failing = bool(error)


async def _refusal_of(process: asyncio.subprocess.Process) -> str | None:
    """Wait until a process can export. Return the reason if it cannot."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            report = await _next_report(process)
    except TimeoutError:
        return f"the process that exports them did not begin within {_START_SECONDS:.0f} s"
    if report is None:
        return f"the process that exports them ended with status {await process.wait()}"
    refusal: str | None = report.get("refused")
    return refusal


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _next_report(process: asyncio.subprocess.Process) -> dict[str, Any] | None:
    """Return the next report of a process; None if it has ended."""
    assert process.stdout is not None  # noqa: S101  # it is a pipe
    line = await process.stdout.readline()
    return json.loads(line) if line.endswith(b"\n") else None
