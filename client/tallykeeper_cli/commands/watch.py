"""``tallykeeper watch``: tells what happens, as it happens."""

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
@click.option("--counter", "counters", multiple=True, help="Or of this counter; may be repeated.")
@click.option(
    "--reservation", "reservation_ids", multiple=True, metavar="ID", help="Or of this reservation; may be repeated."
)
@click.option(
    "--location", "locations", multiple=True, metavar="NAME", help="Items at this location alone; may be repeated."
)
@click.option(
    "--after-revision",
    type=click.IntRange(min=0),
    help="What came after this revision, too; 0 is the beginning.  [default: what comes from now on]",
)
@click.option("--levels", "include_levels", is_flag=True, help="Begin with what the items and counters are now.")
@reads
def watch(session: Session, *, after_revision: int | None, include_levels: bool, **names: Sequence[str]) -> None:
    """Tell what happens, as it happens.

    It prints a line for each change, until Ctrl-C. It outlives a server that goes away and comes back, and neither
    misses nor repeats a change.
    """
    if include_levels and after_revision is not None:
        message = "--levels and --after-revision exclude each other: levels are as of now"
        raise click.UsageError(message)
    responses = session.client.watch_responses(
        after_revision=after_revision,
        include_levels=include_levels,
        timeout_seconds=session.timeout_seconds,
        **names,  # type: ignore[arg-type]  # the names of options above
    )
    with closing(responses):
        for response in responses:
            _tell(session, response)


def _tell(session: Session, response: WatchResponse) -> None:
    session.output.show(columns.STOCK, response.stock_levels)
    session.output.show(columns.COUNTER, response.counters)
    for entry in response.entries:
        if session.output.as_json:
            session.output.show_json(entry)
        else:
            session.output.say(descriptions.event(entry))
    check_output()
