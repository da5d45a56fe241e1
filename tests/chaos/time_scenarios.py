"""Scenarios about time: clocks that step, restarts, and requests that take long."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import redis
from google.protobuf.duration_pb2 import Duration

from tallykeeper.v1.batch_pb2 import BATCH_MODE_INDEPENDENT, ApplyRequest, Operation
from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper.v1.inventory_pb2 import SetStockRequest
from tallykeeper.v1.namespace_pb2 import ListNamespacesRequest
from tallykeeper.v1.reservation_pb2 import ReserveRequest, StockLine
from tallykeeper_server.store.embedded.valkey import EmbeddedStore, find_binary
from tests.chaos.judge import Violation
from tests.chaos.proxy import Fault, Proxy
from tests.chaos.replicas import Pair, pair_of
from tests.chaos.stage import Stage
from tests.chaos.stores import Clock, Node, shim
from tests.support.client import AsyncCaller, Failure
from tests.support.server import PATIENCE_SECONDS, answers, wait_until

_DAY_MS: Final = 86_400_000
_STEPS_MS: Final = (10, 50, 1_000, 20_000, 60_000, 3_600_000, _DAY_MS, 40 * _DAY_MS)
_ANY_CLOCK_SECONDS: Final = 50 * 86_400.0
_RETENTION_SECONDS: Final = 40
"""The retention of request records. A bucket is current for half of it, so buckets change during a round."""
_RESERVATION_RETENTION_SECONDS: Final = 3_650 * 86_400
"""The retention of ended reservations, which is longer than any step. The store's clock and the server's may both be 40
days ahead at once. Then a reservation that ended more than 7 days ago is rightly forgotten, but the judge's model
forgets no reservation."""
_PATIENCE_SECONDS: Final = 3.0
_TTL_SECONDS: Final = 1.0
_EXPIRED_WITHIN_SECONDS: Final = 2.0
_LONG_OPERATIONS: Final = 600
_INTERRUPTIONS: Final = 3
"""The number of interruptions of a batch. They last so long that the record of its first part would expire, if it were
not kept with the record of the last part."""
_BATCHES_AT_ONCE: Final = 4
_SHORT_RETENTION_SECONDS: Final = 4
_IMPATIENCE_SECONDS: Final = 0.8
_SHARE_WAITED: Final = 0.5


async def clocks(stage: Stage) -> None:
    """Clocks of two nodes and of the workers step by 10 ms to 40 days, and the nodes change places."""
    library = shim(stage.directory)
    workers = Clock(stage.directory / "workers-clock")
    async with (
        pair_of(stage, library) as pair,
        Proxy(lambda: pair.primary.socket, stage.random) as proxy,
        stage.server(
            *("--store", proxy.url, "--durability", "replicated"),
            *("--request-retention-seconds", str(_RETENTION_SECONDS)),
            *("--reservation-retention-seconds", str(_RESERVATION_RETENTION_SECONDS)),
            environment=workers.environment(library),
        ) as server,
    ):
        async for _ in stage.rounds():
            async with stage.round(server.target, dirty=True, clock_slack_seconds=_ANY_CLOCK_SECONDS):
                while stage.goes_on:
                    await _step_or_fail_over(stage, pair, proxy, workers)
                    await stage.healed()


async def _step_or_fail_over(stage: Stage, pair: Pair, proxy: Proxy, workers: Clock) -> None:
    await stage.pause(0.05, 0.5)
    which = stage.random.choices(("primary", "replica", "workers", "failover"), (4, 2, 2, 1))[0]
    if which == "failover":
        stage.fault("failover between nodes of different clocks")
        await asyncio.to_thread(pair.lose_primary)
        proxy.reset()
        return
    clock = {"primary": pair.primary.clock, "replica": pair.replica.clock, "workers": workers}[which]
    stage.fault(f"clock stepped: {which}")
    clock.jump(stage.random.choice((-1, 0, 1)) * stage.random.choice(_STEPS_MS))


@dataclass(slots=True)
class _Born:
    """The namespaces whose first change was acknowledged."""

    names: list[str] = field(default_factory=list)
    count: int = 0

    async def go_on(self, stage: Stage, target: str) -> None:
        """Make namespaces until the server or its store is gone. Each begins with a reservation that expires soon."""
        async with AsyncCaller(target) as call:
            while True:
                self.count += 1
                name = f"born-{self.count}"
                with suppress(Failure):
                    await call(SetStockRequest(namespace=name, item="dune", on_hand=1), timeout=_PATIENCE_SECONDS)
                    self.names.append(name)
                    line, ttl = StockLine(item="dune", copies=1), Duration(seconds=int(_TTL_SECONDS))
                    request = ReserveRequest(namespace=name, reservation_id="basket", lines=[line], ttl=ttl)
                    await call(request, timeout=_PATIENCE_SECONDS)
                    stage.outcome.applied += 2


async def births(stage: Stage) -> None:
    """A store is killed while namespaces are made. Each must be listed, and its reservation must expire."""
    data = stage.directory / "data"
    url = EmbeddedStore(data, find_binary(None)).url
    born = _Born()
    async with stage.server("--data-dir", str(data)) as server:
        async for _ in stage.rounds():
            while stage.goes_on:
                making = asyncio.create_task(born.go_on(stage, server.target))
                await stage.pause(0.02, 0.2)
                with redis.Redis.from_url(url) as connection:
                    process_id = int(connection.info("server")["process_id"])
                stage.fault("store killed while namespaces are made")
                os.kill(process_id, signal.SIGKILL)
                making.cancel()
                await asyncio.wait([making])
                await asyncio.to_thread(wait_until, lambda: answers(url), what="the store answers")
                answered_at = time.monotonic()
                await _judge_births(stage, born, server.target, url, answered_at)


async def _listed(target: str) -> set[str]:
    """Return all namespaces that the server lists."""
    names, request = set[str](), ListNamespacesRequest(page_size=1_000)
    async with AsyncCaller(target) as call:
        while True:
            page = await call(request, timeout=PATIENCE_SECONDS)
            names |= {each.namespace for each in page.namespaces}
            if not page.next_page_token:
                return names
            request.page_token = page.next_page_token


async def _judge_births(stage: Stage, born: _Born, target: str, url: str, answered_at: float) -> None:
    """Check that every namespace is listed, and that no copies stay reserved after their time."""
    missing = set(born.names) - await _listed(target)
    if missing:
        stage.outcome.violations.append(Violation("a namespace that is not listed", f"{sorted(missing)}"))
    with redis.Redis.from_url(url) as connection:
        late = answered_at + _TTL_SECONDS + _EXPIRED_WITHIN_SECONDS
        while held := [name for name in born.names if connection.zcard(f"tk:{{{name}}}:expiry")]:
            if time.monotonic() > late:
                stage.outcome.violations.append(Violation("a reservation that does not expire", f"{held}"))
                break
            await asyncio.sleep(0.05)
    born.names.clear()


async def parts(stage: Stage) -> None:
    """A batch of several parts is interrupted, and repeated within its retention, which runs from the last answer."""
    node = Node(stage.directory / "node")
    node.start()
    try:
        async with (
            Proxy(lambda: node.socket, stage.random) as proxy,
            stage.server("--store", proxy.url, "--request-retention-seconds", str(_SHORT_RETENTION_SECONDS)) as server,
            AsyncCaller(server.target) as call,
        ):
            async for _ in stage.rounds():
                while stage.goes_on:
                    batches = (_repeat_late(stage, proxy, call) for _ in range(_BATCHES_AT_ONCE))
                    await asyncio.gather(*batches)
    finally:
        node.stop()


async def _repeat_late(stage: Stage, proxy: Proxy, call: AsyncCaller) -> None:
    """Interrupt a batch repeatedly, complete it, and check that each of its operations was applied once."""
    counter = f"parts-{stage.random.getrandbits(64):x}"
    operation = Operation(increment=IncrementRequest(counter=counter))
    request = ApplyRequest(operations=[operation] * _LONG_OPERATIONS, request_id=counter, mode=BATCH_MODE_INDEPENDENT)
    answered_at = time.monotonic()
    for _ in range(_INTERRUPTIONS):
        proxy.let_meet(Fault.DELAY)
        proxy.let_meet(Fault.BLACK_HOLE)
        stage.fault("a batch interrupted between its parts")
        with suppress(Failure):
            await call(request, timeout=_IMPATIENCE_SECONDS)
        if time.monotonic() - answered_at >= _SHORT_RETENTION_SECONDS:
            return  # on a busy machine, too late to judge
        answered_at = time.monotonic()
        await stage.pause(_SHARE_WAITED * _SHORT_RETENTION_SECONDS, _SHARE_WAITED * _SHORT_RETENTION_SECONDS)
    with suppress(Failure):
        await call(request, timeout=PATIENCE_SECONDS)
        if time.monotonic() - answered_at >= _SHORT_RETENTION_SECONDS:
            return  # too late to judge
        value = (await call(GetCounterRequest(counter=counter), timeout=PATIENCE_SECONDS)).counter.value
        stage.outcome.applied += _LONG_OPERATIONS
        if value != _LONG_OPERATIONS:
            detail = f"{value} increments of {_LONG_OPERATIONS}"
            stage.outcome.violations.append(Violation("a part of a batch applied again", detail))
