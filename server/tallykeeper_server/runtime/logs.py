"""Structured logs: text for a person at a terminal, JSON for a machine."""

import logging
import os
import sys
from contextlib import suppress
from typing import Any, Final, TextIO, cast

import structlog

from tallykeeper_server.domain.log_limit import LogLimit

_OTHER_LOGGERS: Final = {"tallykeeper_server.transport": logging.INFO, "uvicorn": logging.ERROR}
"""The loggers of Python's ``logging`` whose lines go into the log, each with its lowest level.

uvicorn warns of each client that asks for another protocol, and advises to install one.
"""

_descriptors: list[int] = []
"""The file descriptor of the log is the last element. If the list is empty, the log goes to Python's stderr."""


def write_logs_to(descriptor: int) -> None:
    """Write the log to a file descriptor after the next `configure_logs`. A process calls this once."""
    _descriptors.append(descriptor)


def log_descriptor() -> int:
    """Return the file descriptor of the log."""
    return _descriptors[-1] if _descriptors else sys.stderr.fileno()


def configure_logs(*, level: str, log_format: str, worker: int | None = None) -> None:
    """Configure the log, which goes to stderr. The format ``auto`` is text on a terminal and JSON otherwise.

    Each line carries the number of the worker, if there is one.
    """
    file = cast("TextIO", _LogFile(_descriptors[-1])) if _descriptors else sys.stderr
    text = log_format == "text" or (log_format == "auto" and file.isatty())
    renderers: list[structlog.typing.Processor] = (
        # A plain trace, because rich's trace shows local variables, which hold the text of callers.
        [
            _escape,
            structlog.dev.ConsoleRenderer(colors=file.isatty(), exception_formatter=structlog.dev.plain_traceback),
        ]
        if text
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    # Loggers are not cached, because a reload of the settings may change the level.
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
    """Logs the lines of the transport and of uvicorn, which use Python's ``logging``.

    A record below ERROR is about a peer, and ``domain.log_limit`` limits such lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._limit = LogLimit()

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record with its level, message and exception."""
        fields: dict[str, Any] = {}
        if record.levelno < logging.ERROR:
            unlogged = self._limit.admit()
            if unlogged is None:
                return
            fields.update(unlogged)
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        try:
            structlog.get_logger().log(record.levelno, record.getMessage(), **fields)
        except Exception:  # noqa: BLE001  # whoever logs goes on; Python 3.11 may fail to format a trace
            self.handleError(record)


class _LogFile:
    """The log on a file descriptor. Each line is one write. A reader that has left causes no error."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> None:
        """Write a text."""
        data = text.encode(errors="backslashreplace")
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]

    def flush(self) -> None:
        """Do nothing, because nothing is buffered."""

    def isatty(self) -> bool:
        """Return True if the log goes to a terminal."""
        return os.isatty(self._descriptor)


def _escape(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape characters that move a terminal's cursor or begin a line, because a peer may have sent the text."""
    return {name: _printable(value) for name, value in event.items()}


def _printable(value: Any) -> Any:  # noqa: ANN401  # of any field
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in value)


def _numbered(worker: int) -> structlog.typing.Processor:
    """Return a processor that adds the worker's number to a line."""

    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"worker": worker, **event}

    return add
