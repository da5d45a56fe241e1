"""Structured logs: text for a person at a terminal, JSON for a machine."""

import logging
import math
import os
import sys
import time
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import structlog

_OTHER_LOGGERS: Final = {"tallykeeper_server.transport": logging.INFO, "uvicorn": logging.WARNING}
"""The loggers of Python's ``logging`` whose lines are ours, and the lowest level of each."""
_PEER_LINES_PER_SECOND_MAX: Final = 10
"""The lines about peers that are logged in a second, so that nobody fills a disk with bad connections."""

_descriptors: list[int] = []
"""Where the log goes, last; nothing in it means to Python's standard error."""


def write_logs_to(descriptor: int) -> None:
    """Write the log to a file descriptor when it is configured next. This is one process's decision, for its life."""
    _descriptors.append(descriptor)


def log_descriptor() -> int:
    """Return the file descriptor to which the log goes."""
    return _descriptors[-1] if _descriptors else sys.stderr.fileno()


def configure_logs(*, level: str, log_format: str, worker: int | None = None) -> None:
    """Log to standard error from now on. ``auto`` means text on a terminal, and else JSON.

    Each line tells the number of the worker, if there is one.
    """
    file = cast("TextIO", _LogFile(_descriptors[-1])) if _descriptors else sys.stderr
    text = log_format == "text" or (log_format == "auto" and file.isatty())
    renderers: list[structlog.typing.Processor] = (
        # A plain trace: the one that rich would draw shows the locals, and so what callers sent.
        [
            _escape,
            structlog.dev.ConsoleRenderer(colors=file.isatty(), exception_formatter=structlog.dev.plain_traceback),
        ]
        if text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    # Loggers are not cached: a reload of the settings may change the level.
    structlog.configure(
        processors=[
            *([] if worker is None else [_numbered(worker)]),
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if text else "iso", utc=not text),
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file),
    )
    for name, least in _OTHER_LOGGERS.items():
        logger = logging.getLogger(name)
        logger.handlers = [TransportLines()]
        logger.propagate = False
        logger.setLevel(least)


class TransportLines(logging.Handler):
    """Logs the lines of the transport and of uvicorn, which know Python's ``logging`` alone.

    Of the lines about peers, which are below ERROR, 10 are logged in a second; ``unlogged`` counts the others.
    """

    def __init__(self) -> None:
        super().__init__()
        self._second = -math.inf
        self._logged = self._unlogged = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record with the level, message and exception that it has."""
        fields: dict[str, Any] = {}
        if record.levelno < logging.ERROR:
            if not self._has_room():
                self._unlogged += 1
                return
            if self._unlogged:
                fields["unlogged"], self._unlogged = self._unlogged, 0
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        structlog.get_logger().log(record.levelno, record.getMessage(), **fields)

    def _has_room(self) -> bool:
        second = math.floor(time.monotonic())
        if second != self._second:
            self._second, self._logged = second, 0
        self._logged += 1
        return self._logged <= _PEER_LINES_PER_SECOND_MAX


class _LogFile:
    """The log on a file descriptor: each line in one write. A reader that has left is no error of who logs."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> None:
        """Write all of a text."""
        data = text.encode(errors="backslashreplace")
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]

    def flush(self) -> None:
        """Do nothing: nothing waits."""

    def isatty(self) -> bool:
        """Tell whether a person reads it."""
        return os.isatty(self._descriptor)


def _escape(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape what moves a terminal's cursor or begins a new line, for text may be a peer's."""
    return {name: _printable(value) for name, value in event.items()}


def _printable(value: Any) -> Any:  # noqa: ANN401  # of any field
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in value)


def _numbered(worker: int) -> structlog.typing.Processor:
    """Return what adds the number of the worker to a line."""

    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"worker": worker, **event}

    return add
