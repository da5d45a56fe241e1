"""``tallykeeper health``: one question to the standard health service, for containers and probes."""

import functools
from typing import Final

import click
from grpc_health.v1.health_pb2 import HealthCheckResponse
from rich.console import Console

from tallykeeper_cli.terminal.connection_options import Connection, connects
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES, EXIT_REFUSED
from tallykeeper_cli.terminal.failures import reported
from tallykeeper_cli.terminal.output import Output
from tallykeeper_cli.terminal.unreachable import cause_of

_TIMEOUT_SECONDS: Final = 3.0


def status_word(status: int) -> str:
    """Return the name of a health status in lower case, as in ``not serving``."""
    return HealthCheckResponse.ServingStatus.Name(status).lower().replace("_", " ")


@click.command(epilog=EXIT_CODES)
@connects
@click.option(
    "--service", default="", metavar="NAME", help="The full name of one gRPC service.  [default: the whole server]"
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=_TIMEOUT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="The maximum time for the answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, one object on a line.")
def health(connection: Connection, *, service: str, timeout: float, as_json: bool) -> int:
    """Ask the server once whether it serves.

    Exits with 0 if it serves, with 1 if it does not or has no such service, and with 3 if there is no answer. The
    question is sent once, without retries, and needs no token.
    """
    with (
        reported(connection.target, functools.partial(cause_of, connection)),
        connection.client(namespace="default", timeout_seconds=timeout, retries=False) as client,
    ):
        response = client.check_health(service)
    output = Output(as_json, Console())
    if as_json:
        output.show_json(response)
    output.say(status_word(response.status))
    return 0 if response.status == HealthCheckResponse.SERVING else EXIT_REFUSED
