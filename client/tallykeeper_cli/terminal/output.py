"""How answers are shown: as JSON, one object on a line; as a table on a terminal; as aligned text elsewhere.

What stands in the columns is `words`' to say.
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
"""How many rows share a table, and so its widths: a list may be longer than memory."""

MessageT = TypeVar("MessageT", bound=Message)


class Column(NamedTuple, Generic[MessageT]):
    """A column: its name, what stands in it for a message, and whether that is a number."""

    name: str
    cell: Callable[[MessageT], object]
    number: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's answer goes, and in which form."""

    as_json: bool
    console: Console

    def show(self, columns: Sequence[Column[MessageT]], messages: Iterable[MessageT]) -> None:
        """Show each message: as an object, or as a row."""
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
        """Show one message with much in it: as an object, or with a line for each of its values."""
        if self.as_json:
            self.show_json(message)
            return
        width = max(len(column.name) for column in columns)
        for column in columns:
            click.echo(f"{column.name.ljust(width)}  {column.cell(message)}".rstrip())

    def show_json(self, message: Message) -> None:
        """Show one message as an object on one line. Numbers of 64 bits are strings, as protobuf's JSON has them."""
        click.echo(
            MessageToJson(
                message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
            )
        )

    def say(self, sentence: str) -> None:
        """Say what is for people alone; with JSON, nothing."""
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
