"""``tallykeeper verify``: compares a namespace with its ledger."""

import click

from tallykeeper_client.commands import columns
from tallykeeper_client.commands.exit_codes import EXIT_CODES, EXIT_DIFFERENT
from tallykeeper_client.commands.session import Session, reads


@click.command(epilog=EXIT_CODES)
@reads
def verify(session: Session) -> int:
    """Compare a namespace with its ledger.

    The ledger is replayed, and what comes out is compared with what there is. Changes may go on meanwhile. It reads
    everything, and has ten minutes for it unless --timeout says otherwise. Exits with 4 if there is a difference.
    """
    found = session.client.verify_namespace(timeout_seconds=session.timeout_seconds)
    if session.output.as_json:
        session.output.show_json(found)
    else:
        session.output.show(columns.DIFFERENCE, found.differences)
        session.output.say(
            f"differences: {found.difference_count}; revisions {found.from_revision} to {found.to_revision} replayed, "
            f"{found.levels_checked} levels and counters and {found.reservations_checked} reservations compared, "
            f"{found.levels_unchecked} levels and counters no longer in the ledger"
        )
    return 0 if found.clean else EXIT_DIFFERENT
