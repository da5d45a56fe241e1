"""The map of a cluster's slots, with the node of each slot. The replies of the nodes keep it right."""

import asyncio
import random
from binascii import crc_hqx
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any, Final, cast

from tallykeeper_server.domain.errors import StoreUnavailableError, TallyError
from tallykeeper_server.store.nodes.commands import Reply
from tallykeeper_server.store.nodes.connection import call_once
from tallykeeper_server.store.nodes.node_options import Address
from tallykeeper_server.store.nodes.store_url import StoreUrl, written

SLOTS: Final = 16_384
_ANSWER_SECONDS_MAX: Final = 1.0
"""The longest wait for one node, before the next is asked."""
_RENEWALS_APART_SECONDS: Final = 0.1
"""The time for which a new map counts as new: a node that is down makes all callers ask at once."""
_NO_HOSTS: Final = frozenset({None, b"", b"?"})
"""The hosts by which a node names itself if it does not know its own address. Its host is then the one that was asked.
"""


def slot_of(key: str) -> int:
    """Return the slot of a key, from 0 to 16,383: https://valkey.io/topics/cluster-spec defines it.

    A key with a hash tag, such as ``tk:{shop}:revision``, has the slot of the text within the braces.
    """
    _, _, rest = key.partition("{")
    tag, brace, _ = rest.partition("}")
    return crc_hqx((tag if tag and brace else key).encode(), 0) % SLOTS


@cache
def _homes() -> Sequence[str]:
    """Find, for each slot, the shortest number that lies in the slot as a hash tag. It takes about 0.1 s."""
    homes: dict[int, str] = {}
    for number in count():
        homes.setdefault(slot_of(str(number)), str(number))
        if len(homes) == SLOTS:
            break
    return [homes[slot] for slot in range(SLOTS)]


def home_of_slot(slot: int) -> str:
    """Return the home of the namespaces of a slot: a text that, as a hash tag, lies in that slot."""
    return _homes()[slot]


@dataclass(frozen=True, slots=True)
class _Map:
    """The map that one node gave."""

    owners: Mapping[int, Address] = field(default_factory=dict)
    """The primary of each slot that has one."""
    nodes: AbstractSet[Address] = frozenset()
    """All nodes, replicas included."""


class SlotMap:
    """The map of the slots. It is asked for when it is first needed, and again after it was doubted."""

    def __init__(self, url: StoreUrl, *, timeout_seconds: float) -> None:
        """Take ``timeout_seconds``, which bounds connecting to each node, and its answer, to at most a second."""
        self._url = url
        self._timeout_seconds = min(timeout_seconds, _ANSWER_SECONDS_MAX)
        self._known = _Map()
        self._moved: dict[int, Address] = {}
        self._is_doubted = True
        self._lost: Address | None = None
        self._renewed_at = -_RENEWALS_APART_SECONDS
        self._lock = asyncio.Lock()
        self.version = 0
        """A number that grows each time that the map may have changed."""

    def known(self, slot: int) -> Address | None:
        """Return the node that has a slot, as far as is known now."""
        return self._moved.get(slot) or self._known.owners.get(slot)

    async def address_of(self, slot: int) -> Address:
        """Return the node that has a slot.

        :raises StoreUnavailableError: no node has the slot, or no node can be asked.
        """
        if self._is_doubted:
            await self._renew()
        address = self.known(slot)
        if address is None:
            message = f"no node of the cluster serves slot {slot}"
            raise StoreUnavailableError(message)
        return address

    async def primaries(self) -> Sequence[Address]:
        """Return all nodes that have slots.

        :raises StoreUnavailableError: no node can be asked, or there are slots that no node has.
        """
        if self._is_doubted:
            await self._renew()
        owners = self._known.owners
        if len(owners) < SLOTS:
            message = f"{SLOTS - len(owners)} slots of the cluster are served by no node"
            raise StoreUnavailableError(message)
        return sorted({*owners.values(), *self._moved.values()})

    def slots_of_primaries(self) -> Mapping[Address, Sequence[int]]:
        """Return the nodes that have slots, with their slots, as far as is known now."""
        slots: dict[Address, list[int]] = {}
        for slot in range(SLOTS):
            address = self.known(slot)
            if address is not None:
                slots.setdefault(address, []).append(slot)
        return slots

    def is_node(self, address: Address) -> bool:
        """Return whether the cluster has a node at an address, as far as is known now."""
        return address in self._known.nodes or address in self._moved.values()

    def move(self, slot: int, address: Address) -> None:
        """Note the new node of a slot, as its old node says. Other slots may have moved as well."""
        self._moved[slot] = address
        self.version += 1
        self._is_doubted = True

    def doubt(self, address: Address) -> None:
        """Note that a node is lost, or does not serve: another node may have its slots now."""
        self._is_doubted = True
        self._lost = address

    async def _renew(self) -> None:
        """Ask for the map, unless another caller has just done so. Keep the old map if no node answers.

        :raises StoreUnavailableError: no node answers, and there is no old map.
        """
        async with self._lock:
            clock = asyncio.get_running_loop().time
            if not self._is_doubted or clock() < self._renewed_at + _RENEWALS_APART_SECONDS:
                return
            moved, self._is_doubted = dict(self._moved), False
            try:
                self._known = await self._ask()
            except StoreUnavailableError:
                self._is_doubted = True
                if not self._known.owners:
                    raise
            else:
                # A slot that moved during the question is newer than the map. One that moved before may be newer too,
                # if the node that gave the map had not heard of it: then the next command there is refused again.
                self._moved = {slot: to for slot, to in self._moved.items() if moved.get(slot) != to}
            self._renewed_at = clock()
            self.version += 1

    async def _ask(self) -> _Map:
        """Return the map of the first node that knows the owners of all slots, or else the fullest map.

        The nodes of the old map are asked first, in random order, so that not all servers ask the same node. The lost
        node is asked last of them, and then those of the URL.

        :raises StoreUnavailableError: no node gives a map.
        """
        fullest, reason = _Map(), "they know of no slots"
        for address in self._nodes_to_ask():
            url = self._url.at(address)
            try:
                reply = await call_once(url, "CLUSTER", "SLOTS", timeout_seconds=self._timeout_seconds)
            except TallyError as error:
                reason = str(error)
                continue
            found = _map_of(reply, asked=address)
            if len(found.owners) == SLOTS:
                return found
            fullest = max(fullest, found, key=lambda each: len(each.owners))
        if not fullest.owners:
            named = ", ".join(map(written, self._url.addresses))
            message = f"no node of a cluster answers at {named} ({reason})"
            raise StoreUnavailableError(message)
        return fullest

    def _nodes_to_ask(self) -> Sequence[Address]:
        nodes = random.sample(sorted(self._known.nodes), len(self._known.nodes))
        nodes.sort(key=lambda node: node == self._lost)  # keeps the random order of the other nodes
        return list(dict.fromkeys((*nodes, *self._url.addresses)))


def _map_of(reply: Reply, *, asked: Address) -> _Map:
    """Return the map in a reply to CLUSTER SLOTS by the node at the address ``asked``."""
    owners: dict[int, Address] = {}
    nodes: set[Address] = set()
    if not isinstance(reply, list):
        return _Map()
    for first, last, *of_range in cast("list[list[Any]]", reply):
        addresses = [(asked[0] if host in _NO_HOSTS else host.decode(), int(port)) for host, port, *_ in of_range]
        nodes.update(addresses)
        owners.update(dict.fromkeys(range(first, last + 1), addresses[0]))
    return _Map(owners, nodes)
