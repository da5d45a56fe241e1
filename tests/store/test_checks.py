"""Checks of a store's settings: those that it needs if it cannot be waited for, and its replicas."""

from collections.abc import Mapping

import pytest

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.store.nodes.commands import Argument, Reply
from tallykeeper_server.store.nodes.connection import Connection
from tallykeeper_server.store.promises import StoreReport, check_node


class ScriptedConnection(Connection):
    """A connection that answers as a store with some settings does."""

    def __init__(self, info: str, settings: Mapping[str, str]) -> None:
        super().__init__("unix:///nowhere", timeout_seconds=1.0)
        self._info = info
        self._settings = settings

    async def call(self, *command: Argument) -> Reply:
        if command == ("INFO",):
            return self._info.encode()
        name = str(command[2])
        return [name.encode(), self._settings[name].encode()]


async def report(
    *,
    version: str = "redis_version:7.0.15",
    fsync: str = "always",
    pauses: str = "no",
    replicas: int = 0,
    **levels: str,
) -> StoreReport:
    info = f"{version}\r\nrole:master\r\naof_enabled:1\r\nconnected_slaves:{replicas}\r\nmaxmemory_policy:noeviction"
    connection = ScriptedConnection(info, {"appendfsync": fsync, "no-appendfsync-on-rewrite": pauses})
    policy = DurabilityPolicy(
        default=Durability(levels.pop("default", "fsync")),
        namespaces={name: Durability(level) for name, level in levels.items()},
        replicas_min=2,
    )
    return await check_node(connection, policy)


async def test_a_store_that_syncs_each_write_keeps_fsync_without_a_wait() -> None:
    found = await report()

    assert (found.kept, found.shortcomings, found.syncs_by_waiting) == ((Durability.FSYNC,), (), False)


@pytest.mark.parametrize(
    ("fsync", "pauses", "words"),
    [
        ("everysec", "no", "appendfsync is everysec (set appendfsync always)"),
        ("always", "yes", "(set no-appendfsync-on-rewrite no)"),
    ],
)
async def test_one_that_cannot_be_waited_for_must_sync_each_write(fsync: str, pauses: str, words: str) -> None:
    old = await report(fsync=fsync, pauses=pauses)
    new = await report(version="redis_version:8.0.0", fsync=fsync, pauses=pauses)

    (shortcoming,) = old.shortcomings
    assert words in shortcoming
    assert (old.kept, old.syncs_by_waiting) == ((), False)
    assert (new.kept, new.shortcomings, new.syncs_by_waiting) == ((Durability.FSYNC,), (), True)


@pytest.mark.parametrize("version", ["redis_version:7.4.2", "redis_version:7.2.4\r\nvalkey_version:9.1.2"])
async def test_one_whose_wait_returns_too_soon_is_not_waited_for(version: str) -> None:
    found = await report(version=version, fsync="everysec")

    assert (found.kept, found.syncs_by_waiting) == ((), False)
    assert "appendfsync is everysec (set appendfsync always)" in found.shortcomings[0]


@pytest.mark.parametrize(("replicas", "kept"), [(1, ()), (2, (Durability.REPLICATED,)), (3, (Durability.REPLICATED,))])
async def test_replicated_needs_enough_replicas(replicas: int, kept: tuple[Durability, ...]) -> None:
    found = await report(default="replicated", replicas=replicas)

    assert found.kept == kept
    assert [f"has {replicas} replicas, and 2 must have" in words for words in found.shortcomings] == [True][len(kept) :]


async def test_only_levels_that_some_namespace_has_are_looked_at() -> None:
    found = await report(default="memory", fsync="everysec", shop="replicated")

    assert found.kept == (Durability.MEMORY,)
    assert len(found.shortcomings) == 1
    assert "level replicated" in found.shortcomings[0]
