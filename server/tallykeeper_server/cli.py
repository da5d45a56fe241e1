"""``tallykeeper serve``: reads the settings and runs the server."""

import asyncio
import os

import click

from tallykeeper_server.logs import configure_logs
from tallykeeper_server.settings import Settings, options


@click.command()
@options
def serve(**values: object) -> None:
    """Serve counters and inventory over gRPC until SIGTERM or Ctrl-C.

    A setting comes from its flag, else from its environment variable, else from the file that --config names,
    else from its default.
    """
    settings = Settings.from_options(values)
    configure_logs(level=settings.log_level, log_format=settings.log_format)
    # gRPC's core reads these when it is loaded. It writes lines of its own about what is reported here in one, and
    # about each process that is started; the store is the only one, and uses no gRPC.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from tallykeeper_server import app  # noqa: PLC0415

    try:
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            runner.run(app.serve(settings))
    except app.StartError as error:
        raise click.ClickException(str(error)) from error


def _new_event_loop() -> asyncio.AbstractEventLoop:
    """Return uvloop's event loop where there is one: it is about twice as fast."""
    try:
        import uvloop  # noqa: PLC0415  # it does not exist for every platform
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
