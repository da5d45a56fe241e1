"""Reads the state of a store for operators: its nodes, their replicas and memory, and the promises that it keeps."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias, cast

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.domain.server_status import AppendOnlyFile, NodeStatus, Promise, Replica, StoreStatus
from tallykeeper_server.store import keys
from tallykeeper_server.store.nodes.routes import Primary, Routes
from tallykeeper_server.store.promises import read_node
from tallykeeper_server.store.shared_key_reader import SharedKeyReader

_COUNTED_NAMESPACES_MAX: Final = 1_000
"""The number of namespaces up to which request ids are counted. It takes three short commands for each."""

_Reasons: TypeAlias = Mapping[Durability, tuple[str, ...]]
"""The reasons why each level of durability does not hold."""


async def read_store_status(routes: Routes, policy: DurabilityPolicy, shared_keys: SharedKeyReader) -> StoreStatus:
    """Return the state of a store. It never fails: a store that does not answer has the reason in ``fault``."""
    try:
        primaries = await routes.primaries()
    except TallyError as error:
        return store_away(policy, error.message)
    found = await asyncio.gather(*(_read_node(primary, policy) for primary in primaries))
    nodes = tuple(node for node, _ in found)
    if len(nodes) == 1 and nodes[0].fault:
        return store_away(policy, nodes[0].fault)
    reasons = {level: tuple(reason for _, of_node in found for reason in of_node[level]) for level in policy.levels}
    request_ids = None if any(node.fault for node in nodes) else await _count_request_ids(routes, shared_keys)
    return StoreStatus(nodes=nodes, promises=_promises(policy, reasons), request_ids=request_ids)


def store_away(policy: DurabilityPolicy, fault: str) -> StoreStatus:
    """Return the state of a store that is away, for a reason. It keeps no promise."""
    promises = _promises(policy, dict.fromkeys(policy.levels, (fault,)))
    return StoreStatus(nodes=(), promises=promises, request_ids=None, fault=fault)


def _promises(policy: DurabilityPolicy, reasons: _Reasons) -> tuple[Promise, ...]:
    return tuple(
        Promise(
            durability=level,
            is_default=level is policy.default,
            namespaces=tuple(sorted(name for name, of_it in policy.namespaces.items() if of_it is level)),
            reasons=reasons[level],
        )
        for level in Durability
        if level in policy.levels
    )


async def _read_node(primary: Primary, policy: DurabilityPolicy) -> tuple[NodeStatus, _Reasons]:
    """Return the state of a node, and the reasons why each level of durability does not hold on it."""
    try:
        node = await read_node(primary.channel, policy, name=primary.name)
    except TallyError as error:
        where = f"{primary.name}: " if primary.name else ""
        reasons = dict.fromkeys(policy.levels, (f"{where}{error.message}",))
        return NodeStatus(address=primary.name, fault=error.message), reasons
    return _node_status(primary.name, node.report.name, node.info, node.append_fsync), node.report.reasons


def _node_status(address: str, software: str, info: Mapping[str, str], sync_policy: str) -> NodeStatus:
    def number(name: str) -> int:
        return int(info.get(name, 0))

    return NodeStatus(
        address=address,
        software=software,
        memory_bytes=number("used_memory"),
        memory_bytes_max=number("maxmemory"),
        clients=number("connected_clients"),
        clients_max=number("maxclients"),
        append_only_file=AppendOnlyFile(
            is_enabled=info.get("aof_enabled") == "1",
            sync_policy=sync_policy,
            write_succeeded=info.get("aof_last_write_status", "ok") == "ok",
            rewrite_succeeded=info.get("aof_last_bgrewrite_status", "ok") == "ok",
            delayed_syncs=number("aof_delayed_fsync"),
            size_bytes=number("aof_current_size"),
        ),
        replicas=_replicas_in(info),
    )


def _replicas_in(info: Mapping[str, str]) -> tuple[Replica, ...]:
    """Return the replicas in a reply to INFO, which has them as ``slave0:ip=10.0.0.2,port=6379,state=online,…``."""
    sent = int(info.get("master_repl_offset", 0))
    found = []
    for index in range(int(info.get("connected_slaves", 0))):
        fields = dict(pair.split("=", 1) for pair in info.get(f"slave{index}", "").split(",") if "=" in pair)
        if fields:
            found.append(
                Replica(
                    address=f"{fields['ip']}:{fields['port']}",
                    is_online=fields["state"] == "online",
                    lag_seconds=max(0, int(fields["lag"])),
                    lag_bytes=max(0, sent - int(fields["offset"])),
                )
            )
    return tuple(found)


async def _count_request_ids(routes: Routes, shared_keys: SharedKeyReader) -> int | None:
    """Return the number of request records in all namespaces; None if that is not known, or would take long."""
    try:
        namespaces: Sequence[str] = await shared_keys.namespaces()
        if len(namespaces) > _COUNTED_NAMESPACES_MAX:
            return None
        buckets = range(keys.REQUEST_BUCKETS)
        groups = [
            (keys.prefix(name), [("HLEN", keys.request_bucket(name, bucket)) for bucket in buckets])
            for name in namespaces
        ]
        answers = await routes.ask(groups)
    except TallyError:
        return None
    counts = [reply for answer in answers if not isinstance(answer, TallyError) for reply in answer]
    if len(counts) < len(namespaces) * keys.REQUEST_BUCKETS or not all(isinstance(count, int) for count in counts):
        return None
    return sum(cast("list[int]", counts))
