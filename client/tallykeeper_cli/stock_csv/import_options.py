"""The options of ``tallykeeper stock import``: the form of the file, and the effect of its rows."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

import click

from tallykeeper_cli.stock_csv.header import COLUMNS, DELIMITERS, SAFE_ITEM, Form
from tallykeeper_cli.terminal.connection_options import Decorator, with_options

_ResultT = TypeVar("_ResultT")
_LOCATION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TAB: Final = "\\t"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """The options of an import."""

    location: str
    adds: bool
    dry_run: bool
    resume: str | None
    skip_bad: bool
    strict: bool
    existing_only: bool
    atomic: bool
    allow_below_reserved: bool
    compare_names: bool
    rejects: str | None
    encoding: str | None
    form: Form

    @property
    def of_import(self) -> Sequence[object]:
        """The options that a continued import must share with the interrupted one."""
        return (
            self.location,
            self.adds,
            self.existing_only,
            self.atomic,
            self.allow_below_reserved,
            self.encoding,
            self.form.delimiter,
            sorted(self.form.columns.items()),
            self.form.ignore_extra,
        )


class Delimiter(click.ParamType[str]):
    """A character, or the name of one."""

    name = "delimiter"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read a delimiter."""
        text = str(value)
        delimiter = "\t" if text == _TAB else DELIMITERS.get(text.lower(), text)
        if len(delimiter) != 1 or delimiter in '"\r\n' or delimiter.isalnum():
            self.fail(f"{text!r} is not a delimiter; name {', '.join(DELIMITERS)} or another single sign", param, ctx)
        return delimiter


class Renaming(click.ParamType[tuple[str, str]]):
    """A column and the name that a file has for it: COLUMN=NAME."""

    name = "renaming"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Read a renaming."""
        if isinstance(value, tuple):
            return value
        column, _, name = str(value).partition("=")
        if column not in (*COLUMNS, SAFE_ITEM) or not name.strip():
            self.fail(f"{value!r} is not COLUMN=NAME, with one of the columns {', '.join(COLUMNS)}", param, ctx)
        return column, name.strip()


def takes_import_options(command: Callable[..., _ResultT]) -> Callable[..., _ResultT]:
    """Give a command the options of an import, as one argument ``chosen``.

    Raises click.UsageError for options that contradict each other.
    """

    @functools.wraps(command)
    def with_chosen(*arguments: Any, **values: Any) -> _ResultT:  # noqa: ANN401  # the values that click gives
        columns = _renamed(values.pop("columns"))
        form = Form(delimiter=values.pop("delimiter"), columns=columns, ignore_extra=values.pop("ignore_extra"))
        own = {field.name: values.pop(field.name) for field in fields(ImportOptions) if field.name != "form"}
        chosen = ImportOptions(form=form, **own)
        _check(chosen)
        return command(*arguments, chosen=chosen, **values)

    return with_options(with_chosen, _OPTIONS)


def _renamed(pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    columns: dict[str, str] = {}
    for column, name in pairs:
        if column in columns:
            message = f"--columns names {column} twice: {columns[column]!r} and {name!r}"
            raise click.UsageError(message)
        columns[column] = name
    return columns


def _check(chosen: ImportOptions) -> None:
    if chosen.location and not _LOCATION.fullmatch(chosen.location):
        message = f"--location {chosen.location!r} is not of the form {_LOCATION.pattern}"
        raise click.UsageError(message)
    for first, second, contradict in (
        ("--atomic", "--skip-bad", chosen.atomic and chosen.skip_bad),
        ("--strict", "--skip-bad", chosen.strict and chosen.skip_bad),
        ("--dry-run", "--resume", chosen.dry_run and chosen.resume is not None),
        ("--add", "--allow-below-reserved", chosen.adds and chosen.allow_below_reserved),
    ):
        if contradict:
            message = f"{first} and {second} exclude each other"
            raise click.UsageError(message)


_OPTIONS: Final[Sequence[Decorator]] = (
    click.option(
        "--location", default="", metavar="NAME", help="The location of rows without a location.  [default: main]"
    ),
    click.option("--add", "adds", is_flag=True, help="Add on_hand to the present number, instead of setting it."),
    click.option("--dry-run", is_flag=True, help="Check everything that would be sent, and change nothing."),
    click.option("--resume", metavar="ID", help="Continue the interrupted import that printed this id."),
    click.option(
        "--skip-bad",
        is_flag=True,
        help="With --add: leave bad rows out and add the others. Afterwards import only the rows left out, as "
        "--rejects writes them, because the whole corrected file would add the others a second time.",
    ),
    click.option("--strict", is_flag=True, help="Send nothing if there is a bad row or a warning."),
    click.option("--atomic", is_flag=True, help="Import all rows or none, for files of up to 1,000 changes."),
    click.option("--existing-only", is_flag=True, help="Leave out rows whose item does not exist at its location."),
    click.option("--allow-below-reserved", is_flag=True, help="Record counts even if more copies are reserved."),
    click.option("--rejects", metavar="FILE", help="Write the rows that were not imported to a file, with the reason."),
    click.option(
        "--encoding", metavar="NAME", help="The encoding, such as latin-1 or cp1252.  [default: by its mark, or UTF-8]"
    ),
    click.option(
        "--delimiter",
        type=Delimiter(),
        metavar="SIGN",
        help="The delimiter: comma, semicolon, tab, pipe or a sign.  [default: detected]",
    ),
    click.option(
        "--columns",
        type=Renaming(),
        multiple=True,
        metavar="COLUMN=NAME",
        help="The file's name of a column, as in item=SKU; may be repeated.",
    ),
    click.option("--ignore-extra", is_flag=True, help="Ignore columns with other names."),
    click.option(
        "--compare-names", is_flag=True, help="Find names that look alike in a large namespace too. This takes time."
    ),
)
