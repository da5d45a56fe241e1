"""Script calls: reads what a call needs, runs the script, waits for durability, and notes what the reply says."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha1
from typing import Final, cast

import structlog
from hiredis import ReplyError

import tallykeeper_lua
from tallykeeper_server.domain.durability import Durability, DurabilityPolicy, Retention
from tallykeeper_server.domain.levels import LevelName, Reservation, ReservationName
from tallykeeper_server.domain.mutations import Applied, Bundle, Mutation, Outcome
from tallykeeper_server.metrics.meters import StoreMeter
from tallykeeper_server.store import keys
from tallykeeper_server.store.agreed_clock import AgreedClock, time_ms_of
from tallykeeper_server.store.nodes.commands import Argument, Command, Reply, ScriptUnknownError, answered
from tallykeeper_server.store.nodes.routes import CommandChannel, Routes
from tallykeeper_server.store.script_codec import CallTerms, MustRetry, outcomes_of, script_call, tidy_call
from tallykeeper_server.store.stored_text import decode_level

_NAMESPACES_MAX: Final = 100_000
"""The namespaces whose revisions this process remembers."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """The result of one script call, for each of its bundles."""

    results: Sequence[list[Outcome] | MustRetry]
    missing: str | None
    """The reason why the call's changes are not as durable as was asked, in words; None if they are."""


class ScriptCalls:
    """Runs bundles in the store, each time in one atomic step."""

    def __init__(
        self, routes: Routes, retention: Retention, policy: DurabilityPolicy, *, meter: StoreMeter, clock: AgreedClock
    ) -> None:
        """Take ``routes`` to the namespaces, and ``clock``, the time of this process."""
        self._routes = routes
        self._retention = retention
        self._policy = policy
        self._meter = meter
        self._clock = clock
        self._source = tallykeeper_lua.source()
        self._sha = sha1(self._source.encode(), usedforsecurity=False).hexdigest()
        self._seen = _SeenRevisions()
        self.syncs_by_waiting = True
        """Whether the store must be asked for the sync of each change. It is assumed until the store has been checked.
        """
        self.on_revisions_lost: Callable[[str], None] = lambda _: None
        """Callback for a namespace whose revisions went backwards."""

    async def run(self, bundles: Sequence[Bundle], durability: Durability, *, final: bool = True) -> ScriptResult:
        """Run bundles of one slot in one script call. Read first what the reservations hold that they resolve.

        If ``final``, reservations whose time is up count as held.

        :raises TallyError: the call failed, as Connection.call says; any bundle may have been applied.
        """
        if not bundles:
            return ScriptResult((), None)
        seen_before = self._seen.of({bundle.namespace for bundle in bundles})
        channel = self._routes.changes(keys.prefix(bundles[0].namespace))
        declared = await _declare_holds(bundles, channel)
        wait = _waiting_command(durability, self._policy, syncs_by_waiting=self.syncs_by_waiting)
        namespaces = list(dict.fromkeys(bundle.namespace for bundle in bundles))
        terms = replace(await self._terms(namespaces, channel), final=final, touches=wait is not None)
        began_at = time.perf_counter()
        (times, *replies), waited = await self._call(script_call(declared, terms), wait, channel)
        self._meter.scripts.observe(time.perf_counter() - began_at)
        self._meter.script_mutations.observe(sum(len(bundle.mutations) for bundle in bundles))
        self._see_times(times, namespaces)
        results = [outcomes_of(bundle, cast("bytes", reply)) for bundle, reply in zip(declared, replies, strict=True)]
        self._note_revisions(bundles, results, seen_before)
        return ScriptResult(results, None if wait is None else _shortfall(waited, self._policy))

    async def tidy(self, namespace: str, names: Sequence[LevelName]) -> None:
        """Forget levels and request records of a namespace whose time is up, and renew its entry in the agenda.

        :raises TallyError: the call failed, as Connection.call says.
        """
        channel = self._routes.changes(keys.prefix(namespace))
        terms = await self._terms([namespace], channel)
        (times,), _ = await self._call(tidy_call(namespace, names, terms), None, channel)
        self._see_times(times, [namespace])

    async def _terms(self, namespaces: Sequence[str], channel: CommandChannel) -> CallTerms:
        """Return the terms of a call. Ask for the store's clock first if this process does not know it yet."""
        if not self._clock.has_begun:
            self._clock.see_store(time_ms_of(await channel.call("TIME")))
        home = self._routes.home_of(keys.prefix(namespaces[0]))
        return CallTerms(home=home, times=self._clock.times(namespaces), retention=self._retention)

    def _see_times(self, times: Reply, namespaces: Sequence[str]) -> None:
        """Take the store's time, the generations and their ages, and the times of namespaces that are ahead."""
        store_ms, *others = map(int, cast("bytes", times).split())
        self._clock.see_store(store_ms)
        ahead = others[2 * len(namespaces) :]
        self._clock.see_generations(namespaces, others)
        for number, time_ms in zip(ahead[::2], ahead[1::2], strict=True):
            self._clock.see_namespace(namespaces[number - 1], time_ms)

    async def _call(
        self, call: tuple[list[Argument], list[Argument]], wait: Command | None, channel: CommandChannel
    ) -> tuple[list[Reply], Reply]:
        """Call the script, and wait on the same connection if there is a command that waits."""
        script_keys, arguments = call
        tail = (len(script_keys), *script_keys, *arguments)
        rest = () if wait is None else (wait,)
        try:
            reply, *waited = answered(await channel.pipeline([("EVALSHA", self._sha, *tail), *rest]))
        except ScriptUnknownError:
            reply, *waited = answered(await channel.pipeline([("EVAL", self._source, *tail), *rest]))
        return cast("list[Reply]", reply), waited[0] if waited else None

    def _note_revisions(
        self, bundles: Sequence[Bundle], results: Sequence[list[Outcome] | MustRetry], seen_before: dict[str, int]
    ) -> None:
        """Note the last revisions of the namespaces, and report those whose revisions went backwards."""
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for bundle, outcomes in zip(bundles, results, strict=True):
            if isinstance(outcomes, list) and (revision := _first_revision(outcomes)):
                first.setdefault(bundle.namespace, revision)
                last[bundle.namespace] = _first_revision(reversed(outcomes))
        for namespace in self._seen.note(first, last, seen_before):
            log.error(
                "the store lost acknowledged changes: revisions are given once more",
                namespace=namespace,
                seen=seen_before[namespace],
                given_again=first[namespace],
            )
            self._meter.revisions_lost.add()
            self.on_revisions_lost(namespace)


