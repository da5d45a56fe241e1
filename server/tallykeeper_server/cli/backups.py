"""``tallykeeper backup`` copies the data of the embedded store, and ``restore`` makes a data directory from a copy."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from tallykeeper_server.app.restoration import VerifiedNamespace, verify_data_dir
from tallykeeper_server.cli.data_options import DATA_DIR, STORE_BINARY
from tallykeeper_server.cli.ending_signals import EndedError, EndingSignals, ended_by_signals
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.runtime.logs import configure_logs
from tallykeeper_server.setting_types import FilePath
from tallykeeper_server.store.embedded.archives import ArchiveError
from tallykeeper_server.store.embedded.backups import back_up, back_up_to_stream
from tallykeeper_server.store.embedded.data_dir import DataDirError
from tallykeeper_server.store.embedded.data_format import FormatError
from tallykeeper_server.store.embedded.manifest import ManifestError
from tallykeeper_server.store.embedded.point_in_time import Cut, cut_after
from tallykeeper_server.store.embedded.restores import fill_from_folder, fill_from_stream, new_data_dir
from tallykeeper_server.store.embedded.snapshots import SnapshotError
from tallykeeper_server.store.embedded.valkey import find_binary

_STREAM: Final = Path("-")
_STDIN, _STDOUT = 0, 1
_TO_TERMINAL: Final = (
    "a backup cannot be written to a terminal; write it to a file or a pipe, as in: tallykeeper backup - > FILE"
)
_FROM_TERMINAL: Final = (
    "a backup cannot be read from a terminal; give it a file or a pipe, as in: tallykeeper restore - < FILE"
)
_EXIT_DIFFERENT: Final = 4
"""The code that ``tallykeeper verify`` gives to differences, too."""
_NAMESPACES_SHOWN: Final = 100
_DIFFERENCES_SHOWN: Final = 5
"""The maximum number of differences that are printed for a namespace; tallykeeper verify prints all of them."""
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""A time as RFC 3339 writes it: https://www.rfc-editor.org/rfc/rfc3339#section-5.6.

The hour ends at 23. Python 3.14 would also read 24:00.
"""


class Moment(click.ParamType[int]):
    """A time in the form of RFC 3339, as milliseconds since 1970."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the milliseconds, or fail with the rule that the text breaks. Smaller parts are dropped."""
        if isinstance(value, int):
            return value
        rule = "a time with its zone, such as 2026-11-28T12:00:00Z or 2026-11-28T13:00:00.250+01:00"
        if not _MOMENT.fullmatch(str(value)):
            self.fail(f"{value!r} is not {rule}", param, ctx)
        try:
            moment = datetime.fromisoformat(str(value).upper())
            return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MILLISECOND
        except (ValueError, OverflowError) as error:
            self.fail(f"{value!r} is not {rule}: {error}", param, ctx)


_MILLISECOND: Final = datetime(1970, 1, 1, microsecond=1_000, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)


@click.command
@click.argument("to", type=FilePath())
@DATA_DIR
@click.pass_context
def backup(ctx: click.Context, /, to: Path, data_dir: Path) -> None:
    """Copy the embedded store's data into the new directory TO, or to standard output if TO is -.

    Run it on the server's machine as the server's user or as root. The server may run. The copy has every change that
    was acknowledged before. Standard output gets a tar stream, for a pipe or a file.

    To restore the copy, run tallykeeper restore, or start a server with --data-dir TO. An interrupted copy is removed;
    if that fails, no server starts on it. The exit code is 1 if there is no complete copy.
    """
    is_stream = to == _STREAM
    if is_stream and os.isatty(_STDOUT):
        raise click.UsageError(_TO_TERMINAL, ctx)
    remains = "what was written is no backup" if is_stream else f"{to} was removed"
    with _reported("backup", remains):
        made = back_up_to_stream(data_dir, _STDOUT) if is_stream else back_up(data_dir, to)
    while_running = "while the server runs" if made.online else "of a server that does not run"
    click.echo(f"{made.size / 2**20:.1f} MiB copied to {made.to}, {while_running}", err=is_stream)


@click.command
@click.argument("source", type=FilePath())
@DATA_DIR
@click.option(
    "--until",
    type=Moment(),
    help="Leave out the first change that is later than this time, and everything after it. The times are those of the"
    " ledger; an example is 2026-11-28T12:00:00Z.",
)
@STORE_BINARY
@click.pass_context
def restore(ctx: click.Context, /, source: Path, data_dir: Path, until: int | None, store_binary: Path | None) -> None:
    """Make a data directory from SOURCE, and verify every namespace of it.

    SOURCE is a directory or a tar file that tallykeeper backup has written, - for a tar stream on standard input, or
    the data directory of a server that does not run. The data directory must be empty or not exist yet. Run it as the
    server's user.

    Before the data is in place, a store is started on it, and each namespace is compared with its ledger. The exit code
    is 4 if there are differences; the data is in place then. It is 1 if the data cannot be restored; then nothing was
    changed.
    """
    if source == _STREAM and os.isatty(_STDIN):
        raise click.UsageError(_FROM_TERMINAL, ctx)
    configure_logs(level="warning", log_format="auto")
    with _reported("restore", f"{data_dir} is as it was before") as signals:
        binary = find_binary(store_binary)
        with new_data_dir(data_dir) as draft:
            _fill(draft, source)
            cut = None if until is None else cut_after(draft, until)
            verified = signals.run(verify_data_dir(draft, binary))
            if until is not None:
                _check_times(verified, until, source)
            size = _size_of(draft)
    summary = f"{_number(len(verified), 'namespace')}, {_number(_differences(verified), 'difference')}"
    click.echo(f"{size / 2**20:.1f} MiB restored to {data_dir}; {summary}")
    if until is not None and cut is not None:
        click.echo(_words_of_cut(cut, until))
    _show_namespaces(verified)
    if _differences(verified):
        raise click.exceptions.Exit(_EXIT_DIFFERENT)


