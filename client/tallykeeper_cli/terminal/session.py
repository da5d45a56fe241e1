"""What the commands share: the options that every one of them has, and the client that they are carried out with."""

import functools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar, cast

import click
from google.protobuf.message import Message
from rich.console import Console

from tallykeeper_cli.terminal.connection_options import Connection, Decorator, connects, with_options
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES
from tallykeeper_cli.terminal.failures import told
from tallykeeper_cli.terminal.output import Column, MessageT, Output
from tallykeeper_cli.terminal.unreachable import cause_of
from tallykeeper_client import TIMEOUT_SECONDS_DEFAULT, MutationOptions
from tallykeeper_client.client import Client

_ResultT = TypeVar("_ResultT")

location_option: Final = click.option(
    "--location", default="", metavar="NAME", help="Where the copies are.  [default: main]"
)


class Mutated(Protocol):
    """What the response of every mutation has."""

    revision: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class Session:
    """One command being carried out: its client, its output, and what its options say besides."""

    client: Client
    output: Output
    timeout_seconds: float | None
    options: MutationOptions = field(default_factory=MutationOptions)

    def changed(self, response: Mutated, columns: Sequence[Column[MessageT]], now: Iterable[MessageT]) -> None:
        """Show what a mutation left, and its revision; with JSON, its response."""
        if self.output.as_json:
            self.output.show_json(cast("Message", response))
            return
        self.output.show(columns, now)
        before = ", as answered before: nothing was changed now" if response.replayed else ""
        self.output.say(f"revision {response.revision}{before}")


def noun(name: str, text: str) -> click.Group:
    """Make the group of one noun's commands."""
    return click.Group(name, help=text, epilog=EXIT_CODES)


def reads(command: Callable[..., _ResultT]) -> Callable[..., _ResultT]:
    """Give a command the options that all have, and a `Session` as its first argument."""

    @functools.wraps(command)
    def with_session(
        connection: Connection, *, namespace: str, timeout: float | None, as_json: bool, **values: object
    ) -> _ResultT:
        # gRPC's core writes lines of its own about what is reported here in one.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        output = Output(as_json, Console())
        with (
            told(connection.target, functools.partial(cause_of, connection)),
            connection.client(namespace=namespace, timeout_seconds=timeout or TIMEOUT_SECONDS_DEFAULT) as client,
        ):
            return command(Session(client, output, timeout), **values)

    return connects(with_options(with_session, _OF_ALL))


def mutates(command: Callable[..., _ResultT]) -> Callable[..., _ResultT]:
    """Give a command the options that all mutations have, and a `Session` with them as its first argument."""

    @functools.wraps(command)
    def with_its_options(
        session: Session, *, request_id: str | None, reason: str, reference: str, **values: object
    ) -> _ResultT:
        options = MutationOptions(request_id=request_id, reason=reason, reference=reference)
        return command(replace(session, options=options), **values)

    return reads(with_options(with_its_options, _OF_MUTATIONS))


_OF_ALL: Final[Sequence[Decorator]] = (
    click.option(
        "--namespace",
        default="default",
        show_default=True,
        envvar="TALLYKEEPER_NAMESPACE",
        show_envvar=True,
        metavar="NAME",
        help="Whose counters and stock.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help=f"How long an answer may take, retries included.  [default: {TIMEOUT_SECONDS_DEFAULT:g}]",
    ),
    click.option("--json", "as_json", is_flag=True, help="Answer in JSON, one object on a line."),
)

_OF_MUTATIONS: Final[Sequence[Decorator]] = (
    click.option(
        "--request-id",
        metavar="ID",
        help="Counts once however often it is sent, for a day at least.  [default: one of its own]",
    ),
    click.option("--reason", default="", metavar="WORD", help="Why, for the ledger."),
    click.option(
        "--reference", default="", metavar="TEXT", help="What it belongs to, such as an order, for the ledger."
    ),
)