class _SeenRevisions:
    """The last revision seen of each namespace.

    A store that lost writes, as after a failover or a restore, gives revisions again that it gave before. Calls
    overlap, so a change's revision is compared with the last one seen when the call was sent, and not when it was
    answered.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def of(self, namespaces: Iterable[str]) -> dict[str, int]:
        """Return the last revision seen of each of these namespaces, 0 if none was."""
        return {namespace: self._last.get(namespace, 0) for namespace in namespaces}

    def note(self, first: Mapping[str, int], last: Mapping[str, int], seen_before: Mapping[str, int]) -> list[str]:
        """Note the first and the last new revision of a call in each namespace. Return those that went back."""
        back = [namespace for namespace, revision in first.items() if revision <= seen_before[namespace]]
        if len(self._last) + len(last) > _NAMESPACES_MAX:
            self._last.clear()
        for namespace, revision in last.items():
            if namespace in back or revision > self._last.get(namespace, 0):
                self._last[namespace] = revision
        return back


def _first_revision(outcomes: Iterable[Outcome]) -> int:
    """Return the revision of the bundle's first applied mutation; 0 if none was applied, or was applied before."""
    for outcome in outcomes:
        if isinstance(outcome, Applied):
            return 0 if outcome.replayed else outcome.revision
    return 0


async def _declare_holds(bundles: Sequence[Bundle], channel: CommandChannel) -> Sequence[Bundle]:
    names = _reservations_to_read(bundles)
    if not names:
        return bundles
    texts = await channel.call("MGET", *(keys.level(namespace, name) for namespace, name in names))
    held: dict[tuple[str, ReservationName], Reservation] = {}
    for (namespace, name), text in zip(names, cast("list[bytes | None]", texts), strict=True):
        # A reservation that someone else has written cannot be read. The script reports it for its own mutation alone.
        with contextlib.suppress(ValueError):
            if text is not None:
                held[namespace, name] = cast("Reservation", decode_level(name, text.decode()))
    return _with_held_levels(bundles, held)


def _reservations_to_read(bundles: Sequence[Bundle]) -> list[tuple[str, ReservationName]]:
    """Return the reservations that the bundles resolve, with their namespaces, each once."""
    names = {
        (bundle.namespace, cast("ReservationName", mutation.levels[0])): None
        for bundle in bundles
        for mutation in bundle.mutations
        if mutation.resolves
    }
    return list(names)


def _with_held_levels(
    bundles: Sequence[Bundle], held: Mapping[tuple[str, ReservationName], Reservation]
) -> list[Bundle]:
    """Return the bundles with the levels of each reservation that they resolve.

    These are the levels that the reservation held when it was read, and those that an earlier mutation of the bundles
    holds which may make it.
    """
    lines: dict[tuple[str, LevelName], list[LevelName]] = {
        key: [line.name for line in reservation.lines] for key, reservation in held.items()
    }
    declared = []
    for bundle in bundles:
        mutations = []
        for mutation in bundle.mutations:
            key = (bundle.namespace, mutation.levels[0])
            if mutation.resolves:
                mutations.append(_with_levels(mutation, lines.get(key, [])))
            else:
                mutations.append(mutation)
                if isinstance(mutation.levels[0], ReservationName):
                    lines.setdefault(key, []).extend(mutation.levels[1:])
        declared.append(bundle._replace(mutations=tuple(mutations)))
    return declared


def _with_levels(mutation: Mutation, more: Sequence[LevelName]) -> Mutation:
    return mutation._replace(levels=tuple(dict.fromkeys((*mutation.levels, *more))))


def _waiting_command(durability: Durability, policy: DurabilityPolicy, *, syncs_by_waiting: bool) -> Command | None:
    """Return the command that waits after a script call; None if nothing must be waited for.

    ``syncs_by_waiting``: the store does not sync each write before it answers, but can be asked for it (WAITAOF).
    """
    if durability is Durability.REPLICATED:
        return "WAIT", policy.replicas_min, policy.wait_ms
    if durability is Durability.FSYNC and syncs_by_waiting:
        return "WAITAOF", 1, 0, policy.wait_ms
    return None


def _shortfall(reply: Reply, policy: DurabilityPolicy) -> str | None:
    """Return the missing part of the durability after the wait, in words; None if nothing is missing."""
    if isinstance(reply, ReplyError):
        return f"the store says {reply}"
    if isinstance(reply, list):  # of WAITAOF: 1 if the primary has synced it, and the replicas that have
        return None if cast("int", reply[0]) >= 1 else f"the primary has not synced it within {policy.wait_ms} ms"
    replicas = cast("int", reply)
    if replicas >= policy.replicas_min:
        return None
    return f"{replicas} of {policy.replicas_min} replicas have it after {policy.wait_ms} ms"
