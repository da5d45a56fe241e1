"""The session of a command: the options that all commands have, and the client."""

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
from tallykeeper_cli.terminal.failures import reported
from tallykeeper_cli.terminal.output import Column, MessageT, Output
from tallykeeper_cli.terminal.unreachable import cause_of
from tallykeeper_client import TIMEOUT_SECONDS_DEFAULT, MutationOptions
from tallykeeper_client.client import Client

_ResultT = TypeVar("_ResultT")

location_option: Final = click.option(
    "--location", default="", metavar="NAME", help="The location of the copies.  [default: main]"
)


class Mutated(Protocol):
    """A response of any mutation."""

    revision: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A running command: its client, its output, and its other options."""

    client: Client
    output: Output
    timeout_seconds: float | None
    options: MutationOptions = field(default_factory=MutationOptions)

    def changed(self, response: Mutated, columns: Sequence[Column[MessageT]], now: Iterable[MessageT]) -> None:
        """Show the state after a mutation, and its revision; with JSON, the response."""
        if self.output.as_json:
            self.output.show_json(cast("Message", response))
            return
        self.output.show(columns, now)
        before = ", as in the first answer: nothing was changed now" if response.replayed else ""
        self.output.say(f"revision {response.revision}{before}")


def noun(name: str, text: str) -> click.Group:
    """Make the group of a noun's commands."""
    return click.Group(name, help=text, epilog=EXIT_CODES)


def reads(command: Callable[..., _ResultT]) -> Callable[..., _ResultT]:
    """Give a command the options that all commands have, and a `Session` as its first argument."""

    @functools.wraps(command)
    def with_session(
        connection: Connection, *, namespace: str, timeout: float | None, as_json: bool, **values: object
    ) -> _ResultT:
        # gRPC's core writes its own lines about an error that is reported here in one line.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        output = Output(as_json, Console())
        with (
            reported(connection.target, functools.partial(cause_of, connection)),
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
        help="The namespace of the counters and the stock.",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True),
        metavar="SECONDS",
        help=f"The time limit of each call, with its retries.  [default: {TIMEOUT_SECONDS_DEFAULT:g}]",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON, one object on a line."),
)

_OF_MUTATIONS: Final[Sequence[Decorator]] = (
    click.option(
        "--request-id",
        metavar="ID",
        help="The id under which the change counts once, for at least a day.  [default: a new id]",
    ),
    click.option("--reason", default="", metavar="WORD", help="The reason for the change, for the ledger."),
    click.option("--reference", default="", metavar="TEXT", help="The order or user of the change, for the ledger."),
)
