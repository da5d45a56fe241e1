"""Structured logs: text for a person at a terminal, JSON for a machine."""

import contextlib
import logging
import os
import sys

import structlog


def configure_logs(*, level: str, log_format: str, worker: int | None = None) -> None:
    """Log to standard error from now on. ``auto`` means text on a terminal, and else JSON.

    Each line tells the number of the worker, if there is one.
    """
    text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    renderers: list[structlog.typing.Processor] = (
        # A plain trace: the one that rich would draw shows the locals, and so what callers sent.
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
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
        logger_factory=_LoggerFactory(),
    )


class _Logger(structlog.WriteLogger):
    """Writes to standard error, and loses a line that cannot be written: a full disk must not end the server."""

    def msg(self, message: str) -> None:
        """Write one line."""
        with contextlib.suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


class _LoggerFactory:
    """Makes loggers of standard error as it was when this was made."""

    def __init__(self) -> None:
        self._file = sys.stderr

    def __call__(self, *_: object) -> _Logger:
        return _Logger(self._file)


def silence_grpc() -> None:
    """Keep gRPC's core from writing lines of its own; to be called before gRPC is loaded.

    It writes of what is reported here in one line, and of each process that is started, though none uses gRPC.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


def _numbered(worker: int) -> structlog.typing.Processor:
    """Return what adds the number of the worker to a line."""

    def add(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"worker": worker, **event}

    return add
