"""The lines of a CSV file as records: lists of cells, each with the line where it begins.

A quote that is not closed spoils only its own line. A quoted cell may continue over several lines, as descriptions do,
but only if the whole is one record, and none of its lines looks like a record itself.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, TextIO

LINE_CHARACTERS_MAX: Final = 131_072
"""The maximum length of a line in characters. The rest of a longer line is ignored, so that memory stays bounded."""

_JOINED_LINES_MAX: Final = 200
"""The maximum number of lines in one record."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record. ``flaw`` is empty, or says why the line cannot be split; then ``cells`` holds its text."""

    line: int
    cells: Sequence[str]
    flaw: str = ""
    flawed_cell: int | None = None
    """The index of the flawed cell, from 0; None if it is unknown."""


@dataclass(slots=True)
class _Cells:
    """The cells of a line, or of several lines together."""

    cells: list[str]
    unclosed: bool = False
    junk: bool = False


class Records:
    """A reader of records."""

    def __init__(self, file: TextIO, delimiter: str) -> None:
        self._file = file
        self._delimiter = delimiter
        blank = "[ \t\xa0]" if delimiter != "\t" else "[ \xa0]"
        self._quoted = re.compile(f'{blank}*"([^"]*(?:""[^"]*)*)"{blank}*(?={re.escape(delimiter)}|$)', re.DOTALL)
        self._opening = re.compile(f'{blank}*"')
        self._closing = re.compile(f'{blank}*"[^"]*(?:""[^"]*)*"(?!")')
        self._ahead: deque[tuple[int, str]] = deque()
        self._line = 0
        self._width = 0
        self._number_cell = 0
        self._ignored: AbstractSet[int] = frozenset()

    def expect(self, width: int, number_cell: int, ignored: AbstractSet[int]) -> None:
        """Set the number of cells in a record, the index of a cell with a number, and the ignored cells."""
        self._width, self._number_cell, self._ignored = width, number_cell, ignored

    def __iter__(self) -> Iterator[Record]:
        while (found := self._next()) is not None:
            line, text = found
            if len(text) > LINE_CHARACTERS_MAX:
                flaw = f"has more than {LINE_CHARACTERS_MAX} characters"
                yield Record(line, [text[:100]], flaw)
            elif '"' not in text:
                yield Record(line, text.split(self._delimiter))
            else:
                yield self._quoted_record(line, text)

    def _quoted_record(self, line: int, text: str) -> Record:
        split = self._split(text)
        at = len(split.cells)
        if split.junk:
            flaw = 'text follows a closing quote; within quotes, write a quote twice ("")'
            return Record(line, [text], flaw, at)
        if split.unclosed:
            return self._joined(line, text, at) or Record(line, [text], "a quote is opened and not closed", at)
        return Record(line, split.cells)

    def _joined(self, line: int, text: str, opened_at: int) -> Record | None:
        """Return the record of a line whose quote is closed on a later line; None if there is no such record."""
        complete_alone = len(text.split(self._delimiter)) >= self._width > 0
        if complete_alone and opened_at not in self._ignored:
            return None
        taken: list[tuple[int, str]] = []
        record = None
        while len(taken) < _JOINED_LINES_MAX and (found := self._next()) is not None:
            taken.append(found)
            if self._looks_complete(found[1]) or len(text) > LINE_CHARACTERS_MAX:
                break
            text = f"{text}\n{found[1]}"
            if '"' in found[1]:
                split = self._split(text)
                if not split.unclosed:
                    if not split.junk and len(split.cells) == self._width:
                        record = Record(line, split.cells)
                    break
        if record is None:
            self._ahead.extendleft(reversed(taken))
        return record

    def _looks_complete(self, text: str) -> bool:
        cells = text.split(self._delimiter)
        return len(cells) == self._width and cells[self._number_cell].strip(' \t"').isdecimal() and '"' not in text

    def _split(self, text: str) -> _Cells:
        cells: list[str] = []
        at, end = 0, len(text)
        while True:
            if found := self._quoted.match(text, at):
                cells.append(found[1].replace('""', '"'))
                at = found.end()
            elif self._opening.match(text, at):
                closed = self._closing.match(text, at) is not None
                return _Cells(cells, unclosed=not closed, junk=closed)
            else:
                following = text.find(self._delimiter, at)
                following = end if following < 0 else following
                cells.append(text[at:following])
                at = following
            if at >= end:
                return _Cells(cells)
            at += len(self._delimiter)

    def _next(self) -> tuple[int, str] | None:
        if self._ahead:
            return self._ahead.popleft()
        text = self._file.readline(LINE_CHARACTERS_MAX + 1)
        if not text:
            return None
        self._line += 1
        rest = text
        while not rest.endswith("\n") and len(rest) > LINE_CHARACTERS_MAX:
            rest = self._file.readline(LINE_CHARACTERS_MAX + 1)
        return self._line, text.removesuffix("\n")
