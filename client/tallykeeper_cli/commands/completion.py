"""``tallykeeper completion``: prints the code that completes the command line in a shell."""

from collections.abc import Mapping
from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

_SHELLS: Final[Mapping[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print the code that completes commands in a shell.

    \b
    bash:  eval "$(tallykeeper completion bash)"      in ~/.bashrc
    zsh:   eval "$(tallykeeper completion zsh)"       in ~/.zshrc
    fish:  tallykeeper completion fish | source       in ~/.config/fish/config.fish
    """  # noqa: D301  # click knows the character that \b stands for
    root = ctx.find_root()
    click.echo(_SHELLS[shell](root.command, {}, str(root.info_name), "_TALLYKEEPER_COMPLETE").source())
