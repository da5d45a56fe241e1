"""What the promises rest on: the store's version, role and settings, and what follows from them."""

from dataclasses import dataclass
from typing import Final, cast

from tallykeeper_server.domain.errors import TallyError
from tallykeeper_server.store.connection import Connection

REDIS_VERSION_MIN: Final = (7, 0)
VALKEY_VERSION_MIN: Final = (7, 2)


class StoreUnfitError(TallyError):
    """The store cannot be used at all. The message says why, in one line."""


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What a store is, and what it can promise."""

    name: str
    """Its kind and version, such as ``Valkey 9.1.2``."""
    syncs_each_write: bool
    """An acknowledged change survives a power cut."""
    shortcomings: tuple[str, ...]
    """Each promise that does not hold, with the reason and what to set; empty when all hold."""


async def check_store(connection: Connection) -> StoreReport:
    """Ask the store what it is.

    :raises StoreUnfitError: it is too old, a replica, a sentinel or a node of a cluster.
    :raises TallyError: it cannot be asked.
    """
    info = _parse_info(cast("bytes", await connection.call("INFO")))
    name = _name_of(info)
    mode = info.get("server_mode") or info.get("redis_mode")
    if mode == "sentinel":
        message = "the store is a sentinel, which keeps no data; name the primary that it watches instead"
        raise StoreUnfitError(message)
    if mode == "cluster":
        message = "the store is a node of a cluster; name a store that is not in cluster mode (cluster-enabled no)"
        raise StoreUnfitError(message)
    if info.get("role") == "slave":
        message = f"the store is a replica of {info.get('master_host', 'another')}; name its primary instead"
        raise StoreUnfitError(message)
    append_only = info.get("aof_enabled") == "1"
    append_fsync = await _setting(connection, "appendfsync")
    pauses_fsync = await _setting(connection, "no-appendfsync-on-rewrite") == "yes"
    policy = info.get("maxmemory_policy") or await _setting(connection, "maxmemory-policy")
    return StoreReport(
        name=name,
        syncs_each_write=append_only and append_fsync == "always" and not pauses_fsync,
        shortcomings=tuple(
            _shortcomings(append_only=append_only, append_fsync=append_fsync, pauses_fsync=pauses_fsync, policy=policy)
        ),
    )


def _parse_info(text: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.decode().splitlines() if ":" in line)
    return {name: value for name, _, value in pairs}


def _name_of(info: dict[str, str]) -> str:
    """Return kind and version, if they are new enough.

    :raises StoreUnfitError: they are not.
    """
    valkey = info.get("valkey_version")
    kind, version, minimum = (
        ("Valkey", valkey, VALKEY_VERSION_MIN)
        if valkey
        else ("Redis", info.get("redis_version", "0"), REDIS_VERSION_MIN)
    )
    if tuple(int(part) for part in version.split(".")[:2]) < minimum:
        message = f"the store is {kind} {version}; at least Redis 7.0 or Valkey 7.2 is needed"
        raise StoreUnfitError(message)
    return f"{kind} {version}"


async def _setting(connection: Connection, name: str) -> str:
    """Return a setting of the store's, or "unknown" where CONFIG is not allowed."""
    try:
        reply = cast("list[bytes]", await connection.call("CONFIG", "GET", name))
    except TallyError:
        return "unknown"
    return reply[1].decode() if reply else "unknown"


def _shortcomings(*, append_only: bool, append_fsync: str, pauses_fsync: bool, policy: str) -> list[str]:
    shortcomings = []
    if not append_only:
        shortcomings.append(
            "acknowledged changes are lost when the store restarts: it keeps no append-only file "
            "(set appendonly yes and appendfsync always)"
        )
    elif append_fsync != "always":
        shortcomings.append(
            f"a power cut can lose the last acknowledged changes: appendfsync is {append_fsync} "
            "(set appendfsync always)"
        )
    elif pauses_fsync:
        shortcomings.append(
            "a power cut while the store rewrites its append-only file can lose acknowledged changes: "
            "no-appendfsync-on-rewrite is yes (set no-appendfsync-on-rewrite no)"
        )
    if policy != "noeviction":
        shortcomings.append(
            f"counts can vanish when memory is short: maxmemory-policy is {policy} (set maxmemory-policy noeviction)"
        )
    return shortcomings
