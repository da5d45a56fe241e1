"""Request ids while the clocks of two nodes and of the server step, and the nodes change places.

TALLYKEEPER_TEST_CLOCK_OPERATIONS=1000000 makes the long form.
"""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import pytest
import redis

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy, Retention
from tallykeeper_server.domain.levels import CounterName
from tallykeeper_server.domain.mutations import Applied, Bundle, Mutation, fingerprint_of
from tallykeeper_server.store.redis_store import RedisStore
from tests.chaos.replicas import Link, Pair
from tests.chaos.stores import compiler, shim

OPERATIONS: Final = int(os.environ.get("TALLYKEEPER_TEST_CLOCK_OPERATIONS", "20000"))
IDS_AT_ONCE: Final = 250
REMEMBERED_MAX: Final = 20_000
STEPS_MS: Final = (0, 10, 50, 700, 60_000, 3_600_000, 43_200_000, 86_400_000, 40 * 86_400_000)
RETENTION: Final = Retention(
    request_ms=86_400_000, ledger_revisions=0, reservation_ms=1, reservation_lifetime_ms=86_400_000
)
POLICY: Final = DurabilityPolicy(default=Durability.REPLICATED)
INCREMENT: Final = Mutation(operation="counter_increment", levels=(CounterName("visits"),), arguments=(1,))
FINGERPRINT: Final = fingerprint_of([INCREMENT])


class Attempts:
    """Ids that are sent repeatedly, and the revision in the first answer to each."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.revisions: dict[str, int] = {}
        self.count = 0
        self._made = 0

    def bundles(self, namespace: str) -> list[Bundle]:
        """Return increments, half of them with new ids, and half with ids that were answered before."""
        known = list(self.revisions)[-REMEMBERED_MAX:]
        again = self.random.sample(known, min(len(known), IDS_AT_ONCE // 2))
        new = [f"id-{self._made + number}" for number in range(IDS_AT_ONCE - len(again))]
        self._made += len(new)
        return [
            Bundle(namespace, (INCREMENT,), request_id=request_id, fingerprint=FINGERPRINT)
            for request_id in self.random.sample(new + again, len(new) + len(again))
        ]

    def note(self, bundle: Bundle, outcome: object) -> None:
        """Compare an answer with the first answer to its id."""
        assert isinstance(outcome, Applied), outcome
        self.count += 1
        first = self.revisions.setdefault(bundle.request_id, outcome.revision)
        assert outcome.revision == first, f"{bundle.request_id} was applied again"


@pytest.mark.skipif(compiler() is None, reason="a library sets the clocks, and there is no C compiler")
async def test_no_id_counts_twice_while_clocks_step_and_nodes_change_places(tmp_path: Path, namespace: str) -> None:
    random = Random(7)  # noqa: S311  # no secret
    attempts = Attempts(random)
    wall_offset_ms = [0]
    async with Link() as link:
        pair = Pair(tmp_path, link, shim(tmp_path))
        await asyncio.to_thread(pair.start)
        try:
            while attempts.count < OPERATIONS:
                wall_offset_ms[0] = min(0, wall_offset_ms[0])  # no server starts while all clocks are ahead
                await _until_failover(pair, attempts, namespace, wall_offset_ms)
                await asyncio.to_thread(pair.lose_primary)
            _count_in_ledger(pair, attempts, namespace)
        finally:
            pair.stop()


async def _until_failover(pair: Pair, attempts: Attempts, namespace: str, wall_offset_ms: list[int]) -> None:
    """Send ids to a server that has just started, while clocks step, until it is time to lose the primary."""
    store = RedisStore(
        pair.primary.url,
        timeout_seconds=5.0,
        retention=RETENTION,
        policy=POLICY,
        wall_clock=lambda: time.time() + wall_offset_ms[0] / 1_000,
    )
    random = attempts.random
    for _ in range(random.randint(10, 200)):
        bundles = attempts.bundles(namespace)
        for bundle, outcomes in zip(bundles, await store.apply(bundles), strict=True):
            assert isinstance(outcomes, list), outcomes
            attempts.note(bundle, outcomes[0])
        step_ms = random.choice((-1, 1)) * random.choice(STEPS_MS)
        which = random.randrange(8)
        if which == 0:
            pair.primary.clock.jump(step_ms)
        elif which == 1:
            pair.replica.clock.jump(step_ms)
        elif which == 2:
            wall_offset_ms[0] = step_ms
        elif which == 3:
            await store.sweep()
        if attempts.count >= OPERATIONS:
            break
    await store.close()


def _count_in_ledger(pair: Pair, attempts: Attempts, namespace: str) -> None:
    """Check that the counter and the ledger have each id once."""
    with redis.Redis.from_url(pair.primary.url) as connection:
        assert int(connection.get(f"tk:{{{namespace}}}:counter:visits") or 0) == len(attempts.revisions)
        ids: Counter[bytes] = Counter()
        for _, fields in connection.xrange(f"tk:{{{namespace}}}:ledger"):
            ids.update(entry.split(b"\t")[1] for name, entry in fields.items() if name != b"time")
    assert set(ids.values()) == {1}
    assert len(ids) == len(attempts.revisions)
