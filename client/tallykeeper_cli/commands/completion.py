"""``tallykeeper completion``: prints what makes a shell complete the command line."""

from collections.abc import Mapping
from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

_SHELLS: Final[Mapping[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    r"""Print what makes a shell complete commands.

    \b
    bash:  eval "$(tallykeeper completion bash)"      in ~/.bashrc
    zsh:   eval "$(tallykeeper completion zsh)"       in ~/.zshrc
    fish:  tallykeeper completion fish | source       in ~/.config/fish/config.fish
    """
    root = ctx.find_root()
    click.echo(_SHELLS[shell](root.command, {}, str(root.info_name), "_TALLYKEEPER_COMPLETE").source())
