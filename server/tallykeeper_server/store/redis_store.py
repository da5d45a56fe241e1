"""The store on one Redis or Valkey: applies batches with the script and answers queries by pipeline."""

import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final, cast

import structlog

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.domain.errors import NotDurableYetError, TallyError
from tallykeeper_server.domain.levels import ReservationName
from tallykeeper_server.domain.mutations import Applied, Bundle, Failed, Mutation, Outcome
from tallykeeper_server.domain.queries import Query
from tallykeeper_server.domain.retention import Retention
from tallykeeper_server.metrics.meters import StoreMeter
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.store import keys
from tallykeeper_server.store.batch import Interrupted
from tallykeeper_server.store.checks import StoreReport, check_store
from tallykeeper_server.store.connection import Argument, Connection, Connections
from tallykeeper_server.store.reading import answer_of, reading_of, time_ms_of
from tallykeeper_server.store.script_calls import ScriptCalls
from tallykeeper_server.store.tail import LedgerTail

_NAMESPACES_REMEMBERED_MAX: Final = 100_000
_SCRIPTS_AT_ONCE: Final = 2
"""As many as the engine has under way, for each level of durability."""
_SCRIPT_TRIES: Final = 5
"""How often a bundle is run that must wait for others: the last time, holds whose time is up count as held."""
_EXPIRED_AT_ONCE_MAX: Final = 20
_SWEPT_AT_ONCE_MAX: Final = 500
_SWEEPS_BETWEEN_COUNTS: Final = 10
"""Open reservations are counted with every so many sweeps: a question more for each namespace is not for nothing."""

log = structlog.get_logger()


