"""The command line `tallykeeper`: it finds its commands, and reports their errors, each in one line.

Installed packages name the commands as entry points, so that the client's ``demo`` and the server's ``serve`` meet here
without knowing each other. A command is loaded only when it is called. This module does not load gRPC, because gRPC
reads its environment when it is loaded.
"""

import os
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Final, cast

import click

from tallykeeper_cli.terminal.exit_codes import EXIT_CODES, EXIT_DEFECT, EXIT_INTERRUPTED
from tallykeeper_cli.terminal.streams import OutputLostError, guarded

_PROGRAM: Final = "tallykeeper"
_COMMANDS: Final = "tallykeeper.commands"
_DEBUG: Final = "TALLYKEEPER_DEBUG"
_GRPC_ENVIRONMENT: Final = {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0"}
"""The settings that silence gRPC's core, because its log lines would mix with the output of a command."""


class InstalledCommands(click.Group):
    """The commands in the entry-point group ``tallykeeper.commands``, each loaded when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the commands' names in order."""
        return sorted(entry_points(group=_COMMANDS).names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        """Load a command; None if no installed package has it."""
        for entry_point in entry_points(group=_COMMANDS, name=cmd_name):
            return cast("click.Command", entry_point.load())
        return None


@click.group(
    cls=InstalledCommands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES,
)
@click.version_option(package_name=_PROGRAM, message="%(prog)s %(version)s")
@click.pass_context
def tallykeeper(ctx: click.Context) -> None:
    """Keep exact counters and stock that many callers change at once."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code, one of `EXIT_CODES`.

    ``arguments`` are those after the program's name. None means those of the process.
    """
    for name, value in _GRPC_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with guarded() as streams:
        return streams.exit_code(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = tallykeeper.main(arguments, prog_name=_PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        click.echo(_line_of(error), err=True)
        return error.exit_code
    except click.Abort:
        return EXIT_INTERRUPTED
    except OutputLostError:
        return 0
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        message = " ".join(f"{type(error).__name__}: {error}".split())
        click.echo(f"{_PROGRAM}: a defect of this program: {message} ({_DEBUG}=1 shows where)", err=True)
        return EXIT_DEFECT
    return code if isinstance(code, int) else 0


def _line_of(error: click.ClickException) -> str:
    """Return an error in one line: the message and, for a usage error, the command that prints the help."""
    message = " ".join(error.format_message().split()).removesuffix(".")
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return f"{_PROGRAM}: {message}"
    return f"{context.command_path}: {message} (see '{context.command_path} --help')"