@contextmanager
def _reported(command: str, remains: str) -> Iterator[EndingSignals]:
    """Turn errors into one line on stderr and an exit code.

    ``remains`` is the state of the files after a signal, in words.
    """
    try:
        with ended_by_signals() as signals:
            yield signals
    except (TallyError, ManifestError, FormatError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        message = f"{command} failed, {remains}: {where}{error.strerror or error}"
        raise click.ClickException(message) from error
    except EndedError as ended:
        with suppress(OSError):  # the terminal may have been closed
            click.echo(f"tallykeeper: {ended.signal.name} ended the {command}; {remains}", err=True)
        raise click.exceptions.Exit(ended.exit_code) from ended


def _fill(draft: Path, source: Path) -> None:
    """Copy or unpack the source into a folder.

    :raises TallyError: the source cannot be used.
    """
    try:
        if source == _STREAM:
            with open(_STDIN, "rb", closefd=False) as stream:
                fill_from_stream(draft, stream)
        elif source.is_dir():
            fill_from_folder(draft, source)
        else:
            with source.open("rb") as stream:
                fill_from_stream(draft, stream)
    except (OSError, ArchiveError, SnapshotError) as error:
        name = "the stream on standard input" if source == _STREAM else source
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else error.message
        message = f"{name} was not restored, and nothing was changed: {reason}"
        raise DataDirError(message) from error


def _size_of(folder: Path) -> int:
    """Return the size of all files in a folder, in bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _differences(verified: Sequence[VerifiedNamespace]) -> int:
    return sum(each.audit.difference_count for each in verified)


def _check_times(verified: Sequence[VerifiedNamespace], until: int, source: Path) -> None:
    """Return if no namespace has a change that is later than the given time.

    :raises DataDirError: the snapshot that the append-only file begins with has later changes.
    """
    latest = max((each.last_change_ms or 0 for each in verified), default=0)
    if latest > until:
        message = (
            f"{source} cannot be restored until {_time_of(until)}, and nothing was changed: the snapshot in it has"
            f" changes up to {_time_of(latest)}, which is its earliest moment; use an older backup"
        )
        raise DataDirError(message)


def _words_of_cut(cut: Cut, until: int) -> str:
    if cut.next_ms is None:
        return f"no change after {_time_of(until)} was found, so everything was restored"
    earlier = f", {cut.earlier_left_out} of them not later than that" if cut.earlier_left_out else ""
    left_out = f"{_number(cut.left_out, 'change')}, the first of {_time_of(cut.next_ms)}{earlier}"
    return f"until {_time_of(until)}; left out: {left_out}"


def _show_namespaces(verified: Sequence[VerifiedNamespace]) -> None:
    """Print a line for each namespace and each difference, those with differences first, up to some number."""
    for each in sorted(verified, key=lambda each: not each.audit.difference_count)[:_NAMESPACES_SHOWN]:
        click.echo(_words_of(each))
        for difference in each.audit.differences[:_DIFFERENCES_SHOWN]:
            named = " ".join(part for part in (difference.kind.value, difference.location, difference.name) if part)
            click.echo(f"    {named}: expected {difference.expected}, found {difference.actual}")
    if len(verified) > _NAMESPACES_SHOWN:
        click.echo(f"  and {_number(len(verified) - _NAMESPACES_SHOWN, 'other namespace')}")


def _words_of(verified: VerifiedNamespace) -> str:
    audit = verified.audit
    time = "" if verified.last_change_ms is None else f" of {_time_of(verified.last_change_ms)}"
    levels = (
        f"{_number(audit.levels_checked, 'level')} and {_number(audit.reservations_checked, 'reservation')} verified"
    )
    unchecked = f", {audit.levels_unchecked} no longer in the ledger" if audit.levels_unchecked else ""
    return f"  {verified.namespace}: revision {audit.revision}{time}; {levels}{unchecked}"


def _number(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _time_of(ms: int) -> str:
    """Return a time as RFC 3339 writes it."""
    try:
        moment = datetime.fromtimestamp(ms // 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms after 1970"  # a namespace's clock may have been wrong
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1_000:03}Z"
