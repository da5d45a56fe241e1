"""``tallykeeper stock import``: imports stock from a CSV file of any length, and reports its bad rows."""

import json
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import click

from tallykeeper_cli.stock_csv.batches import (
    ATOMIC_OPERATIONS_MAX,
    OPERATIONS_MAX,
    Batch,
    Sent,
    batches,
    send,
    sent,
)
from tallykeeper_cli.stock_csv.check import FileCheck
from tallykeeper_cli.stock_csv.file_format import BadRow
from tallykeeper_cli.stock_csv.import_id import ImportId
from tallykeeper_cli.stock_csv.import_options import ImportOptions, takes_import_options
from tallykeeper_cli.stock_csv.progress import progress_of
from tallykeeper_cli.stock_csv.source_file import open_source
from tallykeeper_cli.stock_csv.tally import Counting, Rejected, Tally
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES, EXIT_INTERRUPTED, EXIT_REFUSED
from tallykeeper_cli.terminal.failures import Refused, failed, message_with_reason
from tallykeeper_cli.terminal.session import Session, mutates
from tallykeeper_cli.terminal.streams import OutputLostError
from tallykeeper_client.errors import BatchRefused, RequestIdReused, TallykeeperError

_REASON: Final = "import"
_REQUEST_ID_MAX: Final = 48
"""The maximum length of an import's --request-id. The number of a row is appended, and the contract allows 64."""
_TEXT_BYTES_MAX: Final = {"reason": 64, "reference": 256}


@click.command("import", epilog=EXIT_CODES)
@click.argument("path", type=click.Path(path_type=str), metavar="FILE.csv")
@takes_import_options
@mutates
def import_stock(session: Session, *, path: str, chosen: ImportOptions) -> int:
    """Import stock from a CSV file of any length; - is standard input.

    The first line names the columns: item and on_hand, and if you like location, safety_stock, backorder_limit,
    low_stock_threshold and expected_on_hand. Each row sets on_hand, and the settings that are not empty. With
    expected_on_hand, it does so only if on_hand has that value now.

    The whole file is checked first. A bad row is reported with its line and column and left out. The other rows are
    imported, and the exit code is 1. With --add, nothing is sent if a row is bad, unless --skip-bad is given.

    Each start is a new import, and prints an id before it sends anything. To continue an interrupted import, give
    --resume and this id: no row counts twice.
    """
    _check_ledger_texts(session)
    code = EXIT_REFUSED
    with suppress(OutputLostError), ExitStack() as stack:
        source = stack.enter_context(open_source(path))
        code = _Import(session, chosen, FileCheck(session, chosen, source, stack)).run()
    return code


