"""``tallykeeper reservation``: holds copies, takes them or gives them back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, cast

import click

from tallykeeper.v1.reservation_pb2 import ReservationState, StockLine
from tallykeeper_cli.terminal import columns, descriptions
from tallykeeper_cli.terminal.parameter_types import LENGTH, LINE
from tallykeeper_cli.terminal.session import Session, mutates, noun, reads

reservation: Final = noun("reservation", "Hold copies, take them or give them back.")

_ttl_option: Final = click.option("--ttl", type=LENGTH, help="For how long, such as 90s, 15m or 2h.  [default: 15m]")
_STATES: Final = {
    descriptions.state_word(state): cast("ReservationState", state) for state in ReservationState.values()[1:]
}


@reservation.command("reserve")
@click.argument("lines", nargs=-1, required=True, type=LINE, metavar="LINE...")
@click.option("--id", "reservation_id", default="", metavar="ID", help="Its id.  [default: the server chooses one]")
@_ttl_option
@click.option("--holder", default="", metavar="TEXT", help="Whom it is for, to list by.")
@mutates
def reserve(
    session: Session, *, lines: Sequence[StockLine], reservation_id: str, ttl: timedelta | None, holder: str
) -> None:
    """Hold copies, of all lines or of none.

    A LINE is an item, with its location and how many copies where these are not main and 1: dune, dune=2,
    dune@annex=2. An item with = in its name needs its copies spelled out (a=b=1), and one with @ its location
    (a@b@main).
    """
    response = session.client.reserve(lines, reservation_id=reservation_id, ttl=ttl, holder=holder, **session.options)
    session.changed(response, columns.RESERVATION, [response.reservation])


@reservation.command("commit")
@click.argument("reservation_id")
@click.argument("lines", nargs=-1, type=LINE, metavar="[LINE]...")
@mutates
def commit(session: Session, *, reservation_id: str, lines: Sequence[StockLine]) -> None:
    """Take what is reserved.

    Everything, or what the lines name, as in 'reserve'; the rest is given back.
    """
    response = session.client.commit(reservation_id, lines=lines or None, **session.options)
    session.changed(response, columns.RESERVATION, [response.reservation])


@reservation.command("release")
@click.argument("reservation_id")
@mutates
def release(session: Session, *, reservation_id: str) -> None:
    """Give back what is reserved."""
    response = session.client.release(reservation_id, **session.options)
    session.changed(response, columns.RESERVATION, [response.reservation])


@reservation.command("extend")
@click.argument("reservation_id")
@_ttl_option
@mutates
def extend(session: Session, *, reservation_id: str, ttl: timedelta | None) -> None:
    """Give a reservation more time.

    It ends a ttl from now, and never sooner than it would have.
    """
    response = session.client.extend(reservation_id, ttl=ttl, **session.options)
    session.changed(response, columns.RESERVATION, [response.reservation])


@reservation.command("get")
@click.argument("reservation_id")
@reads
def get(session: Session, *, reservation_id: str) -> None:
    """Show a reservation. One that has ended is kept for a while."""
    session.output.show(columns.RESERVATION, [session.client.get_reservation(reservation_id).reservation])


@reservation.command("list")
@click.option("--holder", default="", metavar="TEXT", help="Only those for this holder.")
@click.option("--item", default="", help="Only those of this item.")
@click.option("--state", type=click.Choice(list(_STATES)), help="Only those in this state.")
@reads
def list_reservations(session: Session, *, holder: str, item: str, state: str | None) -> None:
    """List reservations, the active ones first."""
    wanted = _STATES[state] if state else ReservationState.RESERVATION_STATE_UNSPECIFIED
    found = session.client.iterate_reservations(holder=holder, item=item, state=wanted, page_size=1000)
    session.output.show(columns.RESERVATION, found)
