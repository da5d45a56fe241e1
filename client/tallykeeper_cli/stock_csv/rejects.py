"""The rows of an import that are not in, as a CSV file: what the file said, and the reason in the last column."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, TextIO

from tallykeeper_cli.stock_csv.header import REASON, Header
from tallykeeper_cli.stock_csv.tally import Rejected

_SEPARATOR: Final = "; "


class Rejects:
    """Writes the rows that are not in, with the columns of the file that they come from."""

    def __init__(self, file: TextIO, header: Header) -> None:
        cells: Sequence[str] = header.cells
        if cells[-1].casefold() == REASON:  # a file of rejects that is imported again
            cells = cells[:-1]
        self._width = len(cells)
        self._writer = csv.writer(file, delimiter=header.delimiter, lineterminator="\n")
        self._writer.writerow([*cells, REASON])

    def write(self, rejected: Rejected) -> None:
        """Write one row."""
        cells = [cell.encode("utf-8", "replace").decode() for cell in rejected.cells[: self._width]]
        blank = [""] * (self._width - len(cells))
        with suppress(OSError):  # the import goes on; closing the file reports that it cannot be written
            self._writer.writerow([*cells, *blank, _SEPARATOR.join(rejected.reasons)])
