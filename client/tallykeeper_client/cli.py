"""The command line `tallykeeper`: finds its commands and reports their errors, each in one line.

The commands are those that installed packages name as entry points, so that the client's ``demo`` and the
server's ``serve`` meet here without knowing each other.
"""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Final, cast

import click

from tallykeeper_client.commands.failures import EXIT_CODES

_PROGRAM: Final = "tallykeeper"
_COMMANDS: Final = "tallykeeper.commands"
_EXIT_INTERRUPTED: Final = 130
"""What a shell reports for a program that SIGINT ended: 128 + 2."""


class InstalledCommands(click.Group):
    """The commands in the entry-point group ``tallykeeper.commands``, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Name the commands in order."""
        return sorted(entry_points(group=_COMMANDS).names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        """Load one command; None if no installed package has it."""
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
    """Keep counters and stock that many callers change at once, exactly."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 2 for wrong usage, 130 when it was interrupted.

    ``arguments`` are those after the program's name; those of the process if None.
    """
    try:
        code = tallykeeper.main(arguments, prog_name=_PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        click.echo(_line_of(error), err=True)
        return error.exit_code
    except click.Abort:
        return _EXIT_INTERRUPTED
    return code if isinstance(code, int) else 0


def _line_of(error: click.ClickException) -> str:
    """Say in one line what went wrong and, where the usage was wrong, where to read what is right."""
    message = " ".join(error.format_message().split()).removesuffix(".")
    if message[1:2].islower():
        message = message[0].lower() + message[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return f"{_PROGRAM}: {message}"
    return f"{context.command_path}: {message} (see '{context.command_path} --help')"
