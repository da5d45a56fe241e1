"""``tallykeeper console``: serves the console."""

from importlib.util import find_spec
from typing import Final

import click

from tallykeeper_cli.terminal.connection_options import Connection, connects
from tallykeeper_cli.terminal.exit_codes import EXIT_CODES
from tallykeeper_console import listen_address
from tallykeeper_console.host_guard import LOOPBACK_NAMES
from tallykeeper_console.listen_address import ListenAddress

_NEEDED: Final = ("nicegui", "uvicorn")
"""The packages that the extra installs."""


@click.command(epilog=EXIT_CODES)
@click.option(
    "--listen",
    default=listen_address.DEFAULT,
    show_default=True,
    envvar="TALLYKEEPER_CONSOLE_LISTEN",
    show_envvar=True,
    metavar="HOST:PORT",
    help="Where the page is served. Port 0 lets the system choose one.",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Permit --listen beyond loopback: everybody who reaches the page sees what this console may read.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Another host name that browsers may use for the page, as behind a proxy; may be repeated.",
)
@click.option("--allow-changes", is_flag=True, help="Offer changes on the page. Without it the console only reads.")
@click.option(
    "--namespace",
    default="default",
    show_default=True,
    envvar="TALLYKEEPER_NAMESPACE",
    show_envvar=True,
    metavar="NAME",
    help="The namespace that the page shows first.",
)
@connects
def console(
    connection: Connection,
    *,
    listen: str,
    allow_remote: bool,
    hosts: tuple[str, ...],
    allow_changes: bool,
    namespace: str,
) -> None:
    """Serve a web page that shows stock, counters, reservations and the ledger.

    The page is for a browser on this machine. It reads through the API, with the rights of --token-file or
    --certificate. Ctrl-C ends it.
    """
    address = _checked(listen, allow_remote=allow_remote)
    if not all(map(find_spec, _NEEDED)):
        message = "the console needs the extra console: pip install tallykeeper[console]"
        raise click.ClickException(message)
    # NiceGUI takes a second to load, and only this command needs it.
    from tallykeeper_console.server import Options, serve  # noqa: PLC0415

    with connection.client(namespace=namespace) as checked:
        options = Options(
            target=checked.target,
            credentials=checked.credentials,
            token=checked.token,
            namespace=namespace,
            allow_changes=allow_changes,
        )
    try:
        opened = address.open()
    except OSError as error:
        message = f"--listen {listen} cannot be opened: {error.strerror}"
        raise click.ClickException(message) from error
    with opened:
        url = address.url(opened.getsockname()[1])
        click.echo(f"The console is at {url} ({'with changes' if allow_changes else 'read-only'}). Ctrl-C ends it.")
        serve(opened, options, names={*LOOPBACK_NAMES, address.host, *hosts})


def _checked(listen: str, *, allow_remote: bool) -> ListenAddress:
    """Read an address. Raises click.ClickException if it is none, or beyond loopback without permission."""
    try:
        address = ListenAddress.parse(listen)
        local = address.is_loopback()
    except (ValueError, OSError) as error:
        message = f"--listen: {error}"
        raise click.UsageError(message) from error
    if not local and not allow_remote:
        message = (
            f"--listen {listen} is beyond loopback: the console asks nobody for a password. "
            "Add --allow-remote, or put a proxy with a login before a console on loopback"
        )
        raise click.UsageError(message)
    return address
