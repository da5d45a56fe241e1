"""``tallykeeper stock export``: writes stock as CSV, in the form that ``stock import`` takes."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from tallykeeper.v1.inventory_pb2 import StockLevel
from tallykeeper_client.client import Client
from tallykeeper_client.commands.failures import EXIT_CODES
from tallykeeper_client.commands.session import Session, reads
from tallykeeper_client.commands.stock_file import write_levels


@click.command("export", epilog=EXIT_CODES)
@click.argument(
    "path", type=click.Path(dir_okay=False, writable=True, path_type=Path), required=False, metavar="[FILE.csv]"
)
@click.option(
    "--location",
    "locations",
    multiple=True,
    metavar="NAME",
    help="Only this location; may be repeated.  [default: all]",
)
@click.option("--item-prefix", default="", metavar="TEXT", help="Only items whose names begin with this.")
@reads
def export_stock(session: Session, *, path: Path | None, locations: Sequence[str], item_prefix: str) -> None:
    """Write stock as CSV, to a file or to stdout.

    It is in the form that import takes. The file is there when all of it has been written, and not before. --json has
    no effect.
    """
    levels = _levels(session.client, locations, item_prefix)
    if path is None:
        write_levels(sys.stdout, levels)
        return
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            count = write_levels(file, levels)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"{count} rows written to {path}", err=True)


def _levels(client: Client, locations: Sequence[str], item_prefix: str) -> Iterator[StockLevel]:
    """Yield the levels. Fail at one that is damaged, because nobody knows its numbers."""
    for level in _listed(client, locations, item_prefix):
        if level.damage:
            message = f"{level.item!r} at {level.location!r} is damaged in the store, so that it cannot be exported"
            raise click.ClickException(message)
        yield level


def _listed(client: Client, locations: Sequence[str], item_prefix: str) -> Iterator[StockLevel]:
    if not locations:
        yield from client.iterate_stock(item_prefix, any_location=True, page_size=1000)
    for location in dict.fromkeys(locations):
        yield from client.iterate_stock(item_prefix, location=location, page_size=1000)
