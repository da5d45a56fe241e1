"""The forms of the output: JSON, one object on a line; a table on a terminal; and aligned text elsewhere.

`columns` defines the contents of the columns.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, NamedTuple, TypeVar

import click
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tallykeeper_cli.terminal.streams import check_output

_ROWS_AT_ONCE: Final = 1000
"""The maximum number of rows in a table with common widths, because a list may be larger than memory."""

MessageT = TypeVar("MessageT", bound=Message)


class Column(NamedTuple, Generic[MessageT]):
    """A column: its name, the function that returns its cell for a message, and a flag for numbers."""

    name: str
    cell: Callable[[MessageT], object]
    number: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """The output of a command, in JSON or for people."""

    as_json: bool
    console: Console

    def show(self, columns: Sequence[Column[MessageT]], messages: Iterable[MessageT]) -> None:
        """Show each message, as an object or as a row."""
        if self.as_json:
            for message in messages:
                self.show_json(message)
                check_output()
            return
        every = iter(messages)
        while batch := list(islice(every, _ROWS_AT_ONCE)):
            self._show_rows(columns, [[str(column.cell(message)) for column in columns] for message in batch])
            check_output()

    def show_one(self, columns: Sequence[Column[MessageT]], message: MessageT) -> None:
        """Show a message with many values, as an object or with one line for each value."""
        if self.as_json:
            self.show_json(message)
            return
        width = max(len(column.name) for column in columns)
        for column in columns:
            click.echo(f"{column.name.ljust(width)}  {column.cell(message)}".rstrip())

    def show_json(self, message: Message) -> None:
        """Show a message as an object on one line. As in protobuf's JSON, numbers of 64 bits are strings."""
        click.echo(
            MessageToJson(
                message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
            )
        )

    def say(self, sentence: str) -> None:
        """Print a sentence for people; nothing with JSON."""
        if not self.as_json:
            click.echo(sentence)

    def _show_rows(self, columns: Sequence[Column[Any]], rows: Sequence[Sequence[str]]) -> None:
        if self.console.is_terminal:
            self.console.print(_table(columns, rows))
        else:
            for line in _aligned(columns, rows):
                click.echo(line)


def _table(columns: Sequence[Column[Any]], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.name, justify="right" if column.number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _aligned(columns: Sequence[Column[Any]], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    lines = [[column.name for column in columns], *rows]
    widths = [max(cell_len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        cells = (
            _padded(cell, width, right=column.number) for cell, width, column in zip(line, widths, columns, strict=True)
        )
        yield "  ".join(cells).rstrip()


def _padded(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if right else cell + space
