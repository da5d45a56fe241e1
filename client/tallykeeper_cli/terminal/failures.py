"""How a command ends that did not get what it asked for: its exit code, and its one line on stderr."""

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
    """Why a server cannot be reached, and whether that may pass without anybody changing something."""

    text: str
    may_pass: bool


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
def told(target: str = "", cause_of: Callable[[], Cause | None] | None = None) -> Iterator[None]:
    """Report a call that fails within in one line, and end with its exit code.

    ``cause_of`` says why a server at ``target`` cannot be reached, if it can find out.
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
    """Tell whether the error is that of this side, which got no answer."""
    return error.reason == error.code.name and error.code in _UNREACHED


def failed(error: TallykeeperError, line: str) -> click.ClickException:
    """Make of a call's error what ends the command, with this line and the exit code of the error."""
    if isinstance(error, InvalidField | RequestTooLarge):
        return BadField(line)
    return Unanswered(line) if error.code in _INDEFINITE else Refused(line)


def line_of(error: TallykeeperError) -> str:
    """Say what happened, with the contract's word for it and what to do where the outcome is unknown."""
    line = told_with_reason(error)
    if isinstance(error, InsufficientStock) and error.short_line_count > 1:
        line += f"; short in all: {_short_lines(error)}"
    return line + _how_to_repeat(error)


def _how_to_repeat(error: TallykeeperError) -> str:
    if not error.request_id or error.code not in _INDEFINITE or isinstance(error, RequestTooLarge):
        return ""
    return f"; to try again without counting twice, add --request-id {error.request_id}"


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
