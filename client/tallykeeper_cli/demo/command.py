"""The command `tallykeeper demo`: plays the story against a running server, and shows each act in a table."""

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from tallykeeper_cli.demo.baskets import fill_baskets
from tallykeeper_cli.demo.sales import Step, live_through
from tallykeeper_cli.demo.watcher import Watcher
from tallykeeper_cli.terminal.connection_options import Connection, connects
from tallykeeper_cli.terminal.exit_codes import EXIT_UNKNOWN
from tallykeeper_cli.terminal.failures import reported
from tallykeeper_client.client import Client
from tallykeeper_client.errors import TallykeeperError, Unavailable

_CONNECT_SECONDS: Final = 2.0


@click.command
@connects
def demo(connection: Connection) -> None:
    """Play a story at a bookshop against a running server.

    It has two acts: a day of sales, and an evening of baskets. A watcher prints the changes of the second act as they
    happen.

    The exit code is 0 if every step had the expected answer, 1 if a step had not, and 3 if no server answers.
    """
    namespace = f"demo-{secrets.token_hex(4)}"
    with connection.client(namespace=namespace) as client:
        _connect(client)
        try:
            _play("A day at a bookshop", live_through(client))
            click.echo("\nIn the evening a second program watches:")
            with reported(), Watcher(client):
                _play("An evening of baskets", fill_baskets(client))
        finally:
            _say_where_it_is(client)


class _NobodyError(click.ClickException):
    """No server answers."""

    exit_code = EXIT_UNKNOWN


def _connect(client: Client) -> None:
    try:
        client.wait_until_ready(timeout_seconds=_CONNECT_SECONDS)
    except Unavailable as error:
        message = (
            f"no server answers at {client.target}; start one in another terminal with 'make run' or"
            " 'tallykeeper serve', and try again"
        )
        raise _NobodyError(message) from error


def _play(title: str, steps: Iterator[Step]) -> None:
    """Play an act, and then show it. Raises ClickException if a step failed or had an unexpected answer."""
    table = _table(title)
    number, wrong = 0, []
    try:
        for number, step in enumerate(steps, start=1):
            mark = "[green]yes" if step.as_expected else "[red]NO"
            table.add_row(str(number), step.event, step.call, step.answer, mark)
            if not step.as_expected:
                wrong.append(str(number))
    except TallykeeperError as error:
        message = f"step {number + 1} failed with {error.reason}: {error}"
        raise click.ClickException(message) from error
    except TimeoutError as error:
        message = f"step {number + 1} waited too long"
        raise click.ClickException(message) from error
    finally:
        Console().print(table)
    if wrong:
        message = f"unexpected answer in step {', '.join(wrong)}"
        raise click.ClickException(message)
    click.echo(f"All {number} steps had the expected answer. The last answer: {step.answer}.")


def _table(title: str) -> Table:
    """Make a table that is as wide as the terminal, or 80 columns without a terminal."""
    table = Table(title=title, show_lines=True, expand=True)
    table.add_column("", justify="right")
    table.add_column("what happens", ratio=10, overflow="fold")
    table.add_column("call", ratio=9, overflow="fold")
    table.add_column("answer", ratio=11, overflow="fold")
    table.add_column("expected")
    return table


def _say_where_it_is(client: Client) -> None:
    click.echo(f"The data is in the namespace {client.namespace}. To show it again:")
    command = Path(sys.executable).with_name("tallykeeper")
    for words in ("stock list", "ledger list", "verify"):
        click.echo(f"  {command} {words} --target {client.target} --namespace {client.namespace}")
