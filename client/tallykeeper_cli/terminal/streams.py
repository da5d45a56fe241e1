"""The standard streams of a command: UTF-8 in every locale, and an error in writing that hides no result.

A command first does its work and then prints the answer. If the answer cannot be printed, the work is still done. So
the streams keep the first error and raise none. `Streams.exit_code` turns the error into the exit code.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO, cast

from tallykeeper_cli.terminal.exit_codes import EXIT_UNWRITTEN


class OutputLostError(Exception):
    """Nobody can read the rest of the output: its reader has left, or the output cannot be written."""


class Guarded:
    """A text stream that keeps the first error in writing, and drops all later text."""

    def __init__(self, stream: TextIO | None, *, errors: str) -> None:
        """Take a stream; None if the process was started without it.

        ``errors`` is the name of the handler for characters that UTF-8 cannot encode (lone surrogates).
        """
        self._stream = stream
        self.error: OSError | None = None
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors=errors)

    @property
    def reader_left(self) -> bool:
        """True if the output is a pipe whose reader has ended."""
        return self.error is not None and self.error.errno == errno.EPIPE

    def write(self, text: str) -> int:
        """Write, unless an earlier write failed."""
        if self._stream is None:
            self.error = self.error or OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self.error is None:
            try:
                return cast("TextIO", self._stream).write(text)
            except OSError as error:
                self.error = error
        return len(text)

    def flush(self) -> None:
        """Flush, unless an earlier write failed."""
        if self._stream is None or self.error is not None:
            return
        try:
            self._stream.flush()
        except OSError as error:
            self.error = error

    def close_quietly(self) -> None:
        """Redirect a failed stream, so that the interpreter's last flush reports no error."""
        if self.error is None or self._stream is None:
            return
        with suppress(OSError, ValueError):
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, self._stream.fileno())
            os.close(devnull)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # the other attributes of a text stream
        return getattr(self._stream, name)


@dataclass(frozen=True, slots=True)
class Streams:
    """Both streams of a command."""

    out: Guarded
    err: Guarded

    def exit_code(self, code: int) -> int:
        """Return the exit code of a command that ended with ``code``, and report an answer that was not written.

        A command that failed keeps its code, because that is more important.
        """
        self.out.flush()
        error = self.out.error
        if error is not None and not self.out.reader_left and code == 0:
            reason = error.strerror or str(error)
            self.err.write(f"tallykeeper: the output cannot be written: {reason}; the command has done its work\n")
            code = EXIT_UNWRITTEN
        self.err.flush()
        for stream in (self.out, self.err):
            stream.close_quietly()
        return code


@contextmanager
def guarded() -> Iterator[Streams]:
    """Replace stdout and stderr by guarded streams in this block."""
    before = sys.stdout, sys.stderr
    streams = Streams(Guarded(sys.stdout, errors="replace"), Guarded(sys.stderr, errors="backslashreplace"))
    sys.stdout, sys.stderr = cast("TextIO", streams.out), cast("TextIO", streams.err)
    try:
        yield streams
    finally:
        sys.stdout, sys.stderr = before


def check_output() -> None:
    """Raise `OutputLostError` if nobody can read the text on stdout."""
    if getattr(sys.stdout, "error", None) is not None:
        raise OutputLostError
