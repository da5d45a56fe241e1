"""``tallykeeper stock``: shows and changes stock."""

from collections.abc import Sequence
from typing import Final

import click

from tallykeeper.v1.inventory_pb2 import ShortagePolicy, StockKey
from tallykeeper.v1.reservation_pb2 import StockLine
from tallykeeper_cli.stock_csv.export_command import export_stock
from tallykeeper_cli.stock_csv.import_command import import_stock
from tallykeeper_cli.terminal import columns
from tallykeeper_cli.terminal.exit_codes import EXIT_REFUSED
from tallykeeper_cli.terminal.failures import Refused
from tallykeeper_cli.terminal.parameter_types import COPIES, COUNT, INTEGER, LINE, availability_line
from tallykeeper_cli.terminal.session import Session, location_option, mutates, noun, reads
from tallykeeper_client import UNCHANGED

stock: Final = noun("stock", "Show and change stock.")
stock.add_command(import_stock)
stock.add_command(export_stock)

_copies_option: Final = click.option(
    "--copies", type=COPIES, default=1, show_default=True, help="The number of copies."
)


@stock.command("get")
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
@location_option
@reads
def get(session: Session, *, items: Sequence[str], location: str) -> None:
    """Show items at one location, as they are at one moment."""
    found = session.client.batch_get_stock(StockKey(item=item, location=location) for item in items)
    session.output.show(columns.STOCK, found.stock_levels)
    if found.missing:
        missing = ", ".join(f"{key.item}@{key.location}" for key in found.missing)
        message = f"no such stock: {missing}"
        raise Refused(message)


@stock.command("item")
@click.argument("item")
@reads
def get_item(session: Session, *, item: str) -> None:
    """Show an item at all its locations, and its totals."""
    found = session.client.get_item(item)
    if session.output.as_json:
        session.output.show_json(found)
        return
    session.output.show(columns.STOCK, found.stock_levels)
    session.output.say(
        f"total: on_hand {found.total_on_hand}, reserved {found.total_reserved}, available {found.total_available}"
    )


@stock.command("list")
@click.argument("item_prefix", default="")
@location_option
@click.option("--any-location", is_flag=True, help="List the items at all locations.")
@reads
def list_stock(session: Session, *, item_prefix: str, location: str, any_location: bool) -> None:
    """List the items at one location, or at all locations.

    The items whose names begin with ITEM_PREFIX are listed, or all items, in the order of their names' bytes.
    """
    levels = session.client.iterate_stock(item_prefix, location=location, any_location=any_location, page_size=1000)
    session.output.show(columns.STOCK, levels)


@stock.command("check")
@click.argument("lines", nargs=-1, required=True, type=LINE, metavar="LINE...")
@click.option("--any-location", is_flag=True, help="Count the copies at all locations of an item.")
@reads
def check(session: Session, *, lines: Sequence[StockLine], any_location: bool) -> int:
    """Show how many copies are available. This reserves nothing.

    A LINE is an item with its location and number of copies: dune, dune=2, dune@annex=2. The location is main and the
    number is 1 if they are left out. If the item's name has =, give the number too (a=b=1). If it has @, give the
    location too (a@b@main).

    The exit code is 1 if a line is not sufficient.
    """
    found = session.client.check_availability(availability_line(line, any_location=any_location) for line in lines)
    if session.output.as_json:
        session.output.show_json(found)
    else:
        session.output.show(columns.AVAILABILITY, found.lines)
    return 0 if found.sufficient else EXIT_REFUSED


@stock.command("decrement")
@click.argument("item")
@location_option
@_copies_option
@click.option("--take-available", is_flag=True, help="If there are too few copies, take those that are available.")
@mutates
def decrement(session: Session, *, item: str, location: str, copies: int, take_available: bool) -> None:
    """Take copies of an item, as for a sale, a loan or a pick."""
    policy = ShortagePolicy.SHORTAGE_POLICY_REJECT
    if take_available:
        policy = ShortagePolicy.SHORTAGE_POLICY_TAKE_AVAILABLE
    response = session.client.decrement_copies(
        item, location=location, copies=copies, shortage_policy=policy, **session.options
    )
    session.changed(response, columns.STOCK, [response.stock_level])
    if response.copies_taken < copies:
        session.output.say(f"{response.copies_taken} of {copies} copies taken")


@stock.command("increment")
@click.argument("item")
@location_option
@_copies_option
@mutates
def increment(session: Session, *, item: str, location: str, copies: int) -> None:
    """Add copies of an item, as for a delivery or a return."""
    response = session.client.increment_copies(item, location=location, copies=copies, **session.options)
    session.changed(response, columns.STOCK, [response.stock_level])


@stock.command("set", context_settings={"ignore_unknown_options": True})
@click.argument("item")
@click.argument("on_hand", type=INTEGER)
@location_option
@click.option("--expected-on-hand", type=INTEGER, help="Set it only if on_hand has this value now.")
@click.option("--allow-below-reserved", is_flag=True, help="Record the number even if more copies are reserved.")
@mutates
def set_stock(
    session: Session,
    *,
    item: str,
    on_hand: int,
    location: str,
    expected_on_hand: int | None,
    allow_below_reserved: bool,
) -> None:
    """Set the number of copies on hand, as after a stock-taking.

    ON_HAND is below 0 where copies were taken on backorder.
    """
    response = session.client.set_stock(
        item,
        on_hand,
        location=location,
        expected_on_hand=expected_on_hand,
        allow_below_reserved=allow_below_reserved,
        **session.options,
    )
    session.changed(response, columns.STOCK, [response.stock_level])
    if short := response.stock_level.short_copies:
        session.output.say(f"short_copies {short}: nothing more can be reserved until these copies are covered")


@stock.command("move")
@click.argument("item")
@click.option(
    "--from", "from_location", default="", metavar="NAME", help="The location that the copies leave.  [default: main]"
)
@click.option(
    "--to", "to_location", default="", metavar="NAME", help="The location to which the copies go.  [default: main]"
)
@_copies_option
@mutates
def move(session: Session, *, item: str, from_location: str, to_location: str, copies: int) -> None:
    """Move copies of an item from one location to another."""
    response = session.client.move_copies(
        item, from_location=from_location, to_location=to_location, copies=copies, **session.options
    )
    session.changed(response, columns.STOCK, [response.from_stock_level, response.to_stock_level])


@stock.command("configure")
@click.argument("item")
@location_option
@click.option("--safety-stock", type=COUNT, help="The number of copies to keep back.")
@click.option("--backorder-limit", type=COUNT, help="The number of copies that may be taken beyond the available ones.")
@click.option(
    "--low-stock-threshold", type=COUNT, help="The number of available copies at or below which the stock is low."
)
@mutates
def configure(session: Session, *, item: str, location: str, **given: int | None) -> None:
    """Set the limits of an item at one location. 0 clears a limit."""
    if all(value is None for value in given.values()):
        message = f"nothing to configure: name one of {', '.join(given)}"
        raise click.UsageError(message)
    settings = {name: UNCHANGED if value is None else value for name, value in given.items()}
    response = session.client.configure_stock(item, location=location, **settings, **session.options)
    session.changed(response, columns.STOCK, [response.stock_level])


@stock.command("delete")
@click.argument("item")
@location_option
@mutates
def delete(session: Session, *, item: str, location: str) -> None:
    """Delete an item at a location that has no copies on hand."""
    response = session.client.delete_stock(item, location=location, **session.options)
    session.changed(response, columns.STOCK, [response.stock_level])