class RedisStore:
    """Two connections, one for script calls and one for queries, so that queries do not wait for changes."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        retention: Retention,
        policy: DurabilityPolicy | None = None,
        wall_clock: Callable[[], float] = time.time,
        meter: StoreMeter | None = None,
    ) -> None:
        """``timeout_seconds`` bounds each round trip, but for what is waited by the ``policy``.

        ``wall_clock`` gives seconds since 1970. Open reservations are counted only if there is a ``meter``.

        :raises ValueError: the URL is not one.
        """
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._policy = policy = policy or DurabilityPolicy()
        count, wait_seconds = _SCRIPTS_AT_ONCE * len(policy.levels), policy.wait_ms / 1_000
        self._changes = Connections(url, count=count, timeout_seconds=timeout_seconds + wait_seconds)
        self._reads = Connection(url, timeout_seconds=timeout_seconds)
        self._retention = retention
        self._namespaces: set[str] = set()
        self._meter = meter or StoreMeter(Metrics())
        self.scripts = ScriptCalls(self._changes, retention, policy, meter=self._meter, wall_clock=wall_clock)
        self._counts_open = meter is not None
        self._sweeps = 0

    def lane_of(self, bundle: Bundle) -> Hashable:
        """Return its level of durability: so nobody waits for what another's namespace asks."""
        return self._policy.of(bundle.namespace)

    async def apply(self, bundles: Sequence[Bundle]) -> list[list[Outcome] | NotDurableYetError]:
        """Apply bundles of one lane in order and in one atomic step; return the outcomes of each one's mutations.

        Bundles that run short of copies while reservations are due are applied after those have been expired, in a
        step of their own.

        In their place stands an error if they are there, but not yet as durable as they must be.

        :raises TallyError: as Connection.call says; any bundle may have been applied.
        """
        outcomes: dict[int, list[Outcome]] = {}
        durability, missing = self._policy.of(bundles[0].namespace), None
        waiting = list(range(len(bundles)))
        for final_after in range(_SCRIPT_TRIES - 1, -1, -1):
            ran = await self.scripts.run([bundles[place] for place in waiting], durability, final=final_after == 0)
            missing = missing or ran.missing
            interrupted: dict[int, Interrupted] = {}
            for place, result in zip(waiting, ran.results, strict=True):
                if isinstance(result, Interrupted):
                    interrupted[place] = result
                else:
                    outcomes[place] = result
            waiting = list(interrupted)
            if not waiting:
                break
            for namespace in {bundles[place].namespace for place in waiting if interrupted[place].due}:
                await self._expire_due(namespace)
        for place in waiting:
            outcomes[place] = [Failed("its reservation changed each time it was read")] * len(bundles[place].mutations)
        if not {bundle.namespace for bundle in bundles} <= self._namespaces:
            await self._note_namespaces(
                {
                    bundle.namespace
                    for place, bundle in enumerate(bundles)
                    if any(isinstance(outcome, Applied) for outcome in outcomes[place])
                }
            )
        self._meter.replays.add(sum(_is_replay(each[0]) for each in outcomes.values()))
        results: list[list[Outcome] | NotDurableYetError] = [outcomes[place] for place in range(len(bundles))]
        if missing is None:
            return results
        error = NotDurableYetError(durability, missing)
        return [error if _is_kept(bundle, outcomes[place]) else results[place] for place, bundle in enumerate(bundles)]

    async def read(self, queries: Sequence[Query[Any]]) -> list[object]:
        """Answer queries in one round trip; in place of an answer, the error of a query that failed alone.

        :raises TallyError: as Connection.pipeline says.
        """
        readings = [reading_of(query, self._retention) for query in queries]
        commands = [command for reading in readings for command in reading.commands]
        replies = iter(await self._reads.pipeline(commands) if commands else ())
        return [answer_of(reading, [next(replies) for _ in reading.commands]) for reading in readings]

    def tail(self, namespace: str) -> LedgerTail:
        """Return the end of a namespace's ledger; it connects when it is read, and is to be closed."""
        return LedgerTail(self._url, namespace, timeout_seconds=self._timeout_seconds)

    async def sweep(self) -> int:
        """Expire the reservations whose time is up, in all namespaces; return how many that were.

        :raises TallyError: as Connection.call says; some may have been expired.
        """
        listed = {name.decode() for name in cast("list[bytes]", await self._reads.call("SMEMBERS", keys.NAMESPACES))}
        self._namespaces &= listed  # one that is missing there is added again after its next change
        now_ms = time_ms_of(await self._reads.call("TIME"))
        names, expired = sorted(listed), 0
        for some in _portions(names):
            replies = await self._reads.pipeline([_due_command(name, now_ms, 1) for name in some])
            for namespace, due in zip(some, replies, strict=True):
                if isinstance(due, list) and due:
                    expired += await self._expire_due(namespace)
        if self._counts_open and self._sweeps % _SWEEPS_BETWEEN_COUNTS == 0:
            await self._count_open(names)
        self._sweeps += 1
        return expired

    async def ping(self) -> None:
        """Return if the store serves.

        :raises TallyError: it does not.
        """
        began_at = time.perf_counter()
        await self._reads.call("PING")
        self._meter.round_trips.observe(time.perf_counter() - began_at)

    async def check(self) -> StoreReport:
        """Ask the store for what the promises rest on, and wait for what it does not keep by itself.

        :raises StoreUnfitError: no counts can be kept in it any more.
        :raises TallyError: it cannot be asked.
        """
        report = await check_store(self._reads, self._policy)
        self.scripts.syncs_by_waiting = report.syncs_by_waiting
        self._meter.promises_broken.read = lambda: len(report.shortcomings)
        return report

    async def close(self) -> None:
        """Close the connections."""
        await self._changes.close()
        await self._reads.close()

    async def _count_open(self, namespaces: list[str]) -> None:
        """Note how many reservations are open in all namespaces together."""
        count = 0
        for some in _portions(namespaces):
            replies = await self._reads.pipeline([("ZCARD", keys.due(namespace)) for namespace in some])
            count += sum(reply for reply in replies if isinstance(reply, int))
        self._meter.open_reservations.read = lambda: count

    async def _expire_due(self, namespace: str) -> int:
        """Expire what is due in a namespace now; return how many reservations that were."""
        now_ms = time_ms_of(await self._changes.call("TIME"))
        expired, progress = 0, True
        while progress:
            due = cast("list[bytes]", await self._changes.call(*_due_command(namespace, now_ms, _EXPIRED_AT_ONCE_MAX)))
            expiries = [_expiry_of(namespace, reservation_id.decode()) for reservation_id in due]
            ran = await self.scripts.run(expiries, Durability.MEMORY)  # nobody is told of it, so nobody waits for it
            count = sum(isinstance(result, list) and isinstance(result[0], Applied) for result in ran.results)
            expired += count
            self._meter.expired.add(count)
            progress = count > 0
        return expired

    async def _note_namespaces(self, changed: set[str]) -> None:
        """Add namespaces that are new to this process to the set of all. It may fail: the next process adds them."""
        new = changed - self._namespaces
        if not new:
            return
        if len(self._namespaces) + len(new) > _NAMESPACES_REMEMBERED_MAX:
            self._namespaces.clear()
        try:
            await self._changes.call("SADD", keys.NAMESPACES, *sorted(new))
        except TallyError as error:
            log.warning("namespaces not listed yet", error=str(error))
        else:
            self._namespaces |= new


def _is_kept(bundle: Bundle, outcomes: list[Outcome]) -> bool:
    """Return whether something of a bundle must last: a change, or what its request id is to be answered with."""
    return bool(bundle.request_id) or any(isinstance(outcome, Applied) for outcome in outcomes)


def _is_replay(outcome: Outcome) -> bool:
    return not isinstance(outcome, Failed) and outcome.replayed


def _portions(names: list[str]) -> Iterator[list[str]]:
    return (names[first : first + _SWEPT_AT_ONCE_MAX] for first in range(0, len(names), _SWEPT_AT_ONCE_MAX))


def _due_command(namespace: str, now_ms: int, limit: int) -> tuple[Argument, ...]:
    return ("ZRANGE", keys.due(namespace), "-inf", now_ms, "BYSCORE", "LIMIT", 0, limit)


def _expiry_of(namespace: str, reservation_id: str) -> Bundle:
    name = ReservationName(reservation_id)
    expiry = Mutation(operation="reservation_expire", levels=(name,), resolves=True)
    return Bundle(namespace=namespace, mutations=(expiry,))
