"""``tallykeeper serve`` runs the server, and ``check-aof`` checks its data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import structlog

from tallykeeper_server.app.store_startup import StartError
from tallykeeper_server.cli.data_options import DATA_DIR, STORE_BINARY
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.runtime.lifecycle import run
from tallykeeper_server.runtime.logs import configure_logs
from tallykeeper_server.runtime.stray_output import captured_output
from tallykeeper_server.settings import Settings, SettingsError, options
from tallykeeper_server.store.embedded.aof_check import check_files, fix_files
from tallykeeper_server.store.embedded.valkey import find_binary
from tallykeeper_server.workers.supervisor import supervise

log = structlog.get_logger()

_ARGUMENTS: Final = f"{__name__}.arguments"


class _RepeatableCommand(click.Command):
    """A command that keeps its arguments, so that a reload can read them again."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)


@click.command(cls=_RepeatableCommand)
@options
@click.pass_context
def serve(ctx: click.Context, /, **values: object) -> None:
    """Serve counters and inventory over gRPC until SIGTERM or Ctrl-C.

    A setting comes from its flag, or from its environment variable, or from the file that --config names, or from its
    default, in this order. SIGHUP makes the server read its settings again.
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
        try:
            if workers == 1:
                from tallykeeper_server.app import server  # noqa: PLC0415  # loads gRPC, which is silenced first

                run(server.serve(settings))
            else:
                run(supervise(settings, workers=workers, read_again=lambda: _read_again(ctx, arguments)))
        except StartError as error:
            raise click.ClickException(str(error)) from error
        except Exception:
            log.critical("a defect ends the server", exc_info=True)
            ctx.exit(1)


@click.command("check-aof")
@DATA_DIR
@STORE_BINARY
@click.option(
    "--fix", is_flag=True, help="Cut the last file after its last complete command, and keep a copy of the file."
)
def check_aof(*, data_dir: Path, store_binary: Path | None, fix: bool) -> None:
    """Check the files of a stopped embedded store with valkey-check-aof and valkey-check-rdb.

    The command prints a line for each file, with the position of a damage. The exit code is 1 if a file is damaged.
    """
    try:
        binary = find_binary(store_binary)
        if fix and (fixed := fix_files(data_dir, binary)) is not None:
            file, copy = fixed
            click.echo(f"{file.path}: cut from {file.size} to {file.good_bytes} bytes; {copy} is as it was before")
        checked = check_files(data_dir, binary)
    except TallyError as error:
        raise click.ClickException(error.message) from error
    for file in checked:
        command = f"{file.tool} ({binary}) says: {file.words}"
        click.echo(
            f"{file.path}: {file.size} bytes, whole"
            if file.is_whole
            else f"{file.path}: damaged after byte {file.good_bytes} of {file.size}; {command}"
        )
    if not all(file.is_whole for file in checked):
        raise click.exceptions.Exit(1)


def _read_again(ctx: click.Context, arguments: Sequence[str]) -> Settings:
    """Return the settings from the present file and environment, with the same flags.

    :raises SettingsError: the settings cannot be used.
    """
    try:
        with ctx.command.make_context(ctx.info_name, list(arguments), parent=ctx.parent) as again:
            settings = Settings.from_options(again.params)
    except click.ClickException as error:
        raise SettingsError(" ".join(error.format_message().split())) from error
    settings.check()
    return settings
