"""Routes to a store in which one node has all keys: always the same node, or the primary that sentinels name."""

from collections.abc import Hashable, Sequence

from tallykeeper_server.domain.errors import OutcomeUnknownError, StoreUnavailableError
from tallykeeper_server.store.nodes.connection import Connection, Connections, Locate
from tallykeeper_server.store.nodes.routes import ChannelLimits, Group, GroupReplies, Homes, OwnChannel, Primary


class OneNode:
    """Connections for changes and one for queries, so that queries do not wait for changes."""

    def __init__(self, url: str, limits: ChannelLimits, *, locate: Locate | None = None) -> None:
        """Take ``locate``, which returns the node's address for each new connection, in place of the URL's."""
        self._url = url
        self._locate = locate
        self._changes = Connections(
            url, count=limits.changes, timeout_seconds=limits.timeout_seconds + limits.wait_seconds, locate=locate
        )
        self._reads = Connection(url, timeout_seconds=limits.timeout_seconds, locate=locate)

    def slot_of(self, _key: str) -> Hashable:
        """Return None, because one command may name any keys."""
        return None

    def home_of(self, _key: str) -> str:
        """Return the home of all namespaces, which is the whole node."""
        return ""

    async def homes(self) -> Sequence[Homes]:
        """Return the one home, with the channel for queries."""
        return (Homes(("",), self._reads),)

    def node_of(self, _key: str) -> Hashable:
        """Return None, because all keys are on the same node."""
        return None

    def changes(self, _key: str) -> Connections:
        """Return the channel for changes."""
        return self._changes

    async def ask(self, groups: Sequence[Group]) -> list[GroupReplies]:
        """Send all groups together. Return the replies to each group."""
        commands = [command for _, group in groups for command in group]
        try:
            replies = iter(await self._reads.pipeline(commands) if commands else ())
        except (StoreUnavailableError, OutcomeUnknownError) as error:
            return [error for _ in groups]
        return [[next(replies) for _ in group] for _, group in groups]

    def following(self, _key: str, *, timeout_seconds: float) -> OwnChannel:
        """Return a connection that no other caller uses."""
        return Connection(self._url, timeout_seconds=timeout_seconds, locate=self._locate)

    async def primaries(self) -> Sequence[Primary]:
        """Return the node."""
        return (Primary("", self._reads),)

    async def close(self) -> None:
        """Close all connections except those of ``following``."""
        await self._changes.close()
        await self._reads.close()
