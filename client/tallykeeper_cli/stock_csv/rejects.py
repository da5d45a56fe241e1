"""The rejected rows of an import, as a CSV file: the cells of the file, and the reason in the last column."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, TextIO

from tallykeeper_cli.stock_csv.header import REASON, Header
from tallykeeper_cli.stock_csv.tally import Rejected

_SEPARATOR: Final = "; "


class Rejects:
    """A writer of the rejected rows, with the columns of the imported file."""

    def __init__(self, file: TextIO, header: Header) -> None:
        cells: Sequence[str] = header.cells
        if cells[-1].casefold() == REASON:  # the imported file is a file of rejects
            cells = cells[:-1]
        self._width = len(cells)
        self._writer = csv.writer(file, delimiter=header.delimiter, lineterminator="\n")
        self._writer.writerow([*cells, REASON])

    def write(self, rejected: Rejected) -> None:
        """Write a row."""
        cells = [cell.encode("utf-8", "replace").decode() for cell in rejected.cells[: self._width]]
        blank = [""] * (self._width - len(cells))
        with suppress(OSError):  # the import continues; closing the file reports the error
            self._writer.writerow([*cells, *blank, _SEPARATOR.join(rejected.reasons)])
