"""How a command ends that did not get what it asked for: its exit code, and its one line on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click
import grpc

from tallykeeper_client.commands.exit_codes import EXIT_REFUSED, EXIT_UNKNOWN, EXIT_UNWRITTEN, EXIT_USAGE
from tallykeeper_client.errors import InvalidField, TallykeeperError
from tallykeeper_client.refusals import InsufficientStock, ShortLine

_INDEFINITE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


class Refused(click.ClickException):  # what happened, as its siblings in `errors` say it
    """A definite answer, and not the one that was wanted."""

    exit_code = EXIT_REFUSED


class BadField(Refused):
    """What was asked breaks a rule of the contract."""

    exit_code = EXIT_USAGE


class Unanswered(Refused):
    """No answer, or none that is definite."""

    exit_code = EXIT_UNKNOWN


class Unwritten(Refused):
    """A file cannot be written, as on a full disk."""

    exit_code = EXIT_UNWRITTEN


@contextmanager
def told() -> Iterator[None]:
    """Tell of a call that fails within in one line, and end with its exit code."""
    try:
        yield
    except TallykeeperError as error:
        raise failed(error, line_of(error)) from error
    except UnicodeEncodeError as error:
        message = f"{error.object!r} is not Unicode text"
        raise click.UsageError(message) from error


def failed(error: TallykeeperError, line: str) -> click.ClickException:
    """Make of a call's error what ends the command, with this line and the exit code of the error."""
    if isinstance(error, InvalidField):
        return BadField(line)
    return Unanswered(line) if error.code in _INDEFINITE else Refused(line)


def line_of(error: TallykeeperError) -> str:
    """Say what happened, with the contract's word for it and what to do where the outcome is unknown."""
    line = told_with_reason(error)
    if isinstance(error, InsufficientStock) and error.short_line_count > 1:
        line += f"; short in all: {_short_lines(error)}"
    if error.request_id and error.code in _INDEFINITE:
        line += f"; to try again without counting twice, add --request-id {error.request_id}"
    return line


def told_with_reason(error: TallykeeperError) -> str:
    """Say what happened, and the contract's word for it if it has one."""
    return error.message if error.reason == error.code.name else f"{error.message} [{error.reason}]"


def _short_lines(error: InsufficientStock) -> str:
    named = ", ".join(_short_line(line) for line in error.lines)
    untold = error.short_line_count - len(error.lines)
    return f"{named} and {untold} more" if untold else named


def _short_line(line: ShortLine) -> str:
    left = max(line.available + line.backorder_limit, 0)
    return f"{line.item}@{line.location} ({line.requested} asked for, {left} left)"
