"""The store on one Redis or Valkey: applies batches with the script and answers queries by pipeline."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha1
from typing import Any, Final, cast

import structlog

import tallykeeper_lua
from tallykeeper_server.domain.errors import DefectError, TallyError
from tallykeeper_server.domain.levels import Reservation, ReservationName
from tallykeeper_server.domain.mutations import Applied, Bundle, Failed, Mutation, Outcome
from tallykeeper_server.domain.queries import Query
from tallykeeper_server.domain.retention import Retention
from tallykeeper_server.metrics.meters import StoreMeter
from tallykeeper_server.metrics.registry import Metrics
from tallykeeper_server.store import keys
from tallykeeper_server.store.batch import Interrupted, outcomes_of, script_call
from tallykeeper_server.store.connection import Argument, Connection, Connections, Reply, ScriptUnknownError
from tallykeeper_server.store.holds import declare_holds, reservations_to_read
from tallykeeper_server.store.level_text import decode_level
from tallykeeper_server.store.reading import answer_of, reading_of, time_ms_of
from tallykeeper_server.store.tail import LedgerTail

_NAMESPACES_REMEMBERED_MAX: Final = 100_000
_CLOCK_TRIES: Final = 3
_SCRIPTS_AT_ONCE: Final = 2
"""As many as the engine has under way."""
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
        wall_clock: Callable[[], float] = time.time,
        meter: StoreMeter | None = None,
    ) -> None:
        """``timeout_seconds`` bounds each round trip; ``wall_clock`` gives seconds since 1970.

        Open reservations are counted only if there is a ``meter`` to note them.

        :raises ValueError: the URL is not one.
        """
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._changes = Connections(url, count=_SCRIPTS_AT_ONCE, timeout_seconds=timeout_seconds)
        self._reads = Connection(url, timeout_seconds=timeout_seconds)
        self._retention = retention
        self._wall_clock = wall_clock
        self._clock_offset_ms = 0
        self._source = tallykeeper_lua.source()
        self._sha = sha1(self._source.encode(), usedforsecurity=False).hexdigest()
        self._namespaces: set[str] = set()
        self._meter = meter or StoreMeter(Metrics())
        self._counts_open = meter is not None
        self._sweeps = 0

    async def apply(self, bundles: Sequence[Bundle]) -> list[list[Outcome]]:
        """Apply bundles in order and in one atomic step; return the outcomes of each one's mutations.

        Bundles that run short of copies while reservations are due are applied after those have been expired, in a
        step of their own.

        :raises TallyError: as Connection.call says; any bundle may have been applied.
        """
        outcomes: dict[int, list[Outcome]] = {}
        waiting = list(range(len(bundles)))
        for final_after in range(_SCRIPT_TRIES - 1, -1, -1):
            results = await self._run([bundles[place] for place in waiting], final=final_after == 0)
            interrupted: dict[int, Interrupted] = {}
            for place, result in zip(waiting, results, strict=True):
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
        return [outcomes[place] for place in range(len(bundles))]

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
            results = await self._run([_expiry_of(namespace, reservation_id.decode()) for reservation_id in due])
            count = sum(isinstance(result, list) and isinstance(result[0], Applied) for result in results)
            expired += count
            self._meter.expired.add(count)
            progress = count > 0
        return expired

    async def _run(self, bundles: Sequence[Bundle], *, final: bool = True) -> list[list[Outcome] | Interrupted]:
        """Run bundles in one script call, having read what the reservations hold that they resolve."""
        if not bundles:
            return []
        declared = await self._declare_holds(bundles)
        replies = await self._replies_to(declared, final=final)
        return [outcomes_of(bundle, cast("bytes", reply)) for bundle, reply in zip(declared, replies, strict=True)]

    async def _declare_holds(self, bundles: Sequence[Bundle]) -> Sequence[Bundle]:
        names = reservations_to_read(bundles)
        if not names:
            return bundles
        texts = await self._changes.call("MGET", *(keys.level(namespace, name) for namespace, name in names))
        held: dict[tuple[str, ReservationName], Reservation] = {}
        for (namespace, name), text in zip(names, cast("list[bytes | None]", texts), strict=True):
            # One that someone else has written cannot be read: the script says so of its own mutation alone.
            with contextlib.suppress(ValueError):
                if text is not None:
                    held[namespace, name] = cast("Reservation", decode_level(name, text.decode()))
        return declare_holds(bundles, held)

    async def _replies_to(self, bundles: Sequence[Bundle], *, final: bool) -> list[Reply]:
        """Run the script, again if this machine's clock is so wrong that it declared the wrong buckets."""
        for _ in range(_CLOCK_TRIES):
            now_ms = int(self._wall_clock() * 1000) + self._clock_offset_ms
            script_keys, arguments = script_call(bundles, now_ms=now_ms, retention=self._retention, final=final)
            began_at = time.perf_counter()
            redis_time, *replies = await self._run_script(script_keys, arguments)
            self._meter.scripts.observe(time.perf_counter() - began_at)
            if replies:
                self._meter.script_mutations.observe(sum(len(bundle.mutations) for bundle in bundles))
                return replies
            self._clock_offset_ms += int(cast("bytes", redis_time)) - now_ms
            log.warning("clock differs from the store's", offset_ms=self._clock_offset_ms)
        message = "the script never found its request buckets among the declared keys"
        raise DefectError(message)

    async def _run_script(self, script_keys: list[Argument], arguments: list[Argument]) -> list[Reply]:
        tail = (len(script_keys), *script_keys, *arguments)
        try:
            reply = await self._changes.call("EVALSHA", self._sha, *tail)
        except ScriptUnknownError:
            reply = await self._changes.call("EVAL", self._source, *tail)
        return cast("list[Reply]", reply)

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
