"""``tallykeeper serve`` reads the settings and runs the server, by one process or many; ``backup`` copies its data."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import structlog

from tallykeeper_server.lifetime import run
from tallykeeper_server.logs import configure_logs, silence_grpc
from tallykeeper_server.settings import Settings, SettingsError, options
from tallykeeper_server.starting import StartError
from tallykeeper_server.store.backups import BackupError, back_up
from tallykeeper_server.stray_output import captured_output
from tallykeeper_server.supervisor import supervise

log = structlog.get_logger()

_ARGUMENTS: Final = f"{__name__}.arguments"


class _RepeatableCommand(click.Command):
    """A command that keeps its arguments, so that they can be read again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


@click.command(cls=_RepeatableCommand)
@options
@click.pass_context
def serve(ctx: click.Context, /, **values: object) -> None:
    """Serve counters and inventory over gRPC until SIGTERM or Ctrl-C.

    A setting comes from its flag, else from its environment variable, else from the file that --config names,
    else from its default. SIGHUP reads them again.
    """
    settings = Settings.from_options(values)
    try:
        settings.check()
        workers = settings.worker_count()
    except SettingsError as error:
        raise click.UsageError(str(error), ctx) from error
    arguments: Sequence[str] = ctx.meta[_ARGUMENTS]
    with captured_output():
        configure_logs(level=settings.log_level, log_format=settings.log_format)
        silence_grpc()
        try:
            if workers == 1:
                from tallykeeper_server import app  # noqa: PLC0415  # loads gRPC, which is silenced first

                run(app.serve(settings))
            else:
                run(supervise(settings, workers=workers, read_again=lambda: _read_again(ctx, arguments)))
        except StartError as error:
            raise click.ClickException(str(error)) from error
        except Exception:
            log.critical("the server ends by a defect", exc_info=True)
            ctx.exit(1)


@click.command
@click.argument("to", type=click.Path(path_type=Path))
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path("tallykeeper-data"),
    show_default=True,
    envvar="TALLYKEEPER_DATA_DIR",
    show_envvar=True,
    help="The data directory of the server.",
)
def backup(to: Path, data_dir: Path) -> None:
    """Copy the embedded store's data into the new directory TO.

    A server may be running on it meanwhile. The copy has every change that was acknowledged before; to restore it,
    start a server with --data-dir TO.
    """
    try:
        made = asyncio.run(back_up(data_dir, to))
    except BackupError as error:
        raise click.ClickException(error.message) from error
    while_running = "while the server runs" if made.online else "of a server that does not run"
    click.echo(f"{made.size / 2**20:.1f} MiB copied to {made.place}, {while_running}")


def _read_again(ctx: click.Context, arguments: Sequence[str]) -> Settings:
    """Return the settings as the file and the environment are now, under the same flags.

    :raises SettingsError: they cannot be used.
    """
    try:
        with ctx.command.make_context(ctx.info_name, list(arguments), parent=ctx.parent) as again:
            settings = Settings.from_options(again.params)
    except click.ClickException as error:
        raise SettingsError(" ".join(error.format_message().split())) from error
    settings.check()
    return settings
