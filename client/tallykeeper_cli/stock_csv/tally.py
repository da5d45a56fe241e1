"""The results of the rows of an import. Each row counts once, and the rejected rows are reported."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from tallykeeper.v1.batch_pb2 import OperationResult
from tallykeeper.v1.inventory_pb2 import StockLevel
from tallykeeper_cli.stock_csv.batches import Plan, Sent
from tallykeeper_cli.stock_csv.file_format import Row
from tallykeeper_cli.terminal.failures import message_with_reason
from tallykeeper_client.errors import error_of_result

_NUMBERS: Final = ("on_hand", "safety_stock", "backorder_limit", "low_stock_threshold")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rejected row: its line, the reasons (sentences with line and column), and its cells."""

    line: int
    reasons: Sequence[str]
    cells: Sequence[str]


@dataclass(slots=True)
class Tally:
    """The numbers of rows with each result; ``line`` is that of the last row."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    overridden: int = 0
    replayed: int = 0
    refused: int = 0
    bad: int = 0
    line: int = 1

    @property
    def done(self) -> int:
        """The number of rows that are in the namespace, from this import or an earlier attempt."""
        return self.rows - self.bad - self.refused

    def as_json(self) -> dict[str, int]:
        """Return all numbers by name."""
        return {**asdict(self), "done": self.done}

    def words(self) -> str:
        """Return all numbers in one line."""
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        before = f"{self.replayed} imported before, " if self.replayed else ""
        return (
            f"{rows}: {before}{self.new} new, {self.changed} changed, {self.unchanged} unchanged, "
            f"{self.overridden} overridden by a later row, {self.refused} refused, {self.bad} bad"
        )


class Counting:
    """A counter of the rows of batches, in the order of the file."""

    def __init__(self, plan: Plan, overridden_lines: Iterator[int]) -> None:
        self.tally = Tally()
        self._plan = plan
        self._overridden_lines = overridden_lines
        self._next_overridden = next(overridden_lines, None)

    def count(self, sent: Sent) -> Iterator[Rejected]:
        """Count the rows of a batch, and yield the rejected ones.

        If an atomic batch was refused, its correct rows count as refused too.
        """
        failed = {each.index: each.error for each in sent.refusal.operations} if sent.refusal else {}
        for bad in sent.batch.left_out:
            if bad.absent:
                self.tally.refused += 1
            else:
                self.tally.bad += 1
            yield Rejected(bad.line, bad.flaws, bad.cells)
        at = 0
        for row, count in sent.batch.rows:
            results = sent.answer.results[at : at + count]
            errors = [error for result in results if (error := error_of_result(result))]
            errors += [failed[index] for index in range(at, at + count) if index in failed]
            at += count
            overridden = self._is_overridden(row.line)
            if errors:
                self.tally.refused += 1
                yield Rejected(row.line, [f"line {row.line}: {message_with_reason(errors[0])}"], row.cells)
            elif sent.refusal:
                self.tally.refused += 1
            elif any(_replayed(result) for result in results):
                self.tally.replayed += 1
            elif overridden:
                self.tally.overridden += 1
            else:
                self._compare(row, sent, results)
        self.tally.rows += sent.batch.row_count
        self.tally.line = sent.batch.last_line

    def _compare(self, row: Row, sent: Sent, results: Sequence[OperationResult]) -> None:
        before = sent.before.get(self._plan.level(row))
        if not results:
            self.tally.unchanged += 1
        elif before is None:
            self.tally.new += 1
        elif _numbers(before) == _numbers(_level(results[-1])):
            self.tally.unchanged += 1
        else:
            self.tally.changed += 1

    def _is_overridden(self, line: int) -> bool:
        while self._next_overridden is not None and self._next_overridden < line:
            self._next_overridden = next(self._overridden_lines, None)
        return self._next_overridden == line


def _response(result: OperationResult) -> object:
    return getattr(result, result.WhichOneof("result") or "", None)


def _replayed(result: OperationResult) -> bool:
    return bool(getattr(_response(result), "replayed", False))


def _level(result: OperationResult) -> StockLevel:
    return getattr(_response(result), "stock_level", StockLevel())


def _numbers(level: StockLevel) -> Sequence[int]:
    return [getattr(level, name) for name in _NUMBERS]