@dataclass(slots=True)
class _Import:
    """An import, from the check of the file to the sum."""

    session: Session
    chosen: ImportOptions
    check: FileCheck

    def run(self) -> int:
        """Check the file, send its correct rows, and return the exit code."""
        import_id = self._import_id()
        self.check.run()
        why = self._why_nothing_is_sent()
        will_send = not (why or self.chosen.dry_run)
        self.check.say(self.check.words() + (self._how_to_continue(import_id) if will_send else ""))
        if why:
            self._send_nothing(why)
        if self.chosen.dry_run:
            return self._sum_up_dry_run()
        return self._send(import_id)

    def _import_id(self) -> str:
        options = (self.session.client.namespace, *self._ledger_texts(), *self.chosen.of_import)
        digest = self.check.source.digest
        named = self.session.options.get("request_id")
        if self.chosen.resume is None:
            return named or str(ImportId.fresh(digest, options))
        if named:
            message = "--resume and --request-id exclude each other"
            raise click.UsageError(message)
        import_id = ImportId.resumed(self.chosen.resume, digest, options)
        if self.chosen.adds:
            kept = self.session.client.get_namespace().namespace.request_retention.ToTimedelta()
            if import_id.age_seconds >= kept.total_seconds():
                message = f"--resume {import_id}: the import began more than {kept} ago, so its rows could count twice"
                raise click.UsageError(message)
        return str(import_id)

    def _ledger_texts(self) -> tuple[str, str]:
        options = self.session.options
        return options.get("reason") or _REASON, options.get("reference") or ""

    def _how_to_continue(self, import_id: str) -> str:
        if self.session.options.get("request_id"):
            return f"; to continue it if it is interrupted: the same --request-id {import_id}"
        how = "continuing" if self.chosen.resume else "to continue it if it is interrupted:"
        return f"; {how} --resume {import_id}"

    def _why_nothing_is_sent(self) -> str:
        """Return the reason, or an empty text. Raises click.UsageError for a file too large for --atomic."""
        survey, doubts = self.check.survey, self.check.doubts
        if self.chosen.atomic and survey.operation_count > ATOMIC_OPERATIONS_MAX:
            message = (
                f"--atomic takes files of up to {ATOMIC_OPERATIONS_MAX} changes, and this one has "
                f"{survey.operation_count}; a row with settings has two. Split the file, or leave out --atomic"
            )
            raise click.UsageError(message)
        if survey.bad_count and self.check.refuses_bad and not self.chosen.dry_run:
            why = "1 row is bad" if survey.bad_count == 1 else f"{survey.bad_count} rows are bad"
            may_skip = self.chosen.adds and not (self.chosen.strict or self.chosen.atomic)
            return why + ("; correct them, or leave them out with --skip-bad" if may_skip else "")
        if doubts and self.chosen.strict:
            return "there is 1 warning (--strict)" if doubts == 1 else f"there are {doubts} warnings (--strict)"
        return ""

    def _send_nothing(self, why: str) -> None:
        survey = self.check.survey
        tally = Tally(rows=survey.row_count, bad=survey.bad_count, line=survey.last_line)
        if self.session.output.as_json:
            click.echo(json.dumps({**tally.as_json(), "done": 0}))
        message = f"nothing was sent: {why}"
        raise Refused(message)

    def _sum_up_dry_run(self) -> int:
        survey = self.check.survey
        tally = Tally(rows=survey.row_count, bad=survey.bad_count, line=survey.last_line)
        tally.refused = self._absent() if self.chosen.existing_only else 0
        tally.overridden = sum(1 for _ in survey.overridden_lines())
        if self.session.output.as_json:
            click.echo(json.dumps({**tally.as_json(), "done": 0}))
        else:
            rows = "1 row" if tally.rows == 1 else f"{tally.rows} rows"
            parts = [f"{tally.done} correct", f"{tally.bad} bad"]
            parts += [f"{tally.refused} with an item that does not exist"] if tally.refused else []
            parts += [f"{tally.overridden} overridden by a later row"] if tally.overridden else []
            self.session.output.say(f"{rows}: {', '.join(parts)}; nothing was sent")
        return EXIT_REFUSED if tally.bad or tally.refused else 0

    def _absent(self) -> int:
        """Report the rows whose level does not exist, and return their number."""
        count = 0
        for row in self.check.rows(self.check.reader()):
            if isinstance(row, BadRow) and row.absent:
                self.check.reject(Rejected(row.line, row.flaws, row.cells))
                count += 1
        return count

    def _send(self, import_id: str) -> int:
        """Read the file a second time, send it, and return the exit code."""
        counting = Counting(self.check.plan, self.check.survey.overridden_lines())
        options = self.session.options.copy()
        options["reason"], options["reference"] = self._ledger_texts()
        send_one = partial(send, self.session.client, import_id=import_id, atomic=self.chosen.atomic, options=options)
        try:
            self._follow(counting, sent(self._batches(), send_one))
        except TallykeeperError as error:
            raise self._stopped(error, counting.tally, import_id) from error
        except KeyboardInterrupt:
            raise _InterruptedImport(self._how_far("interrupted", counting.tally, import_id)) from None
        self.check.source.check_unchanged()
        self._sum_up(counting.tally)
        return EXIT_REFUSED if counting.tally.bad or counting.tally.refused else 0

    def _batches(self) -> Iterator[Batch]:
        reader = self.check.reader()
        rows_max = OPERATIONS_MAX // 2 if reader.has_settings else OPERATIONS_MAX
        if self.chosen.atomic:
            rows_max = max(self.check.survey.row_count, 1)
        return batches(self.check.rows(reader), self.check.plan, rows_max=rows_max)

    def _follow(self, counting: Counting, answers: Generator[Sent]) -> None:
        """Count the results of the rows, and show the progress on a terminal."""
        with closing(answers), progress_of(self.check.console, self.check.survey.row_count) as advance:
            for answer in answers:
                for rejected in counting.count(answer):
                    self.check.reject(rejected)
                if answer.refusal:
                    self._note_unlisted(answer.refusal)
                advance(counting.tally.rows)

    def _note_unlisted(self, refusal: BatchRefused) -> None:
        unlisted = refusal.failed_count - len(refusal.operations)
        if unlisted:
            click.echo(
                f"{unlisted} more operations fail; the server lists the first {len(refusal.operations)}", err=True
            )

    def _stopped(self, error: TallykeeperError, tally: Tally, import_id: str) -> click.ClickException:
        what = message_with_reason(error)
        if isinstance(error, RequestIdReused):
            line = (
                f"stopped after line {tally.line}: {what}; {import_id} was sent before with other rows or options. "
                "Start a new import with the missing rows"
            )
            return failed(error, line)
        return failed(error, self._how_far(what, tally, import_id))

    def _how_far(self, what: str, tally: Tally, import_id: str) -> str:
        named = self.session.options.get("request_id")
        how = f"the same --request-id {import_id}" if named else f"--resume {import_id}"
        return f"stopped after line {tally.line}: {what}; to continue, add {how}: no row counts twice"

    def _sum_up(self, tally: Tally) -> None:
        if self.session.output.as_json:
            click.echo(json.dumps(tally.as_json()))
            return
        nothing = "; nothing was changed (--atomic)" if self.chosen.atomic and tally.refused else ""
        self.session.output.say(tally.words() + nothing)


class _InterruptedImport(click.ClickException):
    exit_code = EXIT_INTERRUPTED


def _check_ledger_texts(session: Session) -> None:
    """Check the options that the server would refuse with the first batch. Raises click.UsageError."""
    request_id = session.options.get("request_id")
    if request_id and (len(request_id) > _REQUEST_ID_MAX or not (request_id.isascii() and request_id.isprintable())):
        message = f"--request-id {request_id!r} must be 1 to {_REQUEST_ID_MAX} printable ASCII characters"
        raise click.UsageError(message)
    for name, bytes_max in _TEXT_BYTES_MAX.items():
        text = str(session.options.get(name) or "")
        size_bytes = len(text.encode("utf-8", "surrogatepass"))
        if size_bytes > bytes_max:
            message = f"--{name} has {size_bytes} bytes; at most {bytes_max} are allowed"
            raise click.UsageError(message)
