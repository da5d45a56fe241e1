"""The steps from one format of a data directory to the next, which a start takes before the server serves."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from tallykeeper_server.store.connection import Connection
from tallykeeper_server.store.data_format import DATA_FORMAT, FIRST_FORMAT

Upgrade: TypeAlias = Callable[[Connection], Awaitable[None]]
"""Changes what a store holds from one format to the next. After an interrupted start, the whole step is taken again."""


async def _nothing(_: Connection) -> None:
    """Change nothing: format 2 differs from format 1 by ``format.json`` alone."""


UPGRADES: Final[Mapping[int, Upgrade]] = {1: _nothing}
"""The step from each format to the one after it."""


async def upgrade(connection: Connection, number: int) -> None:
    """Take all steps from a format to the present one.

    :raises TallyError: the store cannot be asked or changed.
    """
    for step in range(max(number, FIRST_FORMAT), DATA_FORMAT):
        await UPGRADES[step](connection)
