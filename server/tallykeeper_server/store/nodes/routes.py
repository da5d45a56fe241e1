"""Routes: the way of commands to the nodes of a store, as the rest of the store uses it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.nodes.commands import Argument, Command, Reply

Group: TypeAlias = tuple[str, Sequence[Command]]
"""A key, and commands that go together, on one connection, to the node that has the key."""

GroupReplies: TypeAlias = list[Reply] | TallyError
"""The replies to a group's commands, or the reason why there are none."""


class CommandChannel(Protocol):
    """A way to a node, or to the node that has a key. Its calls raise the errors of Connection's."""

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its reply."""

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands together, on one connection, and return their replies."""


class OwnChannel(CommandChannel, Protocol):
    """A channel that no other caller uses, for a command that waits."""

    async def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True)
class Primary:
    """A node that takes changes."""

    name: str
    """The node's address; empty if the store has only one primary."""
    channel: CommandChannel


@dataclass(frozen=True, slots=True)
class Homes:
    """The homes (see ``keys.namespaces``) that one primary has, and the channel to it for queries."""

    names: Sequence[str]
    channel: CommandChannel


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelLimits:
    """The connections to a node for changes, and the time that its answers may take."""

    changes: int
    timeout_seconds: float
    """The time for connecting, and for each round trip."""
    wait_seconds: float = 0.0
    """The additional time for a change that waits to be durable."""


class Routes(Protocol):
    """The node of each key. The replies of the nodes keep this knowledge right."""

    def slot_of(self, key: str) -> Hashable:
        """Return the slot of a key. One command may name keys of one slot only."""

    def home_of(self, key: str) -> str:
        """Return the home of the namespace that has a key."""

    async def homes(self) -> Sequence[Homes]:
        """Return all homes, by the primaries that have them.

        :raises TallyError: the primaries cannot be found.
        """

    def node_of(self, key: str) -> Hashable:
        """Return the node that has a key, as far as is known now."""

    def changes(self, key: str) -> CommandChannel:
        """Return the channel for changes at a key. It is for one use at this moment, and must not be kept."""

    async def ask(self, groups: Sequence[Group]) -> list[GroupReplies]:
        """Send groups that change nothing, those for one node together. Return the replies to each group."""

    def following(self, key: str, *, timeout_seconds: float) -> OwnChannel:
        """Return a channel to the node that has a key, which no other caller uses. The caller must close it."""

    async def primaries(self) -> Sequence[Primary]:
        """Return all nodes that take changes.

        :raises TallyError: they cannot be found.
        """

    async def close(self) -> None:
        """Close all connections except those of ``following``."""
