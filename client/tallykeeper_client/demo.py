"""The command `tallykeeper demo`: plays the story against a running server and tells it in a table."""

import secrets
import sys
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from tallykeeper_client.client import Client
from tallykeeper_client.demo_story import live_through
from tallykeeper_client.errors import TallykeeperError, Unavailable

_CONNECT_SECONDS: Final = 2.0


@click.command
@click.option(
    "--target",
    default="127.0.0.1:50051",
    show_default=True,
    envvar="TALLYKEEPER_TARGET",
    show_envvar=True,
    help="Where the server listens.",
)
def demo(target: str) -> None:
    """Play a day at a bookshop against a running server.

    Exits with 0 if every step came out as the story tells it, and with 1 if one did not.
    """
    namespace = f"demo-{secrets.token_hex(4)}"
    with Client(target, namespace=namespace) as client:
        _connect(client)
        _play(client)


def _connect(client: Client) -> None:
    try:
        client.wait_until_ready(timeout_seconds=_CONNECT_SECONDS)
    except Unavailable as error:
        message = (
            f"no server answers at {client.target}; start one in another terminal with 'make run' or"
            " 'tallykeeper serve', and try again"
        )
        raise click.ClickException(message) from error


def _play(client: Client) -> None:
    table = _table()
    number, wrong = 0, []
    try:
        for number, step in enumerate(live_through(client), start=1):
            table.add_row(str(number), step.told, step.call, step.answer, "[green]yes" if step.as_told else "[red]NO")
            if not step.as_told:
                wrong.append(str(number))
    except TallykeeperError as error:
        message = f"step {number + 1} failed with {error.reason}: {error}"
        raise click.ClickException(message) from error
    finally:
        Console().print(table)
        _say_where_it_is(client)
    if wrong:
        message = f"the story came out otherwise in step {', '.join(wrong)}"
        raise click.ClickException(message)
    click.echo(f"All {number} steps came out as told; in the last, {step.answer}.")


def _table() -> Table:
    """Make a table that is as wide as the terminal, or 80 columns where there is none."""
    table = Table(title="A day at a bookshop", show_lines=True, expand=True)
    table.add_column("", justify="right")
    table.add_column("what happens", ratio=10, overflow="fold")
    table.add_column("call", ratio=9, overflow="fold")
    table.add_column("answer", ratio=11, overflow="fold")
    table.add_column("as told")
    return table


def _say_where_it_is(client: Client) -> None:
    look = f"Client({client.target!r}, namespace={client.namespace!r}).list_stock()"
    click.echo(f"All of this is in the namespace {client.namespace}. To look at it again:")
    click.echo(f'  {sys.executable} -c "from tallykeeper_client import Client; print({look})"')
