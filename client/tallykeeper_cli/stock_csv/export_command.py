"""``tallykeeper stock export``: writes stock as CSV, in the form that ``stock import`` takes."""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO

import click

from tallykeeper.v1.inventory_pb2 import StockLevel
from tallykeeper_cli.stock_csv.file_format import PROTECTION
from tallykeeper_cli.stock_csv.header import EXPORTED, SAFE_ITEM
from tallykeeper_cli.stock_csv.snapshot import Selection, snapshot
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES
from tallykeeper_cli.terminal.output_file import written
from tallykeeper_cli.terminal.session import Session, reads
from tallykeeper_cli.terminal.streams import check_output
from tallykeeper_client.client import Client

_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", PROTECTION)
"""The first characters of names that a spreadsheet reads as formulas, and the sign that protects the names."""


@click.command("export", epilog=EXIT_CODES)
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), required=False, metavar="[FILE.csv]")
@click.option(
    "--location",
    "locations",
    multiple=True,
    metavar="NAME",
    help="Only levels at this location; may be repeated.  [default: all]",
)
@click.option("--item-prefix", default="", metavar="TEXT", help="Only items whose names begin with this.")
@click.option("--consistent", is_flag=True, help="Write all levels as they are at one revision, or fail.")
@click.option("--safe", is_flag=True, help="Protect names that a spreadsheet reads as formulas, in a column safe_item.")
@reads
def export_stock(
    session: Session, *, path: Path | None, locations: Sequence[str], item_prefix: str, consistent: bool, safe: bool
) -> None:
    """Write stock as CSV, to a file or to stdout.

    The form is the one that import takes. A plain file is replaced when the new file is complete, and keeps its mode.
    Devices, pipes and /dev/stdout are written directly. --json has no effect.

    Without --consistent, each level is as it was at some moment during the export.
    """
    selection = Selection(tuple(dict.fromkeys(locations)), item_prefix)
    if consistent:
        with snapshot(session.client, selection) as (levels, revision):
            count = _write(path, levels, safe=safe)
        at = f", as of revision {revision}"
    else:
        count, at = _write(path, _levels(session.client, selection), safe=safe), ""
    if path is not None:
        click.echo(f"{count} {'row' if count == 1 else 'rows'} written to {path}{at}", err=True)


def write_levels(file: TextIO, levels: Iterable[StockLevel], *, safe: bool = False) -> int:
    """Write the first line and then each level. Return the number of levels.

    Raises click.ClickException if a level is damaged, because its numbers are unknown.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([SAFE_ITEM, *EXPORTED[1:]] if safe else EXPORTED)
    count = 0
    for level in levels:
        if level.damage:
            message = f"{level.item!r} at {level.location!r} is damaged in the store and cannot be exported"
            raise click.ClickException(message)
        item, *others = (getattr(level, column) for column in EXPORTED)
        protected = safe and item.startswith(_FORMULA_SIGNS)
        writer.writerow([PROTECTION + item if protected else item, *others])
        count += 1
    return count


def _write(path: Path | None, levels: Iterable[StockLevel], *, safe: bool) -> int:
    if path is None:
        return write_levels(sys.stdout, _while_read(levels), safe=safe)
    with written(path) as file:
        return write_levels(file, levels, safe=safe)


def _while_read(levels: Iterable[StockLevel]) -> Iterator[StockLevel]:
    """Yield levels while somebody reads the output."""
    for level in levels:
        check_output()
        yield level


def _levels(client: Client, selection: Selection) -> Iterator[StockLevel]:
    for location in selection.locations or (None,):
        yield from client.iterate_stock(
            selection.item_prefix, location=location or "", any_location=location is None, page_size=1000
        )
