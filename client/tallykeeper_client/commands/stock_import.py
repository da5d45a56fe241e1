"""``tallykeeper stock import``: takes stock from a CSV file, however long, and tells what is wrong with its rows."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final, TextIO

import click
from rich.console import Console
from rich.progress import Progress

from tallykeeper.v1.batch_pb2 import ApplyResponse
from tallykeeper_client.call import MutationOptions
from tallykeeper_client.commands.failures import EXIT_CODES, EXIT_REFUSED, Refused, failed, told_with_reason
from tallykeeper_client.commands.session import Session, location_option, mutates
from tallykeeper_client.commands.stock_batches import OPERATIONS_MAX, Batch, Plan, batches, send, sent
from tallykeeper_client.commands.stock_file import HeaderError, StockReader
from tallykeeper_client.errors import RequestIdReused, TallykeeperError
from tallykeeper_client.reasons import error_of_result

_REASON: Final = "import"


@dataclass(slots=True)
class Tally:
    """What has become of the rows so far, ``line`` being the last of them."""

    rows: int = 0
    bad: int = 0
    refused: int = 0
    replayed: int = 0
    line: int = 1

    @property
    def done(self) -> int:
        """How many rows are in, now or from before."""
        return self.rows - self.bad - self.refused


@click.command("import", epilog=EXIT_CODES)
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.csv")
@location_option
@click.option("--add", "adds", is_flag=True, help="Add on_hand to what there is, instead of setting it.")
@click.option("--dry-run", is_flag=True, help="Check the file and send nothing.")
@mutates
def import_stock(session: Session, *, path: Path, location: str, adds: bool, dry_run: bool) -> int:
    """Take stock from a CSV file of any length.

    Its first line names the columns: item and on_hand and, if you like, location, safety_stock, backorder_limit and
    low_stock_threshold. A row sets on_hand, and the settings that are not empty. A bad row is named with its line and
    column and left out; the others go in, and the exit code is 1.

    Import the same file again if it was interrupted: for a day at least no row counts twice. Another --request-id
    makes it a new import.
    """
    plan = Plan(adds=adds, location=location)
    before = path.stat()
    file_id = session.options.get("request_id") or f"import-{_identify(path, plan)}"
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        tally = _import(session, file, plan, "" if dry_run else file_id)
    after = path.stat()
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        message = f"{path} was changed while it was read: import it again"
        raise Refused(message)
    _sum_up(session, tally, dry_run=dry_run)
    return EXIT_REFUSED if tally.bad or tally.refused else 0


def _identify(path: Path, plan: Plan) -> str:
    with path.open("rb") as file:
        if not file.seekable():
            message = f"{path} is no plain file: an import reads it twice"
            raise click.UsageError(message)
        return plan.identify(file)


def _import(session: Session, file: TextIO, plan: Plan, file_id: str) -> Tally:
    """Go through a file, and send what is in it unless ``file_id`` is empty."""
    try:
        reader = StockReader(file)
    except HeaderError as error:
        raise click.UsageError(str(error)) from error
    every = batches(reader.rows(), plan, rows_max=OPERATIONS_MAX // 2 if reader.has_settings else OPERATIONS_MAX)
    if not file_id:
        return _follow(file, ((batch, ApplyResponse()) for batch in every))
    options: MutationOptions = {**session.options, "reason": session.options.get("reason") or _REASON}
    return _follow(file, sent(every, partial(send, session.client, file_id=file_id, options=options)))


def _follow(file: TextIO, answers: Iterable[tuple[Batch, ApplyResponse]]) -> Tally:
    """Count what becomes of the rows, tell of the bad ones, and show on a terminal how far it has come."""
    console, tally = Console(stderr=True), Tally()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        size = Path(file.name).stat().st_size
        task = progress.add_task("importing", total=size)
        try:
            for batch, answer in answers:
                for flaw in _count(tally, batch, answer):
                    console.print(flaw, markup=False, highlight=False, soft_wrap=True)
                progress.update(task, completed=min(file.buffer.tell(), size))
        except TallykeeperError as error:
            raise _stopped(error, tally) from error
    return tally


def _count(tally: Tally, batch: Batch, answer: ApplyResponse) -> list[str]:
    """Add a batch to the tally, and name the rows that are not in."""
    refusals = {
        line: f"line {line}: {told_with_reason(error)}"
        for line, result in zip(batch.lines, answer.results, strict=False)
        if (error := error_of_result(result))
    }
    tally.rows += batch.row_count
    tally.bad += batch.bad_row_count
    tally.refused += len(refusals)
    if answer.replayed:
        tally.replayed += batch.row_count - batch.bad_row_count - len(refusals)
    tally.line = batch.last_line
    return [*batch.flaws, *refusals.values()]


def _stopped(error: TallykeeperError, tally: Tally) -> click.ClickException:
    """Tell how far an import came and how to go on."""
    how = "import the same file again to go on; no row counts twice"
    if isinstance(error, RequestIdReused):
        how = "it was imported before with another --reason or --reference: name that one, or another --request-id"
    return failed(error, f"stopped after line {tally.line}: {told_with_reason(error)}; {how}")


def _sum_up(session: Session, tally: Tally, *, dry_run: bool) -> None:
    if session.output.as_json:
        click.echo(json.dumps({**asdict(tally), "done": 0 if dry_run else tally.done}))
        return
    rows = "1 row" if tally.rows == 1 else f"{tally.rows} rows"
    if dry_run:
        session.output.say(f"{rows}: {tally.done} right, {tally.bad} bad; nothing was sent")
        return
    before = f" ({tally.replayed} of them before)" if tally.replayed else ""
    session.output.say(f"{rows}: {tally.done} in{before}, {tally.refused} refused, {tally.bad} bad")
