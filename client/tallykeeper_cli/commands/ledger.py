"""``tallykeeper ledger``: shows the changes, and the outcome of a request."""

from datetime import datetime
from itertools import islice
from typing import Any, Final, cast

import click

from tallykeeper.v1.ledger_pb2 import OperationKind, RequestOutcome
from tallykeeper_cli.terminal import columns, descriptions
from tallykeeper_cli.terminal.exit_codes import EXIT_REFUSED
from tallykeeper_cli.terminal.parameter_types import MOMENT
from tallykeeper_cli.terminal.session import Session, noun, reads

ledger: Final = noun("ledger", "Show the changes that were made.")

_KINDS: Final = {descriptions.operation_word(kind): cast("OperationKind", kind) for kind in OperationKind.values()[1:]}
_PAGE_SIZE_MAX: Final = 1000


@ledger.command("list")
@click.option("--item", default="", help="Only entries with this item.")
@click.option("--counter", default="", help="Only entries with this counter.")
@click.option("--location", default="", metavar="NAME", help="Only entries with a change at this location.")
@click.option("--reservation", "reservation_id", default="", metavar="ID", help="Only entries of this reservation.")
@click.option("--operation", type=click.Choice(list(_KINDS)), help="Only entries of this kind.")
@click.option("--reference", default="", metavar="TEXT", help="Only entries with this reference.")
@click.option("--request-id", default="", metavar="ID", help="Only entries with this request id.")
@click.option("--since", "start_time", type=MOMENT, help="Only from this time on: 2026-05-01T12:00:00Z, or 1h (ago).")
@click.option("--until", "end_time", type=MOMENT, help="Only before this time.")
@click.option("--newest-first", is_flag=True, help="List the newest entries first, not the oldest.")
@click.option("--limit", type=click.IntRange(min=1), help="The maximum number of entries to list.")
@reads
def list_entries(
    session: Session,
    *,
    operation: str | None,
    limit: int | None,
    start_time: datetime | None,
    end_time: datetime | None,
    **filters: Any,  # noqa: ANN401  # passed on by name
) -> None:
    """List the entries of the ledger that pass all given filters."""
    entries = session.client.iterate_entries(
        operation=_KINDS[operation] if operation else OperationKind.OPERATION_KIND_UNSPECIFIED,
        start_time=start_time,
        end_time=end_time,
        page_size=min(limit or _PAGE_SIZE_MAX, _PAGE_SIZE_MAX),
        **filters,
    )
    session.output.show(columns.ENTRY, islice(entries, limit))


@ledger.command("lookup")
@click.argument("request_id")
@reads
def lookup(session: Session, *, request_id: str) -> int:
    """Show the outcome of a request by its request id.

    The request was applied, refused, or applied in part (incomplete). The exit code is 1 if the id is unknown: the
    request never came, failed before it could be applied, or was forgotten.
    """
    found = session.client.lookup_request(request_id)
    session.output.show(columns.LOOKUP, [found])
    return EXIT_REFUSED if found.outcome == RequestOutcome.REQUEST_OUTCOME_UNKNOWN else 0
