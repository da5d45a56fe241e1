"""Routes to a cluster: sends each group of commands to the node that has its key at that moment."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, cast

from hiredis import ReplyError

from tallykeeper_server.domain.errors import OutcomeUnknownError, StoreUnavailableError, TallyError
from tallykeeper_server.store.nodes.commands import Argument, Command, Reply, answered, code_of, error_of
from tallykeeper_server.store.nodes.connection import Connection, Connections
from tallykeeper_server.store.nodes.node_options import Address
from tallykeeper_server.store.nodes.routes import (
    ChannelLimits,
    CommandChannel,
    Group,
    GroupReplies,
    Homes,
    OwnChannel,
    Primary,
)
from tallykeeper_server.store.nodes.slots import SlotMap, home_of_slot, slot_of
from tallykeeper_server.store.nodes.store_url import StoreUrl, written

_SENDINGS_MAX: Final = 6
"""The number of times a group is sent that no node carries out: a slot may move more than once."""
_ASKING: Final[Command] = ("ASKING",)

Send: TypeAlias = Callable[[Sequence[Group]], Awaitable[list[GroupReplies]]]


@dataclass(frozen=True, slots=True)
class _Target:
    """The node that a group is sent to. ``asking``: the slot is moving there, and has not been handed over yet."""

    address: Address
    asking: bool = False


@dataclass(frozen=True, slots=True)
class _Node:
    """The connections to one node."""

    changes: Connections
    reads: Connection

    @property
    def is_used(self) -> bool:
        return bool(self.changes.users or self.reads.users)

    async def close(self) -> None:
        await self.changes.close()
        await self.reads.close()


class Cluster:
    """The nodes of a cluster, each with connections for changes and one for queries.

    A node refuses a command on keys that it does not have before it does anything, and names the node that has them. So
    a group is sent again, whole, when one of its commands was refused for this reason: a group that changes something
    has only one command that names keys.
    """

    def __init__(self, url: StoreUrl, limits: ChannelLimits) -> None:
        """Take the URL of the cluster. Nothing is connected yet."""
        self._url = url
        self._limits = limits
        self._slots = SlotMap(url, timeout_seconds=limits.timeout_seconds)
        self._nodes: dict[Address, _Node] = {}
        self._homes: dict[Address, Sequence[str]] = {}
        self._homes_version = -1

    def slot_of(self, key: str) -> Hashable:
        """Return the slot of a key."""
        return slot_of(key)

    def home_of(self, key: str) -> str:
        """Return the home of the namespace that has a key: that of its slot."""
        return home_of_slot(slot_of(key))

    async def homes(self) -> Sequence[Homes]:
        """Return the homes of all slots, by the nodes that have them.

        :raises StoreUnavailableError: the nodes cannot be found, or there are slots that no node has.
        """
        await self._slots.primaries()  # makes sure that the map is known and whole
        if self._homes_version != self._slots.version:
            slots = self._slots.slots_of_primaries()
            self._homes = {address: list(map(home_of_slot, of_node)) for address, of_node in slots.items()}
            self._homes_version = self._slots.version
        return [Homes(names, self._node(address).reads) for address, names in self._homes.items()]

    def node_of(self, key: str) -> Hashable:
        """Return the node that has a key, as far as is known now."""
        return self._slots.known(slot_of(key))

    def changes(self, key: str) -> CommandChannel:
        """Return the channel for changes in a key's slot."""
        return _SlotChannel(key, partial(self.send, channel_to=lambda address: self._node(address).changes))

    async def ask(self, groups: Sequence[Group]) -> list[GroupReplies]:
        """Send groups that change nothing, those for one node together. Return the replies to each group."""
        return await self.send(groups, lambda address: self._node(address).reads)

    def following(self, key: str, *, timeout_seconds: float) -> OwnChannel:
        """Return a channel to the node that has a key, which no other caller uses."""
        own = _OwnConnections(lambda address: self._connection(address, timeout_seconds))
        return _FollowingChannel(key, partial(self.send, channel_to=own.to), own)

    async def primaries(self) -> Sequence[Primary]:
        """Return the nodes that have slots.

        :raises StoreUnavailableError: they cannot be found, or there are slots that no node has.
        """
        addresses = await self._slots.primaries()
        await self._forget_nodes_that_left()
        return [Primary(written(address), self._node(address).reads) for address in addresses]

    async def close(self) -> None:
        """Close all connections except those of ``following``."""
        for node in self._nodes.values():
            await node.close()

    async def send(
        self, groups: Sequence[Group], channel_to: Callable[[Address], CommandChannel]
    ) -> list[GroupReplies]:
        """Send groups to the nodes that have their keys, and again to the nodes that their slots move to.

        An error stands in place of a group's replies if the group could not be sent, or its node was lost.
        """
        results: dict[int, GroupReplies] = {}
        targets: dict[int, _Target | None] = dict.fromkeys(range(len(groups)))
        for _ in range(_SENDINGS_MAX):
            by_target = await self._sorted_by_target(groups, targets, results)
            targets = {}
            for target, indexes, answers in await self._exchange(groups, by_target, channel_to):
                for index, answer in zip(indexes, answers, strict=True):
                    results[index] = answer
                    again = await self._next_target(slot_of(groups[index][0]), target, answer)
                    if again is not None:
                        targets[index] = again
            if not targets:
                break
        return [_settled(results[index]) for index in range(len(groups))]

    async def _exchange(
        self,
        groups: Sequence[Group],
        by_target: dict[_Target, list[int]],
        channel_to: Callable[[Address], CommandChannel],
    ) -> list[tuple[_Target, list[int], list[GroupReplies]]]:
        """Send the groups of each target, to all targets at the same time."""
        sendings = [
            _sent(target, [groups[index] for index in indexes], channel_to(target.address))
            for target, indexes in by_target.items()
        ]
        # One node alone needs no task.
        answers = [await sendings[0]] if len(sendings) == 1 else await asyncio.gather(*sendings)
        return [(target, indexes, of_it) for (target, indexes), of_it in zip(by_target.items(), answers, strict=True)]

    async def _sorted_by_target(
        self, groups: Sequence[Group], targets: dict[int, _Target | None], results: dict[int, GroupReplies]
    ) -> dict[_Target, list[int]]:
        """Return the groups of each target. If a group has no target, put the reason into the results."""
        by_target: dict[_Target, list[int]] = {}
        for index, known in targets.items():
            try:
                target = known or _Target(await self._slots.address_of(slot_of(groups[index][0])))
            except StoreUnavailableError as error:
                results[index] = error
            else:
                by_target.setdefault(target, []).append(index)
        return by_target

    async def _next_target(self, slot: int, sent_to: _Target, answer: GroupReplies) -> _Target | None:
        """Return the node to send a group to again; None if this answer is final."""
        if isinstance(answer, TallyError):
            return await self._after_loss(slot, sent_to, answer)
        for reply in answer:
            if _redirects(reply):
                address = _address_in(cast("ReplyError", reply), sent_to.address)
                if code_of(cast("ReplyError", reply)) == "ASK":
                    return _Target(address, asking=True)
                self._slots.move(slot, address)
                return _Target(address)
            if isinstance(reply, ReplyError) and isinstance(error_of(reply), StoreUnavailableError):
                self._slots.doubt(sent_to.address)
        return None

    async def _after_loss(self, slot: int, sent_to: _Target, error: TallyError) -> _Target | None:
        """Return another node for a group whose node could not be reached, so that no command was carried out."""
        self._slots.doubt(sent_to.address)
        if not isinstance(error, StoreUnavailableError):
            return None
        try:
            address = await self._slots.address_of(slot)
        except StoreUnavailableError:
            return None
        return _Target(address) if address != sent_to.address else None

    async def _forget_nodes_that_left(self) -> None:
        for address, node in list(self._nodes.items()):
            if not (node.is_used or self._slots.is_node(address)):
                del self._nodes[address]
                await node.close()

    def _node(self, address: Address) -> _Node:
        node = self._nodes.get(address)
        if node is None:
            limits = self._limits
            seconds = limits.timeout_seconds + limits.wait_seconds
            url = self._url.at(address)
            node = self._nodes[address] = _Node(
                Connections(url, count=limits.changes, timeout_seconds=seconds),
                self._connection(address, limits.timeout_seconds),
            )
        return node

    def _connection(self, address: Address, timeout_seconds: float) -> Connection:
        return Connection(self._url.at(address), timeout_seconds=timeout_seconds)


