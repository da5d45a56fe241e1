"""Which node has which slot: kept by redis-py's cluster client, and put right by what the nodes answer."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any, Final

from redis.asyncio.cluster import ClusterNode, NodesManager
from redis.cluster import get_node_name
from redis.crc import key_slot
from redis.exceptions import RedisClusterException, RedisError

from tallykeeper_server.domain.errors import StoreUnavailableError
from tallykeeper_server.store.nodes.store_url import Address, StoreUrl, connection_parameters, written

SLOTS: Final = 16_384
_ANSWER_SECONDS_MAX: Final = 1.0
"""How long one node may take before the next is asked."""
_FAILURES: Final = (RedisError, RedisClusterException, TimeoutError, OSError, IndexError)
"""What redis-py raises when no node answers; the last when one does that has no slots and knows of none."""
_RENEWALS_APART_SECONDS: Final = 0.1
"""How long what was learnt counts as new: a node that is down makes everyone ask at once."""


def slot_of(key: str) -> int:
    """Return the slot of a key."""
    return key_slot(key.encode())


@cache
def _homes() -> Sequence[str]:
    """Find the shortest number for each slot that lies in it, when it is a hash tag. It takes about 0.1 s."""
    homes: dict[int, str] = {}
    for number in count():
        homes.setdefault(slot_of(str(number)), str(number))
        if len(homes) == SLOTS:
            break
    return [homes[slot] for slot in range(SLOTS)]


def home_of_slot(slot: int) -> str:
    """Return the home of the namespaces of a slot: a text that, as a hash tag, lies in that slot."""
    return _homes()[slot]


class SlotMap:
    """The map of the slots. It is asked for when it is first needed, and again after it was doubted."""

    def __init__(self, url: StoreUrl, *, timeout_seconds: float) -> None:
        """``timeout_seconds`` bounds what the answer of each node may take, if it is less than a second."""
        seconds = min(timeout_seconds, _ANSWER_SECONDS_MAX)
        times = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        parameters = connection_parameters(url.node)
        kept = {name: value for name, value in parameters.items() if name not in {"host", "port", "db"}}
        self._parameters: dict[str, Any] = {**kept, **times, "protocol": 2, "driver_info": None}
        self._addresses = url.addresses
        self._known = self._nothing_known()
        self._moved: dict[int, Address] = {}
        self._doubted = True
        self._lost: Address | None = None
        self._renewed_at = -_RENEWALS_APART_SECONDS
        self._lock = asyncio.Lock()
        self.version = 0
        """Another number each time that the map may have changed."""

    def known(self, slot: int) -> Address | None:
        """Return which node has a slot, as far as is known now."""
        nodes = self._known.slots_cache.get(slot)
        return self._moved.get(slot) or (_address(nodes[0]) if nodes else None)

    async def address_of(self, slot: int) -> Address:
        """Return which node has a slot.

        :raises StoreUnavailableError: no node has it, or none can be asked.
        """
        if self._doubted:
            await self._renew()
        address = self.known(slot)
        if address is None:
            message = f"no node of the cluster serves slot {slot}"
            raise StoreUnavailableError(message)
        return address

    async def primaries(self) -> Sequence[Address]:
        """Return all nodes that have slots.

        :raises StoreUnavailableError: none can be asked, or there are slots that none has.
        """
        if self._doubted:
            await self._renew()
        if len(self._known.slots_cache) < SLOTS:
            message = f"{SLOTS - len(self._known.slots_cache)} slots of the cluster are served by no node"
            raise StoreUnavailableError(message)
        found = {_address(nodes[0]) for nodes in self._known.slots_cache.values()}
        return sorted(found | set(self._moved.values()))

    def slots_of_primaries(self) -> Mapping[Address, Sequence[int]]:
        """Return the nodes that have slots, with those slots, as far as is known now."""
        slots: dict[Address, list[int]] = {}
        for slot in range(SLOTS):
            address = self.known(slot)
            if address is not None:
                slots.setdefault(address, []).append(slot)
        return slots

    def is_node(self, address: Address) -> bool:
        """Return whether there is such a node, as far as is known now."""
        nodes = self._known.nodes_cache.values()
        return any(_address(node) == address for node in nodes) or address in self._moved.values()

    def move(self, slot: int, address: Address) -> None:
        """Note that a slot is elsewhere, as a node says that had it; others may have moved as well."""
        self._moved[slot] = address
        self.version += 1
        self._doubted = True

    def doubt(self, address: Address) -> None:
        """Note that a node is lost, or does not serve: another may have its slots by now."""
        self._doubted = True
        self._lost = address

    async def close(self) -> None:
        """Close the connections by which the map is asked for."""
        await _close(self._known)

    async def _renew(self) -> None:
        """Ask for the map, unless somebody has just done so; keep the old one if nobody answers.

        :raises StoreUnavailableError: nobody does, and there is none.
        """
        async with self._lock:
            clock = asyncio.get_running_loop().time
            if not self._doubted or clock() < self._renewed_at + _RENEWALS_APART_SECONDS:
                return
            moved, self._doubted = dict(self._moved), False
            try:
                await self._ask()
            except StoreUnavailableError:
                self._doubted = True
                if not self._known.slots_cache:
                    raise
            else:
                # What moved meanwhile is newer than the map. What moved before may be too, if the node that gave it had
                # not heard of it: then the next command there is told so again.
                self._moved = {slot: place for slot, place in self._moved.items() if moved.get(slot) != place}
            self._renewed_at = clock()
            self.version += 1

    async def _ask(self) -> None:
        """Ask the nodes that were known for the map, and if none answers those that the URL names.

        :raises StoreUnavailableError: none of these does either.
        """
        try:
            await self._known.initialize(last_failed_node_name=self._lost and get_node_name(*self._lost))
        except _FAILURES:
            fresh = self._nothing_known()
            try:
                await fresh.initialize()
            except _FAILURES as error:
                await _close(fresh)
                places = ", ".join(map(written, self._addresses))
                message = f"no node of a cluster answers at {places} ({error.__cause__ or error})"
                raise StoreUnavailableError(message) from error
            await _close(self._known)
            self._known = fresh

    def _nothing_known(self) -> NodesManager:
        nodes = [ClusterNode(host, port, **self._parameters) for host, port in self._addresses]
        # Slots that no node serves are told to those who ask for them, and to no others.
        return NodesManager(nodes, require_full_coverage=False, connection_kwargs=self._parameters)


async def _close(known: NodesManager) -> None:
    await known.aclose()
    await known.aclose("startup_nodes")


def _address(node: ClusterNode) -> Address:
    return str(node.host), int(node.port)
