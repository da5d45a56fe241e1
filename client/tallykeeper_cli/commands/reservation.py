"""``tallykeeper reservation``: reserves copies, takes them or gives them back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, cast

import click

from tallykeeper.v1.reservation_pb2 import ReservationState, StockLine
from tallykeeper_cli.terminal import columns, descriptions
from tallykeeper_cli.terminal.parameter_types import LENGTH, LINE
from tallykeeper_cli.terminal.session import Session, mutates, noun, reads

reservation: Final = noun("reservation", "Reserve copies, take them or give them back.")

_ttl_option: Final = click.option(
    "--ttl", type=LENGTH, help="The time until it expires, such as 90s, 15m or 2h.  [default: 15m]"
)
_STATES: Final = {
    descriptions.state_word(state): cast("ReservationState", state) for state in ReservationState.values()[1:]
}


@reservation.command("reserve")
@click.argument("lines", nargs=-1, required=True, type=LINE, metavar="LINE...")
@click.option(
    "--id",
    "reservation_id",
    default="",
    metavar="ID",
    help="The id of the reservation.  [default: the server chooses one]",
)
@_ttl_option
@click.option("--holder", default="", metavar="TEXT", help="The customer or basket, by which 'list' can filter.")
@mutates
def reserve(
    session: Session, *, lines: Sequence[StockLine], reservation_id: str, ttl: timedelta | None, holder: str
) -> None:
    """Reserve the copies of all lines, or of none.

    A LINE is an item with its location and number of copies: dune, dune=2, dune@annex=2. The location is main and the
    number is 1 if they are left out. If the item's name has =, give the number too (a=b=1). If it has @, give the
    location too (a@b@main).
    """
    response = session.client.reserve(lines, reservation_id=reservation_id, ttl=ttl, holder=holder, **session.options)
    session.changed(response, columns.RESERVATION, [response.reservation])


@reservation.command("commit")
@click.argument("reservation_id")
@click.argument("lines", nargs=-1, type=LINE, metavar="[LINE]...")
@mutates
def commit(session: Session, *, reservation_id: str, lines: Sequence[StockLine]) -> None:
    """Take reserved copies.

    Without a LINE all reserved copies are taken. With lines, as in 'reserve', the others are given back.
    """
    response = session.client.commit(reservation_id, lines=lines or None, **session.options)
    session.changed(response, columns.RESERVATION, [response.reservation])


@reservation.command("release")
@click.argument("reservation_id")
@mutates
def release(session: Session, *, reservation_id: str) -> None:
    """Give back reserved copies."""
    response = session.client.release(reservation_id, **session.options)
    session.changed(response, columns.RESERVATION, [response.reservation])


@reservation.command("extend")
@click.argument("reservation_id")
@_ttl_option
@mutates
def extend(session: Session, *, reservation_id: str, ttl: timedelta | None) -> None:
    """Give a reservation more time.

    It expires one --ttl from now, but never earlier than before.
    """
    response = session.client.extend(reservation_id, ttl=ttl, **session.options)
    session.changed(response, columns.RESERVATION, [response.reservation])


@reservation.command("get")
@click.argument("reservation_id")
@reads
def get(session: Session, *, reservation_id: str) -> None:
    """Show a reservation. A reservation that has ended is kept for some time."""
    session.output.show(columns.RESERVATION, [session.client.get_reservation(reservation_id).reservation])


@reservation.command("list")
@click.option("--holder", default="", metavar="TEXT", help="Only reservations for this holder.")
@click.option("--item", default="", help="Only reservations with this item.")
@click.option("--state", type=click.Choice(list(_STATES)), help="Only reservations in this state.")
@reads
def list_reservations(session: Session, *, holder: str, item: str, state: str | None) -> None:
    """List reservations, the active ones first."""
    wanted = _STATES[state] if state else ReservationState.RESERVATION_STATE_UNSPECIFIED
    found = session.client.iterate_reservations(holder=holder, item=item, state=wanted, page_size=1000)
    session.output.show(columns.RESERVATION, found)
