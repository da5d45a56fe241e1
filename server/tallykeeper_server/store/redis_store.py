"""The store on Redis or Valkey: applies batches with the script and answers queries by pipeline."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final, cast

from tallykeeper_server.domain.durability import Durability, DurabilityPolicy, Retention
from tallykeeper_server.domain.errors import (
    NotDurableYetError,
    TallyError,
)
from tallykeeper_server.domain.mutations import Applied, Bundle, Failed, Outcome
from tallykeeper_server.domain.queries import ListNamespaces, Query
from tallykeeper_server.domain.server_status import StoreStatus
from tallykeeper_server.metrics.meters import StoreMeter
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.store import keys
from tallykeeper_server.store.agreed_clock import AgreedClock, steady_seconds
from tallykeeper_server.store.ledger_tail import LedgerTail
from tallykeeper_server.store.nodes.open_routes import open_routes
from tallykeeper_server.store.nodes.routes import ChannelLimits, Group, GroupReplies
from tallykeeper_server.store.promises import StoreReport, check_store
from tallykeeper_server.store.queries import OverNow, answer_of, planned_read_of, routing_key
from tallykeeper_server.store.read_scripts import lacks_script, with_sources
from tallykeeper_server.store.script_calls import ScriptCalls
from tallykeeper_server.store.script_codec import MustRetry
from tallykeeper_server.store.shared_key_reader import SharedKeyReader
from tallykeeper_server.store.store_status import read_store_status, store_away
from tallykeeper_server.store.sweeper import Sweeper

_LANES_REMEMBERED_MAX: Final = 10_000
_SCRIPTS_AT_ONCE: Final = 4
"""The scripts that a lane of the engine has under way at once, for each level of durability."""
_SCRIPT_TRIES: Final = 5
"""The maximum number of runs of a bundle that must wait. In the last run, holds whose time is up count as held."""
_SWEEPS_BETWEEN_COUNTS: Final = 10
"""The sweeps after which the open reservations are counted again."""


class RedisStore:
    """Keeps counts in a store: on one node, on the primary that the sentinels name, or on the nodes of a cluster."""

    script_calls_class: ClassVar[type[ScriptCalls]] = ScriptCalls
    """The class of its script calls. A store that records spans has a different class."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        retention: Retention,
        policy: DurabilityPolicy | None = None,
        wall_clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = steady_seconds,
        meter: StoreMeter | None = None,
    ) -> None:
        """Take ``timeout_seconds``, which bounds each round trip without the waits of the ``policy``.

        ``wall_clock`` gives seconds since 1970, ``steady_clock`` seconds that only grow. Open reservations are counted
        only if there is a ``meter``.

        :raises ValueError: the URL cannot be used.
        """
        self._timeout_seconds = timeout_seconds
        self._policy = policy = policy or DurabilityPolicy()
        count, wait_seconds = _SCRIPTS_AT_ONCE * len(policy.levels), policy.wait_ms / 1_000
        limits = ChannelLimits(changes=count, timeout_seconds=timeout_seconds, wait_seconds=wait_seconds)
        self._routes = open_routes(url, limits)
        self._retention = retention
        self._meter = meter or StoreMeter(Metrics())
        self._clock = AgreedClock(wall_clock, steady_clock)
        self.scripts = self.script_calls_class(self._routes, retention, policy, meter=self._meter, clock=self._clock)
        self._shared_keys = SharedKeyReader(self._routes, self._clock)
        self._sweeper = Sweeper(self._routes, self._shared_keys, self.scripts, self._clock, self._meter)
        self._lane_of_namespace = lru_cache(_LANES_REMEMBERED_MAX)(
            lambda name: (policy.of(name).value, self._routes.slot_of(keys.prefix(name)))
        )
        self._counts_open = meter is not None
        self._sweeps = 0

    def lane_of(self, bundle: Bundle) -> Hashable:
        """Return the slot of a bundle's namespace, and its level of durability, so that no level waits for another."""
        return self._lane_of_namespace(bundle.namespace)

    def query_lane_of(self, query: Query[Any]) -> Hashable:
        """Return the node that answers a query, so that no query waits for another node."""
        return self._routes.node_of(routing_key(query))

    async def apply(self, bundles: Sequence[Bundle]) -> list[list[Outcome] | TallyError]:
        """Apply bundles of one lane in order and in one atomic step. Return the outcomes of each bundle's mutations.

        Bundles that lack copies while reservations are due are applied in another step, after those reservations have
        been expired.

        An error stands in place of outcomes if the changes are made but not yet as durable as they must be, or if the
        store was lost after other bundles had been applied.

        :raises TallyError: all bundles failed, as Connection.call says.
        """
        durability, due = self._policy.of(bundles[0].namespace), set[str]()
        results: dict[int, list[Outcome] | TallyError] = {}
        waiting = list(range(len(bundles)))
        for final in (*(False,) * (_SCRIPT_TRIES - 1), True):
            try:
                for namespace in due:
                    await self._sweeper.expire_reservations(namespace)
                ran = await self._run([bundles[index] for index in waiting], durability, final=final)
            except TallyError as error:
                if not results:
                    raise
                results |= dict.fromkeys(waiting, error)
                break
            if not results and MustRetry not in map(type, ran):  # as nearly always
                return cast("list[list[Outcome] | TallyError]", ran)
            again: dict[int, MustRetry] = {}
            for index, result in zip(waiting, ran, strict=True):
                if isinstance(result, MustRetry):
                    again[index] = result
                else:
                    results[index] = result
            if not again:
                break
            due = {bundles[index].namespace for index, result in again.items() if result.due}
            waiting = list(again)
        unsettled = Failed("its reservation changed each time it was read")
        return [results.get(index) or [unsettled] * len(bundle.mutations) for index, bundle in enumerate(bundles)]

    async def read(self, queries: Sequence[Query[Any]]) -> list[object]:
        """Answer queries in one round trip. The error of a query that failed stands in place of its answer."""
        answers = await self._read(queries)
        over = {answer.namespace for answer in answers if isinstance(answer, OverNow)}
        if not over:
            return answers
        # If an answer has shown the end of a level, every later answer must show it too, even if a clock goes back.
        with contextlib.suppress(TallyError):
            for namespace in over:
                await self._sweeper.tidy(namespace)
        again = [index for index, answer in enumerate(answers) if isinstance(answer, OverNow)]
        for index, answer in zip(again, await self._read([queries[index] for index in again]), strict=True):
            answers[index] = answer.answer if isinstance(answer, OverNow) else answer
        return answers

    async def _read(self, queries: Sequence[Query[Any]]) -> list[object]:
        """Answer queries in one round trip; an answer may be an OverNow."""
        listings = [query for query in queries if isinstance(query, ListNamespaces)]
        namespaces = await self._namespaces() if listings else None
        planned = {
            index: planned_read_of(query, self._clock)
            for index, query in enumerate(queries)
            if not isinstance(query, ListNamespaces)
        }
        groups = [(routing_key(queries[index]), read.commands) for index, read in planned.items()]
        answers: list[object] = [namespaces] * len(queries)
        for (index, read), replies in zip(planned.items(), await self._ask(groups), strict=True):
            answers[index] = replies if isinstance(replies, TallyError) else answer_of(read, replies)
        return answers

    async def _ask(self, groups: Sequence[Group]) -> list[GroupReplies]:
        """Ask the nodes. Send groups whose script the store does not have once more, with the script."""
        answers = await self._routes.ask(groups)
        without = [index for index, replies in enumerate(answers) if lacks_script(replies)]
        if without:
            again = await self._routes.ask([with_sources(groups[index]) for index in without])
            for index, replies in zip(without, again, strict=True):
                answers[index] = replies
        return answers

    async def _namespaces(self) -> Sequence[str] | TallyError:
        try:
            return await self._shared_keys.namespaces()
        except TallyError as error:
            return error

    def tail(self, namespace: str) -> LedgerTail:
        """Return the end of a namespace's ledger. It connects when it is read, and the caller must close it."""
        return LedgerTail(self._routes, namespace, timeout_seconds=self._timeout_seconds)

    async def sweep(self) -> int:
        """Expire and forget what is due in all namespaces. Return the number of reservations that were expired.

        :raises TallyError: a node was lost; what is due on other nodes has been done.
        """
        expired = await self._sweeper.sweep()
        if self._counts_open and self._sweeps % _SWEEPS_BETWEEN_COUNTS == 0:
            count = await self._shared_keys.open_reservations()
            self._meter.open_reservations.read = lambda: count
        self._sweeps += 1
        return expired

    async def ping(self) -> None:
        """Return if every primary of the store answers.

        :raises TallyError: one does not.
        """
        began_at = time.perf_counter()
        await asyncio.gather(*(primary.channel.call("PING") for primary in await self._routes.primaries()))
        self._meter.round_trips.observe(time.perf_counter() - began_at)

    async def check(self) -> StoreReport:
        """Check the promises of durability, and from now on wait for the syncs that the store does not make by itself.

        :raises StoreUnfitError: the store cannot keep counts any more.
        :raises TallyError: the store cannot be asked.
        """
        report = await check_store(self._routes, self._policy)
        self.scripts.syncs_by_waiting = report.syncs_by_waiting
        self._meter.promises_broken.read = lambda: len(report.shortcomings)
        return report

    async def status(self, *, seconds: float) -> StoreStatus:
        """Return the state of the store, which has at most a number of ``seconds`` to answer. It never fails."""
        try:
            async with asyncio.timeout(seconds):
                return await read_store_status(self._routes, self._policy, self._shared_keys)
        except TimeoutError:
            return store_away(self._policy, f"the store has not answered within {seconds:.3g} s")

    async def close(self) -> None:
        """Close the connections."""
        await self._routes.close()

    async def _run(
        self, bundles: Sequence[Bundle], durability: Durability, *, final: bool
    ) -> list[list[Outcome] | MustRetry | TallyError]:
        """Run bundles in one script call. Return their outcomes, or errors if the changes are not as durable as asked.

        :raises TallyError: the call failed, as Connection.call says.
        """
        ran = await self.scripts.run(bundles, durability, final=final)
        self._meter.replays.add(sum([isinstance(each, list) and _is_replay(each[0]) for each in ran.results]))
        if ran.missing is None:
            return list(ran.results)
        missing = ran.missing
        return [
            NotDurableYetError(durability, missing, is_safe_to_repeat=bool(bundle.request_id))
            if isinstance(each, list) and (bundle.request_id or _has_changed(each))
            else each
            for bundle, each in zip(bundles, ran.results, strict=True)
        ]


def _has_changed(outcomes: Sequence[Outcome]) -> bool:
    return any(isinstance(outcome, Applied) for outcome in outcomes)


def _is_replay(outcome: Outcome) -> bool:
    return not isinstance(outcome, Failed) and outcome.replayed
