"""The end of a command that failed: its exit code, and its line on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import click
import grpc

from tallykeeper_cli.terminal.exit_codes import EXIT_REFUSED, EXIT_UNKNOWN, EXIT_UNWRITTEN, EXIT_USAGE
from tallykeeper_client.errors import InsufficientStock, InvalidField, RequestTooLarge, ShortLine, TallykeeperError

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


_UNREACHED: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class Cause(NamedTuple):
    """The reason why a server cannot be reached, and a flag: the reason may pass without anybody's action."""

    text: str
    may_pass: bool


class Refused(click.ClickException):  # the class has the name of an outcome, as those in `errors`
    """The answer is definite, and refuses the command."""

    exit_code = EXIT_REFUSED


class BadField(Refused):
    """The command breaks a rule of the contract."""

    exit_code = EXIT_USAGE


class Unanswered(Refused):
    """There is no answer, or no definite answer."""

    exit_code = EXIT_UNKNOWN


class Unwritten(Refused):
    """A file cannot be written, as on a full disk."""

    exit_code = EXIT_UNWRITTEN


@contextmanager
def reported(target: str = "", cause_of: Callable[[], Cause | None] | None = None) -> Iterator[None]:
    """Report in one line a call that fails in this block, and end with its exit code.

    ``cause_of`` returns the reason why the server at ``target`` cannot be reached, if it finds one.
    """
    try:
        yield
    except TallykeeperError as error:
        cause = cause_of() if cause_of and _was_not_reached(error) else None
        if cause is None:
            line = line_of(error)
        else:
            line = f"no Tallykeeper server answers at {target}: {cause.text}"
            line += _how_to_repeat(error) if cause.may_pass else ""
        raise failed(error, line) from error
    except UnicodeEncodeError as error:
        message = f"{error.object!r} is not Unicode text"
        raise click.UsageError(message) from error


def _was_not_reached(error: TallykeeperError) -> bool:
    """Return True for an error of the client itself, which got no answer."""
    return error.reason == error.code.name and error.code in _UNREACHED


def failed(error: TallykeeperError, line: str) -> click.ClickException:
    """Return the exception that ends the command with this line and the exit code of the error."""
    if isinstance(error, InvalidField | RequestTooLarge):
        return BadField(line)
    return Unanswered(line) if error.code in _INDEFINITE else Refused(line)


def line_of(error: TallykeeperError) -> str:
    """Return an error in one line: its message, its reason and, if the outcome is unknown, the next step."""
    line = message_with_reason(error)
    if isinstance(error, InsufficientStock) and error.short_line_count > 1:
        line += f"; all short lines: {_short_lines(error)}"
    return line + _how_to_repeat(error)


def _how_to_repeat(error: TallykeeperError) -> str:
    if not error.request_id or error.code not in _INDEFINITE or isinstance(error, RequestTooLarge):
        return ""
    return f"; to try again without counting twice, add --request-id {error.request_id}"


def message_with_reason(error: TallykeeperError) -> str:
    """Return the message of an error, with the contract's word for the reason if there is one."""
    return error.message if error.reason == error.code.name else f"{error.message} [{error.reason}]"


def _short_lines(error: InsufficientStock) -> str:
    named = ", ".join(_short_line(line) for line in error.lines)
    unlisted = error.short_line_count - len(error.lines)
    return f"{named} and {unlisted} more" if unlisted else named


def _short_line(line: ShortLine) -> str:
    left = max(line.available + line.backorder_limit, 0)
    return f"{line.item}@{line.location} ({line.requested} requested, {left} left)"
