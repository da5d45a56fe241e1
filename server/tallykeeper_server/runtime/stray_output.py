"""Keeps output that is not a line of the log out of the log.

C libraries, the interpreter and a crash write to stdout and stderr in any form, and some of that text comes from an
unknown peer. All of it goes into a pipe, and from the pipe into the log, escaped, as a field. A report of Python
(exceptions of threads and of the event loop, warnings, lines of libraries) becomes one line of the log.
"""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final

import structlog

from tallykeeper_server.runtime.logs import write_logs_to

_LINE_BYTES_MAX: Final = 4_096
"""The maximum number of bytes of a line that is logged in one piece."""
READ_BYTES: Final = 65_536
_LAST_LINES_SECONDS: Final = 1.0

log = structlog.get_logger()


class StrayLines:
    """Assembles lines from the bytes of a pipe."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> Iterator[str]:
        """Yield the lines that end in the next bytes. Empty bytes end the last line."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        if not data or len(self._rest) > _LINE_BYTES_MAX:
            whole, self._rest = [*whole, self._rest], b""
        for line in whole:
            for first in range(0, len(line), _LINE_BYTES_MAX):
                text = line[first : first + _LINE_BYTES_MAX].decode(errors="backslashreplace").rstrip()
                if text:
                    yield text


@contextmanager
def captured_output() -> Iterator[None]:
    """Reserve stderr for the log, and log everything else that this process writes to stderr or stdout."""
    out, err = os.dup(1), os.dup(2)
    reading, writing = os.pipe()
    for descriptor in (1, 2):
        os.dup2(writing, descriptor)
    os.close(writing)
    write_logs_to(err)
    thread = threading.Thread(target=_pass_on, args=(reading,), name="stray output", daemon=True)
    thread.start()
    log_what_python_reports()
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os.dup2(out, 1)
        os.dup2(err, 2)  # the pipe has no writer now, so that its reader ends
        os.close(out)
        thread.join(_LAST_LINES_SECONDS)


def log_what_python_reports() -> None:
    """Log each report that the interpreter or a library would write to stderr as one line."""
    sys.excepthook = _log_exception
    threading.excepthook = _log_exception_of_thread
    sys.unraisablehook = _log_unraisable
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[_LogHandler()], level=logging.WARNING, force=True)


def _pass_on(reading: int) -> None:
    lines = StrayLines()
    data = b"\n"
    while data:
        data = os.read(reading, READ_BYTES)
        for line in lines.take(data):
            log.warning("stray output", line=line)
    os.close(reading)


class _LogHandler(logging.Handler):
    """Logs the reports of libraries, such as exceptions in asyncio's callbacks, and Python's warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        log.log(
            record.levelno,
            "a library reports",
            library=record.name,
            message=record.getMessage().strip(),
            exc_info=record.exc_info or None,
        )


def _log_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("an exception ends the process", exc_info=(kind, error, trace))


def _log_exception_of_thread(report: threading.ExceptHookArgs) -> None:
    if report.exc_value is None or isinstance(report.exc_value, SystemExit):
        return
    name = report.thread.name if report.thread else ""
    log.error("an exception ends a thread", thread=name, exc_info=report.exc_value)


def _log_unraisable(report: "sys.UnraisableHookArgs") -> None:
    log.error("an exception without a handler", where=repr(report.object), exc_info=report.exc_value)
