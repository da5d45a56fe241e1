"""``tallykeeper watch``: prints changes as they happen."""

from collections.abc import Sequence
from contextlib import closing

import click

from tallykeeper.v1.ledger_pb2 import WatchResponse
from tallykeeper_cli.terminal import columns, descriptions
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES
from tallykeeper_cli.terminal.session import Session, reads
from tallykeeper_cli.terminal.streams import check_output


@click.command(epilog=EXIT_CODES)
@click.option("--item", "items", multiple=True, help="Only changes of this item; may be repeated.")
@click.option("--counter", "counters", multiple=True, help="Only changes of this counter; may be repeated.")
@click.option(
    "--reservation",
    "reservation_ids",
    multiple=True,
    metavar="ID",
    help="Only changes of this reservation; may be repeated.",
)
@click.option(
    "--location",
    "locations",
    multiple=True,
    metavar="NAME",
    help="Only changes of items at this location; may be repeated.",
)
@click.option(
    "--after-revision",
    type=click.IntRange(min=0),
    help="Begin after this revision; 0 is the beginning.  [default: begin now]",
)
@click.option(
    "--levels", "include_levels", is_flag=True, help="First print the present levels of the items and counters."
)
@reads
def watch(session: Session, *, after_revision: int | None, include_levels: bool, **names: Sequence[str]) -> None:
    """Print changes as they happen.

    It prints a line for each change, until Ctrl-C. With several of --item, --counter and --reservation, it prints the
    changes of each of them. If the server goes away, it waits until the server is back. It neither misses nor repeats a
    change.
    """
    if include_levels and after_revision is not None:
        message = "--levels and --after-revision exclude each other, because --levels begins now"
        raise click.UsageError(message)
    responses = session.client.watch_responses(
        after_revision=after_revision,
        include_levels=include_levels,
        timeout_seconds=session.timeout_seconds,
        **names,  # type: ignore[arg-type]  # the names of options above
    )
    with closing(responses):
        for response in responses:
            _print(session, response)


def _print(session: Session, response: WatchResponse) -> None:
    session.output.show(columns.STOCK, response.stock_levels)
    session.output.show(columns.COUNTER, response.counters)
    for entry in response.entries:
        if session.output.as_json:
            session.output.show_json(entry)
        else:
            session.output.say(descriptions.event(entry))
    check_output()
