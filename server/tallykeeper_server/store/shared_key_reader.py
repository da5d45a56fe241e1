"""Reads the keys that namespaces share: their set, their agenda, and the number of their open reservations."""

from collections.abc import Callable, Sequence
from typing import Final, cast

from tallykeeper_server.store import keys
from tallykeeper_server.store.agreed_clock import AgreedClock, time_ms_of
from tallykeeper_server.store.nodes.commands import Argument, Command, Reply, answered
from tallykeeper_server.store.nodes.routes import CommandChannel, Homes, Routes
from tallykeeper_server.store.read_scripts import lacks_script, script_command, with_sources

_HOMES_AT_ONCE: Final = 1_024
"""The homes that one script call reads. It takes about 0.5 ms of the node that has them."""
_TURNS: Final = 4
"""The calls of ``ask_in_turn`` in which all homes of a cluster are read once."""

KeyOf = Callable[[str], str]
"""A function that returns a key of a home: ``keys.namespaces`` or another of its kind."""


class SharedKeyReader:
    """Sends one command to the same key of every home.

    Where one home is the whole store, that is the command itself. A cluster has a home for each of its 16,384 slots, so
    there a script reads many at once on each node.
    """

    def __init__(self, routes: Routes, clock: AgreedClock) -> None:
        """Take the routes, and the clock that is given the nodes' times. Nothing is asked yet."""
        self._routes = routes
        self._clock = clock
        self._turn = 0

    async def namespaces(self) -> list[str]:
        """Return all namespaces that were ever changed, in order.

        :raises TallyError: a node cannot be asked.
        """
        return sorted(cast("bytes", name).decode() for name in await self.ask(keys.namespaces, "SMEMBERS"))

    async def open_reservations(self) -> int:
        """Return the number of active reservations in all namespaces.

        :raises TallyError: a node cannot be asked.
        """
        return sum(int(cast("bytes", number)) for number in await self.ask(keys.open_reservations, "GET"))

    async def ask(self, key_of: KeyOf, name: str, *arguments: Argument) -> list[Reply]:
        """Return the replies of all homes to a command. The elements of a reply that is a list come one by one.

        :raises TallyError: a node cannot be asked.
        """
        found: list[Reply] = []
        for homes in await self._routes.homes():
            found += await self._ask_node(homes.channel, [key_of(home) for home in homes.names], (name, *arguments))
        return found

    async def ask_in_turn(self, key_of: KeyOf, command: Callable[[], Command]) -> list[Reply]:
        """Return the replies of a part of the homes: the first call asks all, and then each has its turn in four calls.

        ``command`` is called after the clock has seen that of the node. It returns the command's name, and then the
        arguments that follow the key.

        :raises TallyError: a node cannot be asked.
        """
        found: list[Reply] = []
        for homes in await self._routes.homes():
            self._clock.see_store(time_ms_of(await homes.channel.call("TIME")))
            names = self._names_in_turn(homes)
            found += await self._ask_node(homes.channel, [key_of(home) for home in names], command())
        self._turn += 1
        return found

    def _names_in_turn(self, homes: Homes) -> Sequence[str]:
        if self._turn == 0 or len(homes.names) < _TURNS:
            return homes.names
        return homes.names[self._turn % _TURNS :: _TURNS]

    async def _ask_node(self, channel: CommandChannel, names: Sequence[str], command: Command) -> list[Reply]:
        """Return the replies of one node, which has the keys."""
        name, *arguments = command
        if len(names) == 1:
            reply = await channel.call(name, names[0], *arguments)
            return reply if isinstance(reply, list) else [] if reply is None else [reply]
        found: list[Reply] = []
        for first in range(0, len(names), _HOMES_AT_ONCE):
            found += await _run(channel, (name, names[first : first + _HOMES_AT_ONCE], arguments))
        return found


async def _run(channel: CommandChannel, arguments: Sequence[object]) -> list[Reply]:
    """Run the script that sends one command to many keys. Give it to the store if the store does not have it."""
    command = script_command("each_key", (), arguments)
    replies = await channel.pipeline([command])
    if lacks_script(replies):
        replies = await channel.pipeline(with_sources(("", [command]))[1])
    return cast("list[Reply]", answered(replies)[0])
