"""``tallykeeper verify``: compares a namespace with its ledger."""

from contextlib import closing

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tallykeeper.v1.ledger_pb2 import VerifyProgress, VerifyResult
from tallykeeper_cli.terminal import columns
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES, EXIT_DIFFERENT
from tallykeeper_cli.terminal.session import Session, reads


@click.command(epilog=EXIT_CODES)
@reads
def verify(session: Session) -> int:
    """Compare a namespace with its ledger.

    The server replays the ledger, and compares the result with the levels and reservations of the namespace. Changes
    may continue. The server reads the whole namespace, and has ten minutes for it unless --timeout sets another limit.
    A bar on stderr shows the progress if stderr is a terminal. The exit code is 4 if there is a difference.
    """
    found = _result(session, Console(stderr=True))
    if session.output.as_json:
        session.output.show_json(found)
    else:
        session.output.show(columns.DIFFERENCE, found.differences)
        session.output.say(
            f"differences: {found.difference_count}; revisions {found.from_revision} to {found.revision} replayed, "
            f"{found.levels_checked} levels and counters and {found.reservations_checked} reservations compared, "
            f"{found.levels_unchecked} levels and counters no longer in the ledger"
        )
    return 0 if found.clean else EXIT_DIFFERENT


def _result(session: Session, console: Console) -> VerifyResult:
    """Return the result, and show a progress bar until it comes."""
    bar_columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    result = VerifyResult()
    responses = session.client.verify_responses(timeout_seconds=session.timeout_seconds)
    with (
        closing(responses),
        Progress(*bar_columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("verifying", total=None)
        for response in responses:
            result = response.result
            if response.HasField("progress"):
                done, total = steps_of(response.progress)
                bar.update(task, completed=done, total=total)
    return result


def steps_of(progress: VerifyProgress) -> tuple[int, int | None]:
    """Return the number of steps that are done, and their total; the total is None before the replay begins."""
    done = progress.revisions_replayed + progress.reservations_checked + progress.levels_checked
    return done, progress.revisions_total + progress.reservations_total + progress.levels_total or None