class _SlotChannel:
    """A channel to the node that has a key, for changes."""

    def __init__(self, key: str, send: Send) -> None:
        self._key = key
        self._send = send

    async def call(self, *command: Argument) -> Reply:
        """Send one command and return its reply, as Connection.call does."""
        return answered(await self.pipeline([command]))[0]

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands together, as Connection.pipeline does. Only the first command may name keys."""
        (replies,) = await self._send([(self._key, commands)])
        if isinstance(replies, TallyError):
            raise replies
        return replies


class _FollowingChannel(_SlotChannel):
    """A channel to the node that has a key, with its own connection."""

    def __init__(self, key: str, send: Send, own: "_OwnConnections") -> None:
        super().__init__(key, send)
        self._own = own

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Send commands together, as _SlotChannel.pipeline does."""
        try:
            return await super().pipeline(commands)
        finally:
            await self._own.close_others()

    async def close(self) -> None:
        """Close the connection."""
        await self._own.close()


class _OwnConnections:
    """A connection to the node that was last asked for, and older connections until they are closed."""

    def __init__(self, connection_to: Callable[[Address], Connection]) -> None:
        self._connection_to = connection_to
        self._connections: dict[Address, Connection] = {}

    def to(self, address: Address) -> Connection:
        """Return the connection to a node."""
        connection = self._connections.pop(address) if address in self._connections else self._connection_to(address)
        self._connections[address] = connection  # the last one
        return connection

    async def close_others(self) -> None:
        """Close all connections except that to the node that was last asked for."""
        for address in list(self._connections)[:-1]:
            await self._connections.pop(address).close()

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            await connection.close()


