"""The scenarios: each is a set of faults with its callers."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

import redis

from tallykeeper.v1.counter_pb2 import IncrementRequest
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tests.chaos.judge import Violation
from tests.chaos.proxy import Fault, Proxy
from tests.chaos.replicas import Pair, pair_of
from tests.chaos.stage import Stage
from tests.chaos.stores import Clock, Node, shim
from tests.chaos.time_scenarios import births, clocks, parts
from tests.support.client import AsyncCaller
from tests.support.server import ServerProcess, answers, wait_until
from tests.support.slot_moves import Attack
from tests.topology.clusters import ClusterOfNodes, slot_of_namespace
from tests.topology.sentinels import WatchedPair

_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_CLOCK_SLACK_SECONDS: Final = 2 * 3_600.0
_PATIENCE_SECONDS: Final = 3.0
_REPEATED: Final = 3
_LEFT_BEHIND: Final = 0.3
"""The number of failovers to a replica that lacked changes."""

Scenario = Callable[[Stage], Coroutine[Any, Any, None]]


async def kills(stage: Stage) -> None:
    """An embedded store and two workers, each killed and frozen in turn."""
    data = stage.directory / "data"
    url = EmbeddedStore(data, find_binary(None)).url
    async with stage.server("--data-dir", str(data)) as server:
        async for _ in stage.rounds():
            async with stage.round(server.target):
                while stage.goes_on:
                    await _kill_or_freeze(stage, server, url)
                    await stage.healed()
                    await stage.pause(0.05, 0.4)


async def _kill_or_freeze(stage: Stage, server: ServerProcess, url: str) -> None:
    fault = stage.random.choices(("store killed", "store frozen", "worker killed", "worker frozen"), (6, 1, 2, 1))[0]
    stage.fault(fault)
    if fault.startswith("store"):
        await asyncio.to_thread(wait_until, lambda: answers(url), what="the store answers")
        with redis.Redis.from_url(url) as connection:
            process_id = int(connection.info("server")["process_id"])
    else:
        process_id = stage.random.choice(list(server.worker_ids.values()))
    if fault.endswith("killed"):
        _send(process_id, signal.SIGKILL)
        return
    _send(process_id, signal.SIGSTOP)
    await stage.pause(0.1, 1.5)
    _send(process_id, signal.SIGCONT)


def _send(process_id: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # a worker that was just replaced
        os.kill(process_id, number)


_FAULTS: Final = {
    Fault.CUT_AFTER_APPLY: 10,
    Fault.CUT_BEFORE_APPLY: 3,
    Fault.CUT_IN_REPLY: 3,
    Fault.DELAY: 3,
    Fault.DRIBBLE: 3,
    Fault.RESET: 2,
    Fault.BLACK_HOLE: 1,
}


async def network(stage: Stage) -> None:
    """A network between server and store that cuts, delays, splits, resets and swallows data."""
    node = Node(stage.directory / "node")
    node.start()
    try:
        async with (
            Proxy(lambda: node.socket, stage.random) as proxy,
            stage.server("--store", proxy.url) as server,
        ):
            async for _ in stage.rounds():
                async with stage.round(server.target):
                    while stage.goes_on:
                        await _meet_some(stage, proxy)
                        await stage.healed()
        for fault, count in proxy.met.items():
            stage.fault(f"network: {fault.value}", count)
    finally:
        node.stop()


async def _meet_some(stage: Stage, proxy: Proxy) -> None:
    for fault in stage.random.choices(list(_FAULTS), list(_FAULTS.values()), k=stage.random.randint(1, 20)):
        proxy.let_meet(fault)
        await stage.pause(0.005, 0.06)
    await proxy.all_met()


async def calm(stage: Stage) -> None:
    """No fault except callers that lose patience or leave. All other callers must get an answer."""
    async with stage.server("--data-dir", str(stage.directory / "data")) as server:
        async for _ in stage.rounds():
            async with stage.round(server.target, calm=True):
                while stage.goes_on:
                    await stage.pause(0.1, 0.2)


async def disk(stage: Stage) -> None:
    """A disk that loses power and fills up, and clocks that jump: the store's by an hour, the workers' by weeks."""
    library = shim(stage.directory)
    node = Node(stage.directory / "node", library=library)
    workers = Clock(stage.directory / "workers-clock")
    node.start()
    try:
        async with stage.server("--store", node.url, environment=workers.environment(library)) as server:
            async for _ in stage.rounds():
                async with stage.round(server.target, clock_slack_seconds=_CLOCK_SLACK_SECONDS):
                    while stage.goes_on:
                        await _cut_fill_or_jump(stage, node, workers)
                        await stage.healed()
                        await stage.pause(0.05, 0.5)
    finally:
        node.stop()


async def _cut_fill_or_jump(stage: Stage, node: Node, workers: Clock) -> None:
    faults = ("power cut", "disk full", "store's clock jumped", "workers' clock jumped")
    fault = stage.random.choices(faults, (5, 1, 1, 1))[0]
    stage.fault(fault)
    match fault:
        case "power cut":
            node.cut_power(stage.random)
            await stage.pause(0.0, 0.3)
            await asyncio.to_thread(node.start)
        case "disk full":
            node.fill_disk()
            await stage.pause(0.1, 0.8)
            node.kill()
            node.free_disk()
            await asyncio.to_thread(node.start)
        case "store's clock jumped":
            node.clock.jump(stage.random.randint(-_HOUR_MS, _HOUR_MS))
        case _:
            workers.jump(stage.random.choice((-1, 1)) * stage.random.randint(_DAY_MS, 30 * _DAY_MS))


async def failover(stage: Stage) -> None:
    """A primary is lost with its disk, and the replica that had each acknowledged change takes over."""
    async with (
        pair_of(stage) as pair,
        Proxy(lambda: pair.primary.socket, stage.random) as proxy,
        stage.server("--store", proxy.url, "--durability", "replicated") as server,
    ):
        async for _ in stage.rounds():
            async with stage.round(server.target, dirty=True):
                while stage.goes_on:
                    await _lose_primary(stage, pair, proxy, server.target)
                    await stage.healed()


async def _lose_primary(stage: Stage, pair: Pair, proxy: Proxy, target: str) -> None:
    await stage.pause(0.2, 1.0)
    if stage.random.random() < _LEFT_BEHIND:
        stage.fault("replica left behind")
        await _leave_behind(stage, pair, proxy, target)
    stage.fault("primary lost with its disk, and failover")
    await asyncio.to_thread(pair.lose_primary)
    proxy.reset()
    stage.callers.go_on()


async def _leave_behind(stage: Stage, pair: Pair, proxy: Proxy, target: str) -> None:
    """Cut the replica off, and repeat the changes that it lacks while there are no other calls.

    The server connects again in between. A repeat on the new connection must wait for the replica, although that
    connection has written nothing.
    """
    pair.link.loses = True
    stage.callers.rest()
    requests = [
        IncrementRequest(counter="visits", request_id=f"{stage.random.getrandbits(96):x}") for _ in range(_REPEATED)
    ]
    intents = [stage.history.intent(request) for request in requests]
    async with AsyncCaller(target) as call:
        await asyncio.gather(*(stage.history.attempt(intent, call, timeout=_PATIENCE_SECONDS) for intent in intents))
        proxy.reset()
        for intent in intents:
            await stage.history.attempt(intent, call, timeout=_PATIENCE_SECONDS)


async def partition(stage: Stage, *, durability: str) -> None:
    """A primary is cut off from its replica, which takes over while callers still reach the old primary."""
    async with (
        pair_of(stage) as pair,
        Proxy(lambda: pair.primary.socket, stage.random) as proxy,
        stage.server("--store", proxy.url, "--durability", durability) as server,
    ):
        async for _ in stage.rounds():
            async with stage.round(server.target, dirty=True, may_lose=durability != "replicated"):
                while stage.goes_on:
                    await stage.pause(0.2, 1.0)
                    pair.split()
                    await stage.pause(0.1, 0.6)
                    await asyncio.to_thread(pair.follow_the_new_primary)
                    stage.fault(f"partition with failover, {durability}")
                    proxy.reset()
                    await stage.healed()


async def _partition_at_fsync(stage: Stage) -> None:
    await partition(stage, durability="fsync")


async def _partition_at_replicated(stage: Stage) -> None:
    await partition(stage, durability="replicated")


async def sentinels(stage: Stage) -> None:
    """A primary that sentinels watch is killed, or exchanges roles with its replica."""
    pair = WatchedPair(stage.directory)
    try:
        await asyncio.to_thread(pair.start)
        async with stage.server("--store", pair.url, "--durability", "replicated") as server:
            async for _ in stage.rounds():
                async with stage.round(server.target, dirty=True):
                    while stage.goes_on:
                        await stage.pause(0.2, 1.0)
                        change = stage.random.choice((pair.fail_over, pair.lose_primary))
                        stage.fault(f"sentinels: {_SPOKEN[change.__name__]}")
                        await asyncio.to_thread(change)
                        await stage.healed()
    finally:
        pair.stop()


async def cluster(stage: Stage) -> None:
    """A cluster whose slots move while they are written to, and whose primaries are killed or replaced."""
    cluster = ClusterOfNodes(stage.directory)
    try:
        await asyncio.to_thread(cluster.start)
        async with stage.server("--store", cluster.url, "--durability", "replicated") as server:
            async for _ in stage.rounds():
                async with stage.round(server.target, dirty=True):
                    slot = slot_of_namespace(stage.history.namespace)
                    while stage.goes_on:
                        await stage.pause(0.2, 0.6)
                        await _change(stage, cluster, slot)
                        await stage.healed()
    finally:
        cluster.stop()


async def _change(stage: Stage, cluster: ClusterOfNodes, slot: int) -> None:
    slowly = partial(cluster.move, pause_seconds=stage.random.uniform(0.0, 0.03))
    changes = (slowly, cluster.move_at_once, cluster.fail_over, cluster.lose_primary)
    change = stage.random.choices(changes, (4, 4, 2, 1))[0]
    stage.fault(f"cluster: {_SPOKEN[getattr(change, '__name__', 'move')]}")
    await asyncio.to_thread(change, slot)


async def moves(stage: Stage) -> None:
    """Copies, counters and reservations move from name to name while they are read. There are no other faults."""
    async with stage.server("--data-dir", str(stage.directory / "data")) as server:
        async for _ in stage.rounds():
            async with stage.round(server.target, calm=True):
                attack = await _moving(stage, server.target)
                if attack.unanswered:
                    detail = f"{attack.unanswered} reads"
                    stage.outcome.violations.append(Violation("not answered, though nothing was wrong", detail))


async def moves_on_a_cluster(stage: Stage) -> None:
    """The scenario of moves on a cluster, in which the slot moves too."""
    cluster = ClusterOfNodes(stage.directory)
    try:
        await asyncio.to_thread(cluster.start)
        async with stage.server("--store", cluster.url, "--durability", "replicated") as server:
            async for _ in stage.rounds():
                async with stage.round(server.target, dirty=True):
                    attack = asyncio.create_task(_moving(stage, server.target))
                    slot = slot_of_namespace(_moving_in(stage))
                    while stage.goes_on:
                        await stage.pause(1.0, 3.0)
                        await _move_slot(stage, cluster, slot)
                    await attack
    finally:
        cluster.stop()


async def _moving(stage: Stage, target: str) -> Attack:
    """Let movers and readers work until the round is over, and record the answers that were never true."""
    attack = Attack(target, _moving_in(stage), lambda _: stage.goes_on)
    await attack.run()
    stage.fault("something moved to another name", attack.steps)
    stage.outcome.calls += attack.steps + attack.answers.total() + attack.unanswered
    stage.outcome.applied += attack.steps
    stage.outcome.reads += attack.answers.total()
    stage.outcome.unknown += attack.unanswered
    stage.outcome.violations += [Violation("an answer that was never true", detail) for detail in attack.untrue]
    return attack


def _moving_in(stage: Stage) -> str:
    return f"{stage.history.namespace}-moving"


async def _move_slot(stage: Stage, cluster: ClusterOfNodes, slot: int) -> None:
    slowly = partial(cluster.move, pause_seconds=stage.random.uniform(0.0, 0.03))
    change = stage.random.choice((slowly, cluster.move_at_once))
    stage.fault(f"cluster: {_SPOKEN[getattr(change, '__name__', 'move')]}")
    await asyncio.to_thread(change, slot)


_SPOKEN: Final = {
    "fail_over": "primary and replica change places",
    "lose_primary": "primary killed, and failover",
    "move": "slot moved key by key",
    "move_at_once": "slot moved at once",
}

SCENARIOS: Final[dict[str, Scenario]] = {
    "calm": calm,
    "kills": kills,
    "network": network,
    "disk": disk,
    "failover": failover,
    "partition, replicated": _partition_at_replicated,
    "partition, fsync": _partition_at_fsync,
    "sentinels": sentinels,
    "cluster": cluster,
    "clocks": clocks,
    "births": births,
    "parts": parts,
    "moves": moves,
    "moves, cluster": moves_on_a_cluster,
}
NEEDS_COMPILER: Final = frozenset({"disk", "clocks"})
