"""The store on Redis or Valkey: applies batches with the script and answers queries by pipeline."""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, cast

import structlog

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.domain.errors import (
    NotDurableYetError,
    OutcomeUnknownError,
    StoreUnavailableError,
    TallyError,
)
from tallykeeper_server.domain.levels import ReservationName
from tallykeeper_server.domain.mutations import Applied, Bundle, Failed, Mutation, Outcome
from tallykeeper_server.domain.queries import Query
from tallykeeper_server.domain.retention import Retention
from tallykeeper_server.metrics.meters import StoreMeter
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.store import keys
from tallykeeper_server.store.batch import Interrupted
from tallykeeper_server.store.checks import StoreReport, check_store
from tallykeeper_server.store.connection import Command, answered
from tallykeeper_server.store.opening import open_routes
from tallykeeper_server.store.read_scripts import lacks_script, with_sources
from tallykeeper_server.store.reading import answer_of, reading_of, routing_key, time_ms_of
from tallykeeper_server.store.routes import Line, LineLimits
from tallykeeper_server.store.script_calls import ScriptCalls
from tallykeeper_server.store.tail import LedgerTail

_NAMESPACES_REMEMBERED_MAX: Final = 100_000
_LANES_REMEMBERED_MAX: Final = 10_000
_SCRIPTS_AT_ONCE: Final = 4
"""As many as a lane of the engine has under way, for each level of durability."""
_SCRIPT_TRIES: Final = 5
"""How often a bundle is run that must wait for others: the last time, holds whose time is up count as held."""
_EXPIRED_AT_ONCE_MAX: Final = 20
_SWEPT_AT_ONCE_MAX: Final = 500
_SWEEPS_BETWEEN_COUNTS: Final = 10
"""Open reservations are counted with every so many sweeps: a question more for each namespace is not for nothing."""

log = structlog.get_logger()


