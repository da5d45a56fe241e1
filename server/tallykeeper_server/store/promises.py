"""Checks the promises of durability against the store's version, role and settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.nodes.routes import CommandChannel, Routes
from tallykeeper_server.store.nodes.store_url import CLUSTER_FORM, SENTINEL_FORM

REDIS_VERSION_MIN: Final = (7, 0)
VALKEY_VERSION_MIN: Final = (7, 2)
_WAITAOF_KEPT_SINCE: Final = {"Redis": (8, 0)}
"""The version from which on WAITAOF waits for the sync. Others answer it earlier, under ``appendfsync everysec``: Redis
from 7.2 to 7.4 (https://github.com/redis/redis/pull/13793), and Valkey to 9.1.2, as power cuts showed."""


class StoreUnfitError(TallyError):
    """A store that cannot be used. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class StoreReport:
    """The kind of a store, and the promises that it keeps."""

    name: str
    """The kind and version, such as ``Valkey 9.1.2``."""
    syncs_by_waiting: bool
    """Whether the store does not sync each write before it answers, but can be asked for the sync: WAITAOF follows each
    change."""
    kept: tuple[Durability, ...]
    """The levels that hold, of those that the policy uses."""
    shortcomings: tuple[str, ...]
    """The promises that do not hold, each with the reason and the setting that helps; empty when all hold."""
    reasons: Mapping[Durability, tuple[str, ...]] = field(default_factory=dict)
    """The reasons why each level of the policy does not hold; empty for a level that holds. A store that removes data
    breaks all levels."""


async def check_store(routes: Routes, policy: DurabilityPolicy) -> StoreReport:
    """Ask each primary of the store for its kind, and for the levels of the policy that it keeps.

    :raises StoreUnfitError: a primary is too old, a replica, or not the kind that the URL's form is for.
    :raises TallyError: a primary cannot be asked.
    """
    primaries = await routes.primaries()
    reports = [await check_node(primary.channel, policy, name=primary.name) for primary in primaries]
    names = " and ".join(sorted({report.name for report in reports}))
    return StoreReport(
        name=f"{names}, a cluster of {len(primaries)} primaries" if primaries[0].name else names,
        syncs_by_waiting=any(report.syncs_by_waiting for report in reports),
        kept=tuple(level for level in reports[0].kept if all(level in report.kept for report in reports)),
        shortcomings=tuple(shortcoming for report in reports for shortcoming in report.shortcomings),
        reasons={level: tuple(each for report in reports for each in report.reasons[level]) for level in policy.levels},
    )


@dataclass(frozen=True, slots=True)
class NodeReport:
    """A node: the promises that it keeps, its reply to INFO, and its setting ``appendfsync``."""

    report: StoreReport
    info: Mapping[str, str]
    append_fsync: str


async def check_node(channel: CommandChannel, policy: DurabilityPolicy, *, name: str = "") -> StoreReport:
    """Ask one node for its kind, and for the levels of the policy that it keeps.

    A node of a cluster has a ``name`` for messages.

    :raises StoreUnfitError: the node is too old, a replica, a sentinel, or a node of a cluster and has no name.
    :raises TallyError: the node cannot be asked.
    """
    return (await read_node(channel, policy, name=name)).report


async def read_node(channel: CommandChannel, policy: DurabilityPolicy, *, name: str = "") -> NodeReport:
    """Ask one node as ``check_node`` does, and return also what it has said.

    :raises TallyError: as ``check_node`` does.
    """
    info = _parse_info(cast("bytes", await channel.call("INFO")))
    _check_mode(info.get("server_mode") or info.get("redis_mode"), in_cluster=bool(name))
    if info.get("role") == "slave":
        message = f"the store is a replica of {info.get('master_host', 'another')}; name its primary instead"
        raise StoreUnfitError(message)
    kind, version = _version_of(info)
    facts = _Facts(
        append_only=info.get("aof_enabled") == "1",
        append_fsync=await _setting(channel, "appendfsync"),
        pauses_fsync=await _setting(channel, "no-appendfsync-on-rewrite") == "yes",
        can_be_waited_for=kind in _WAITAOF_KEPT_SINCE and version >= _WAITAOF_KEPT_SINCE[kind],
        replicas=int(info.get("connected_slaves", 0)),
        eviction=info.get("maxmemory_policy") or await _setting(channel, "maxmemory-policy"),
    )
    missing = {level: _missing(level, facts, policy) for level in sorted(policy.levels)}
    evicts = _evicts(facts)
    where = f"{name}: " if name else ""
    report = StoreReport(
        name=f"{kind} {'.'.join(map(str, version))}",
        syncs_by_waiting=facts.append_only and facts.can_be_waited_for and not facts.syncs_each_write,
        kept=tuple(level for level, shortcoming in missing.items() if shortcoming is None),
        shortcomings=tuple(where + shortcoming for shortcoming in (*missing.values(), evicts) if shortcoming),
        reasons={level: tuple(where + each for each in (lack, evicts) if each) for level, lack in missing.items()},
    )
    return NodeReport(report, info, facts.append_fsync)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """The settings and the state of a node that promises depend on."""

    append_only: bool
    append_fsync: str
    pauses_fsync: bool
    can_be_waited_for: bool
    replicas: int
    eviction: str

    @property
    def syncs_each_write(self) -> bool:
        """Whether every change is on disk before it is answered."""
        return self.append_only and self.append_fsync == "always" and not self.pauses_fsync


def _check_mode(mode: str | None, *, in_cluster: bool) -> None:
    """Return if a node runs in the mode that the URL's form is for.

    :raises StoreUnfitError: it runs in another mode.
    """
    if mode == "sentinel":
        message = f"the store is a sentinel, which keeps no data; name it and its service by {SENTINEL_FORM}"
        raise StoreUnfitError(message)
    if mode == "cluster" and not in_cluster:
        message = f"the store is a node of a cluster; name one or more of its nodes by {CLUSTER_FORM}"
        raise StoreUnfitError(message)


def _parse_info(text: bytes) -> dict[str, str]:
    """Return the values in a reply to INFO, by their names."""
    pairs = (line.partition(":") for line in text.decode().splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}


def _version_of(info: dict[str, str]) -> tuple[str, tuple[int, ...]]:
    """Return kind and version, if they are new enough.

    :raises StoreUnfitError: they are too old.
    """
    valkey = info.get("valkey_version")
    kind, text, minimum = (
        ("Valkey", valkey, VALKEY_VERSION_MIN)
        if valkey
        else ("Redis", info.get("redis_version", "0"), REDIS_VERSION_MIN)
    )
    version = tuple(int(part) for part in text.split("."))
    if version[:2] < minimum:
        message = f"the store is {kind} {text}; at least Redis 7.0 or Valkey 7.2 is needed"
        raise StoreUnfitError(message)
    return kind, version


async def _setting(channel: CommandChannel, name: str) -> str:
    """Return a setting of the store, or "unknown" if the store does not allow CONFIG."""
    try:
        reply = cast("list[bytes]", await channel.call("CONFIG", "GET", name))
    except TallyError:
        return "unknown"
    return reply[1].decode() if reply else "unknown"


def _missing(level: Durability, facts: _Facts, policy: DurabilityPolicy) -> str | None:
    """Return the reason why a level does not hold, and the setting that helps; None if it holds."""
    match level:
        case Durability.FSYNC:
            return _lacks_for_fsync(facts)
        case Durability.REPLICATED if facts.replicas < policy.replicas_min:
            return (
                f"no change can reach level replicated: the store has {facts.replicas} replicas, and"
                f" {policy.replicas_min} must have each change (add replicas, or lower replicas_min)"
            )
    return None


def _lacks_for_fsync(facts: _Facts) -> str | None:
    if not facts.append_only:
        return (
            "acknowledged changes are lost when the store restarts: it keeps no append-only file "
            "(set appendonly yes and appendfsync always)"
        )
    if facts.syncs_each_write or facts.can_be_waited_for:
        return None
    if facts.append_fsync != "always":
        return (
            f"a power cut can lose the last acknowledged changes: appendfsync is {facts.append_fsync} "
            "(set appendfsync always)"
        )
    return (
        "a power cut while the store rewrites its append-only file can lose acknowledged changes: "
        "no-appendfsync-on-rewrite is yes (set no-appendfsync-on-rewrite no)"
    )


def _evicts(facts: _Facts) -> str | None:
    if facts.eviction == "noeviction":
        return None
    return (
        f"counts can vanish when memory is short: maxmemory-policy is {facts.eviction}"
        " (set maxmemory-policy noeviction)"
    )