async def _sent(target: _Target, groups: Sequence[Group], channel: CommandChannel) -> list[GroupReplies]:
    """Send some groups to one node. Return the replies to each group."""
    step = 2 if target.asking else 1
    commands = [each for _, group in groups for command in group for each in (_ASKING, command)[-step:]]
    try:
        replies = iter((await channel.pipeline(commands))[step - 1 :: step] if commands else ())
    except (StoreUnavailableError, OutcomeUnknownError) as error:
        return [error for _ in groups]
    return [[next(replies) for _ in group] for _, group in groups]


def _settled(answer: GroupReplies) -> GroupReplies:
    """Return an answer, or an error if the answer still says that another node has the keys."""
    if not isinstance(answer, TallyError) and any(map(_redirects, answer)):
        return StoreUnavailableError("the store does not serve: the nodes of the cluster name one another for a slot")
    return answer


def _redirects(reply: Reply) -> bool:
    """Return whether a node refused a command because another node has its keys, or gets them just now."""
    return isinstance(reply, ReplyError) and code_of(reply) in {"MOVED", "ASK"}


def _address_in(redirection: ReplyError, sent_to: Address) -> Address:
    """Return the node in a redirection such as ``MOVED 3999 127.0.0.1:6381``. Without a host, it is on the same one."""
    host, _, port = str(redirection).split(" ")[2].rpartition(":")
    return sent_to[0] if host in {"", "?"} else host, int(port)