class RedisStore:
    """Counts in a store: on one node, on whichever the sentinels call the primary, or on those of a cluster."""

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
        self._timeout_seconds = timeout_seconds
        self._policy = policy = policy or DurabilityPolicy()
        count, wait_seconds = _SCRIPTS_AT_ONCE * len(policy.levels), policy.wait_ms / 1_000
        limits = LineLimits(changes=count, timeout_seconds=timeout_seconds, wait_seconds=wait_seconds)
        self._routes = open_routes(url, limits)
        self._retention = retention
        self._namespaces: set[str] = set()
        self._meter = meter or StoreMeter(Metrics())
        self.scripts = ScriptCalls(self._line_of, retention, policy, meter=self._meter, wall_clock=wall_clock)
        self._lane_of_namespace = lru_cache(_LANES_REMEMBERED_MAX)(
            lambda name: (policy.of(name).value, self._routes.place_of(keys.prefix(name)))
        )
        self._counts_open = meter is not None
        self._sweeps = 0

    def lane_of(self, bundle: Bundle) -> Hashable:
        """Return where its namespace is, and its level of durability: nobody waits for what another's asks."""
        return self._lane_of_namespace(bundle.namespace)

    def query_lane_of(self, query: Query[Any]) -> Hashable:
        """Return which node answers it: so nobody waits for a node that another asks."""
        return self._routes.node_of(routing_key(query))

    async def apply(self, bundles: Sequence[Bundle]) -> list[list[Outcome] | TallyError]:
        """Apply bundles of one lane in order and in one atomic step; return the outcomes of each one's mutations.

        Bundles that run short of copies while reservations are due are applied after those have been expired, in a
        step of their own.

        In their place stands an error if they are there, but not yet as durable as they must be, or if the store was
        lost after others had been applied.

        :raises TallyError: as Connection.call says, of all bundles.
        """
        durability, due = self._policy.of(bundles[0].namespace), set[str]()
        results: dict[int, list[Outcome] | TallyError] = {}
        waiting = list(range(len(bundles)))
        for final in (*(False,) * (_SCRIPT_TRIES - 1), True):
            try:
                for namespace in due:
                    await self._expire_due(namespace)
                ran = await self._run([bundles[place] for place in waiting], durability, final=final)
            except TallyError as error:
                if not results:
                    raise
                results |= dict.fromkeys(waiting, error)
                break
            if not results and Interrupted not in map(type, ran):  # as nearly always
                return cast("list[list[Outcome] | TallyError]", ran)
            interrupted: dict[int, Interrupted] = {}
            for place, result in zip(waiting, ran, strict=True):
                if isinstance(result, Interrupted):
                    interrupted[place] = result
                else:
                    results[place] = result
            if not interrupted:
                break
            due = {bundles[place].namespace for place, result in interrupted.items() if result.due}
            waiting = list(interrupted)
        unsettled = Failed("its reservation changed each time it was read")
        return [results.get(place) or [unsettled] * len(bundle.mutations) for place, bundle in enumerate(bundles)]

    async def read(self, queries: Sequence[Query[Any]]) -> list[object]:
        """Answer queries in one round trip; in place of an answer, the error of a query that failed.

        Those that need a script that the store does not have are sent once more, with the script.
        """
        readings = [reading_of(query, self._retention) for query in queries]
        groups = [(routing_key(query), reading.commands) for query, reading in zip(queries, readings, strict=True)]
        answers = await self._routes.ask(groups)
        without = [place for place, replies in enumerate(answers) if lacks_script(replies)]
        if without:
            again = await self._routes.ask([with_sources(groups[place]) for place in without])
            for place, replies in zip(without, again, strict=True):
                answers[place] = replies
        return [
            replies if isinstance(replies, TallyError) else answer_of(reading, replies)
            for reading, replies in zip(readings, answers, strict=True)
        ]

    def tail(self, namespace: str) -> LedgerTail:
        """Return the end of a namespace's ledger; it connects when it is read, and is to be closed."""
        return LedgerTail(self._routes, namespace, timeout_seconds=self._timeout_seconds)

    async def sweep(self) -> int:
        """Expire the reservations whose time is up, in all namespaces; return how many that were.

        :raises TallyError: as Connection.call says; some may have been expired.
        """
        (asked,) = await self._routes.ask([(keys.NAMESPACES, [("SMEMBERS", keys.NAMESPACES), ("TIME",)])])
        if isinstance(asked, TallyError):
            raise asked
        members, time_now = answered(asked)
        listed = {name.decode() for name in cast("list[bytes]", members)}
        self._namespaces &= listed  # one that is missing there is added again after its next change
        names = sorted(listed)
        expired = await self._expire_all(names, time_ms_of(time_now))
        if self._counts_open and self._sweeps % _SWEEPS_BETWEEN_COUNTS == 0:
            await self._count_open(names)
        self._sweeps += 1
        return expired

    async def ping(self) -> None:
        """Return if the store serves, the whole of it.

        :raises TallyError: it does not.
        """
        began_at = time.perf_counter()
        await asyncio.gather(*(primary.line.call("PING") for primary in await self._routes.primaries()))
        self._meter.round_trips.observe(time.perf_counter() - began_at)

    async def check(self) -> StoreReport:
        """Ask the store for what the promises rest on, and wait for what it does not keep by itself.

        :raises StoreUnfitError: no counts can be kept in it any more.
        :raises TallyError: it cannot be asked.
        """
        report = await check_store(self._routes, self._policy)
        self.scripts.syncs_by_waiting = report.syncs_by_waiting
        self._meter.promises_broken.read = lambda: len(report.shortcomings)
        return report

    async def close(self) -> None:
        """Close the connections."""
        await self._routes.close()

    async def _run(
        self, bundles: Sequence[Bundle], durability: Durability, *, final: bool
    ) -> list[list[Outcome] | Interrupted | TallyError]:
        """Run bundles in one script call, and note what came of it; return it, or that it is not as durable as asked.

        :raises TallyError: as Connection.call says.
        """
        ran = await self.scripts.run(bundles, durability, final=final)
        self._meter.replays.add(sum([isinstance(each, list) and _is_replay(each[0]) for each in ran.results]))
        if not {bundle.namespace for bundle in bundles} <= self._namespaces:
            changed = zip(bundles, ran.results, strict=True)
            await self._note_namespaces(
                {bundle.namespace for bundle, each in changed if isinstance(each, list) and _has_changed(each)}
            )
        if ran.missing is None:
            return list(ran.results)
        error = NotDurableYetError(durability, ran.missing)
        return [
            error if isinstance(each, list) and (bundle.request_id or _has_changed(each)) else each
            for bundle, each in zip(bundles, ran.results, strict=True)
        ]

    def _line_of(self, namespace: str) -> Line:
        return self._routes.changes(keys.prefix(namespace))

    async def _ask_each(self, namespaces: Sequence[str], command: Callable[[str], Command]) -> list[object]:
        """Send a command for each of some namespaces, and return the reply to each, or why there is none."""
        answers = await self._routes.ask([(keys.prefix(name), [command(name)]) for name in namespaces])
        return [answer if isinstance(answer, TallyError) else answer[0] for answer in answers]

    async def _expire_all(self, namespaces: list[str], now_ms: int) -> int:
        """Expire what is due in many namespaces; return how many reservations that were.

        :raises TallyError: a node was lost; what is on others has been expired.
        """
        expired, lost = 0, dict[Hashable, TallyError]()
        for some in _portions(namespaces):
            found = await self._ask_each(some, lambda name: _due_command(name, now_ms, 1))
            for namespace, due in zip(some, found, strict=True):
                node = self._routes.node_of(keys.prefix(namespace))
                if isinstance(due, TallyError):
                    lost[node] = due
                elif isinstance(due, list) and due and node not in lost:
                    try:
                        expired += await self._expire_due(namespace)
                    except (StoreUnavailableError, OutcomeUnknownError) as error:
                        lost[node] = error
        for first in lost.values():
            raise first
        return expired

    async def _count_open(self, namespaces: list[str]) -> None:
        """Note how many reservations are open in all namespaces together."""
        count = 0
        for some in _portions(namespaces):
            replies = await self._ask_each(some, lambda name: ("ZCARD", keys.due(name)))
            count += sum(reply for reply in replies if isinstance(reply, int))
        self._meter.open_reservations.read = lambda: count

    async def _expire_due(self, namespace: str) -> int:
        """Expire what is due in a namespace now; return how many reservations that were."""
        line = self._line_of(namespace)
        now_ms = time_ms_of(await line.call("TIME"))
        expired, progress = 0, True
        while progress:
            due = cast("list[bytes]", await line.call(*_due_command(namespace, now_ms, _EXPIRED_AT_ONCE_MAX)))
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
            await self._routes.changes(keys.NAMESPACES).call("SADD", keys.NAMESPACES, *sorted(new))
        except TallyError as error:
            log.warning("namespaces not listed yet", error=str(error))
        else:
            self._namespaces |= new


def _has_changed(outcomes: Sequence[Outcome]) -> bool:
    return any(isinstance(outcome, Applied) for outcome in outcomes)


def _is_replay(outcome: Outcome) -> bool:
    return not isinstance(outcome, Failed) and outcome.replayed


def _portions(names: list[str]) -> Iterator[list[str]]:
    return (names[first : first + _SWEPT_AT_ONCE_MAX] for first in range(0, len(names), _SWEPT_AT_ONCE_MAX))


def _due_command(namespace: str, now_ms: int, limit: int) -> Command:
    return ("ZRANGE", keys.due(namespace), "-inf", now_ms, "BYSCORE", "LIMIT", 0, limit)


def _expiry_of(namespace: str, reservation_id: str) -> Bundle:
    name = ReservationName(reservation_id)
    expiry = Mutation(operation="reservation_expire", levels=(name,), resolves=True)
    return Bundle(namespace=namespace, mutations=(expiry,))
