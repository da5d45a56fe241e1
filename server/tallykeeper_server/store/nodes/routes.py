"""Where commands go: what the store needs to know of the nodes that it is made of."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.nodes.commands import Argument, Command, Reply

Group: TypeAlias = tuple[str, Sequence[Command]]
"""Commands that go to one node together, on one connection, and a key of theirs that says to which."""

GroupReplies: TypeAlias = list[Reply] | TallyError
"""The replies to a group's commands, or why none is known."""


class CommandChannel(Protocol):
    """A way to a node, or to whichever node has a key. Its calls raise what those of Connection raise."""

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its reply."""

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands together, on one connection, and return their replies."""


class OwnChannel(CommandChannel, Protocol):
    """A channel that nobody else uses, for a command that waits."""

    async def close(self) -> None:
        """Hang up."""


@dataclass(frozen=True, slots=True)
class Primary:
    """A node that takes changes."""

    name: str
    """Where it is; empty if there is but one."""
    channel: CommandChannel


@dataclass(frozen=True, slots=True)
class Homes:
    """The homes (see ``keys.namespaces``) that one primary has, and the channel to it for queries."""

    names: Sequence[str]
    channel: CommandChannel


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLimits:
    """How many connections there are to a node for changes, and how long its answers may take."""

    changes: int
    timeout_seconds: float
    """For connecting, and for each round trip."""
    wait_seconds: float = 0.0
    """How much longer a change may take, because it waits to be durable."""


class Routes(Protocol):
    """Where each key is. What the routes know of it is kept right by what the nodes answer."""

    def slot_of(self, key: str) -> Hashable:
        """Return what is the same for all keys that one command may name."""

    def home_of(self, key: str) -> str:
        """Return the home of the namespace that has a key."""

    async def homes(self) -> Sequence[Homes]:
        """Return all homes, by the primaries that have them.

        :raises TallyError: they cannot be found.
        """

    def node_of(self, key: str) -> Hashable:
        """Return which node has a key, as far as is known now."""

    def changes(self, key: str) -> CommandChannel:
        """Return the channel for changes to what is where a key is. It is for now, and not to be kept."""

    async def ask(self, groups: Sequence[Group]) -> list[GroupReplies]:
        """Send groups that change nothing, those for one node together, and return the replies to each."""

    def following(self, key: str, *, timeout_seconds: float) -> OwnChannel:
        """Return a channel of its own to what is where a key is; it connects when it is used, and is to be closed."""

    async def primaries(self) -> Sequence[Primary]:
        """Return all nodes that take changes.

        :raises TallyError: they cannot be found.
        """

    async def close(self) -> None:
        """Close all connections but those that follow."""
