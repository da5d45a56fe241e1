"""The check of a stock file before anything is sent: its form, its rows, and the names that look alike."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from tallykeeper_cli.stock_csv.batches import Plan
from tallykeeper_cli.stock_csv.file_format import BadRow, Row, StockReader
from tallykeeper_cli.stock_csv.header import Header, HeaderError
from tallykeeper_cli.stock_csv.import_options import ImportOptions
from tallykeeper_cli.stock_csv.rejects import Rejects
from tallykeeper_cli.stock_csv.source_file import Source, encoding_of
from tallykeeper_cli.stock_csv.survey import WARNINGS_MAX, Survey
from tallykeeper_cli.stock_csv.tally import Rejected
from tallykeeper_cli.terminal.failures import message_with_reason
from tallykeeper_cli.terminal.output_file import written
from tallykeeper_cli.terminal.session import Session
from tallykeeper_client.errors import TallykeeperError

_LEVELS_COMPARED_MAX: Final = 100_000
"""The number of levels in a namespace up to which names are compared with a file of any size."""
_LEVELS_PER_ROW: Final = 10
"""The number of levels for each row of the file that are always compared."""
_DRY_RUN_TIMEOUT_SECONDS: Final = 2.0


@dataclass(slots=True)
class FileCheck:
    """The check of a file to import: its plan, its survey, its warnings, and the file of its rejected rows.

    ``stack`` closes the files that the check opens.
    """

    session: Session
    chosen: ImportOptions
    source: Source
    stack: ExitStack
    console: Console = field(default_factory=lambda: Console(stderr=True))
    plan: Plan = field(init=False)
    survey: Survey = field(init=False)
    header: Header = field(init=False)
    doubts: int = field(init=False, default=0)
    """The number of warnings."""
    _encoding: str = field(init=False)
    _encoding_words: str = field(init=False)
    _rejects: Rejects | None = field(init=False, default=None)
    _warned: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        chosen = self.chosen
        self.plan = Plan(adds=chosen.adds, location=chosen.location, allow_below_reserved=chosen.allow_below_reserved)
        self.survey = self.stack.enter_context(Survey(self.plan))
        self._encoding, self._encoding_words = encoding_of(self.source, chosen.encoding)

    @property
    def refuses_bad(self) -> bool:
        """True if one bad row prevents the whole import."""
        return self.chosen.strict or self.chosen.atomic or (self.chosen.adds and not self.chosen.skip_bad)

    def run(self) -> None:
        """Read the whole file once, and compare its names. Bad rows are reported now if nothing will be sent.

        Raises click.UsageError if the first line is wrong.
        """
        reader = self.reader()
        self.header = reader.header
        if self.chosen.adds and "expected_on_hand" in self.header.columns:
            message = "the column expected_on_hand cannot be used with --add; leave it out"
            raise click.UsageError(message)
        self._open_rejects()
        names_bad = self.chosen.dry_run or self.refuses_bad
        for row in self.survey.read(reader.rows(), self._warn):
            if names_bad:
                self.reject(Rejected(row.line, row.flaws, row.cells))
        self._read_existing()
        self.doubts = self._look_alikes() + self.survey.warning_count
        if self.survey.warning_count > WARNINGS_MAX:
            self.say(f"warning: {self.survey.warning_count - WARNINGS_MAX} more doubtful rows")
        self.source.check_unchanged()

    def reader(self) -> StockReader:
        """Return a reader of the file from its beginning."""
        try:
            text = self.stack.enter_context(self.source.text(self._encoding))
            return StockReader(text, self.chosen.form)
        except HeaderError as error:
            message = f"{self.source.name}, {error}"
            raise click.UsageError(message) from error

    def rows(self, reader: StockReader) -> Iterator[Row | BadRow]:
        """Yield the rows of the file. A row without an existing level is bad if the level must exist."""
        for row in reader.rows():
            if self.chosen.existing_only and isinstance(row, Row) and not self.survey.exists(row):
                item, location = self.plan.level(row)
                flaw = f"line {row.line}, column item: {item!r} does not exist at {location!r} (--existing-only)"
                yield BadRow(row.line, [flaw], row.cells, absent=True)
            else:
                yield row

    def words(self) -> str:
        """Describe the file in one line."""
        rows = "1 row" if self.survey.row_count == 1 else f"{self.survey.row_count} rows"
        return f"{self.source.name}: {rows}, {self._encoding_words}, {self.header.words}"

    def reject(self, rejected: Rejected) -> None:
        """Report a rejected row, and write it to the file of rejects."""
        for reason in rejected.reasons:
            self.say(reason)
        if self._rejects:
            self._rejects.write(rejected)

    def say(self, line: str) -> None:
        """Print a line on stderr."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _open_rejects(self) -> None:
        if self.chosen.rejects is None:
            return
        target = Path(self.chosen.rejects)
        if self.source.is_at(target):
            message = f"--rejects {target} is the file to import; name another file"
            raise click.UsageError(message)
        self._rejects = Rejects(self.stack.enter_context(written(target)), self.header)

    def _read_existing(self) -> None:
        """Read the names in the namespace, unless they are many times more than those in the file."""
        client = self.session.client
        timeout = _DRY_RUN_TIMEOUT_SECONDS if self.chosen.dry_run else None
        must = self.chosen.compare_names or self.chosen.strict or self.chosen.existing_only
        try:
            count = client.get_namespace(timeout_seconds=timeout).namespace.stock_level_count
            if must or count <= max(_LEVELS_COMPARED_MAX, _LEVELS_PER_ROW * self.survey.row_count):
                self.survey.read_existing(client.iterate_stock(any_location=True, page_size=1000) if count else ())
            else:
                self.say(f"names are not compared with the {count} levels of the namespace; use --compare-names")
        except TallykeeperError as error:
            if not self.chosen.dry_run or must:
                raise
            self.say(f"the names are not compared with those of the server: {message_with_reason(error)}")

    def _look_alikes(self) -> int:
        """Print the names that look alike, and return their number."""
        count = 0
        for warning in self.survey.look_alikes():
            count += 1
            if count <= WARNINGS_MAX:
                self.say(f"warning: {warning}")
        if count > WARNINGS_MAX:
            self.say(f"warning: {count - WARNINGS_MAX} more names look alike")
        return count

    def _warn(self, warning: str) -> None:
        self._warned += 1
        if self._warned <= WARNINGS_MAX:
            self.say(f"warning: {warning}")
