"""Script calls: what they need is read first, what they must wait for is waited for, and what they tell is noted."""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Final, cast

import structlog

import tallykeeper_lua
from tallykeeper_server.domain.durability import Durability, DurabilityPolicy
from tallykeeper_server.domain.errors import DefectError
from tallykeeper_server.domain.levels import Reservation, ReservationName
from tallykeeper_server.domain.mutations import Applied, Bundle, Outcome
from tallykeeper_server.domain.retention import Retention
from tallykeeper_server.metrics.meters import StoreMeter
from tallykeeper_server.store import keys
from tallykeeper_server.store.batch import Interrupted, outcomes_of, script_call
from tallykeeper_server.store.connection import Argument, Command, Reply, ScriptUnknownError, answered
from tallykeeper_server.store.holds import declare_holds, reservations_to_read
from tallykeeper_server.store.level_text import decode_level
from tallykeeper_server.store.revisions import SeenRevisions
from tallykeeper_server.store.routes import Line
from tallykeeper_server.store.waiting import shortfall, waiting_command

_CLOCK_TRIES: Final = 3

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of the bundles of one script call."""

    results: Sequence[list[Outcome] | Interrupted]
    missing: str | None
    """What the call's changes lack to be as durable as was asked, in words; None if they lack nothing."""


class ScriptCalls:
    """Runs bundles in the store, each time in one atomic step."""

    def __init__(
        self,
        line_of: Callable[[str], Line],
        retention: Retention,
        policy: DurabilityPolicy,
        *,
        meter: StoreMeter,
        wall_clock: Callable[[], float],
    ) -> None:
        """``line_of`` gives the line to a namespace for changes; ``wall_clock`` gives seconds since 1970."""
        self._line_of = line_of
        self._retention = retention
        self._policy = policy
        self._meter = meter
        self._wall_clock = wall_clock
        self._clock_offset_ms = 0
        self._source = tallykeeper_lua.source()
        self._sha = sha1(self._source.encode(), usedforsecurity=False).hexdigest()
        self._seen = SeenRevisions()
        self.syncs_by_waiting = True
        """The store does not sync each write before it answers, but can be waited for: so until a check says more."""
        self.on_revisions_lost: Callable[[str], None] = lambda _: None
        """Called with a namespace whose revisions went backwards."""

    async def run(self, bundles: Sequence[Bundle], durability: Durability, *, final: bool = True) -> Ran:
        """Run bundles of one place in one script call, having read what the reservations hold that they resolve.

        ``final``: reservations whose time is up count as held.

        :raises TallyError: as Connection.call says; any bundle may have been applied.
        """
        if not bundles:
            return Ran((), None)
        seen_before = self._seen.of({bundle.namespace for bundle in bundles})
        line = self._line_of(bundles[0].namespace)
        declared = await _declare_holds(bundles, line)
        wait = waiting_command(durability, self._policy, syncs_by_waiting=self.syncs_by_waiting)
        replies, waited = await self._replies_to(declared, wait, line, final=final)
        results = [outcomes_of(bundle, cast("bytes", reply)) for bundle, reply in zip(declared, replies, strict=True)]
        self._note_revisions(bundles, results, seen_before)
        return Ran(results, None if wait is None else shortfall(waited, self._policy))

    async def _replies_to(
        self, bundles: Sequence[Bundle], wait: Command | None, line: Line, *, final: bool
    ) -> tuple[list[Reply], Reply]:
        """Run the script, again if this machine's clock is so wrong that it declared the wrong buckets.

        Return its reply to each bundle, and the reply to the command that waits.
        """
        for _ in range(_CLOCK_TRIES):
            now_ms = int(self._wall_clock() * 1000) + self._clock_offset_ms
            script_keys, arguments = script_call(
                bundles, now_ms=now_ms, retention=self._retention, final=final, touches=wait is not None
            )
            began_at = time.perf_counter()
            (redis_time, *replies), waited = await self._call((len(script_keys), *script_keys, *arguments), wait, line)
            self._meter.scripts.observe(time.perf_counter() - began_at)
            if replies:
                self._meter.script_mutations.observe(sum(len(bundle.mutations) for bundle in bundles))
                return replies, waited
            self._clock_offset_ms += int(cast("bytes", redis_time)) - now_ms
            log.warning("clock differs from the store's", offset_ms=self._clock_offset_ms)
        message = "the script never found its request buckets among the declared keys"
        raise DefectError(message)

    async def _call(self, tail: tuple[Argument, ...], wait: Command | None, line: Line) -> tuple[list[Reply], Reply]:
        """Call the script, and wait on the same connection if there is something to wait for."""
        rest = () if wait is None else (wait,)
        try:
            reply, *waited = answered(await line.pipeline([("EVALSHA", self._sha, *tail), *rest]))
        except ScriptUnknownError:
            reply, *waited = answered(await line.pipeline([("EVAL", self._source, *tail), *rest]))
        return cast("list[Reply]", reply), waited[0] if waited else None

    def _note_revisions(
        self, bundles: Sequence[Bundle], results: Sequence[list[Outcome] | Interrupted], seen_before: dict[str, int]
    ) -> None:
        """Note how far the namespaces have come, and tell of those whose revisions went backwards."""
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


def _first_revision(outcomes: Iterable[Outcome]) -> int:
    """Return the revision that the first of a bundle's mutations made that was applied; 0 if none was, or before."""
    for outcome in outcomes:
        if isinstance(outcome, Applied):
            return 0 if outcome.replayed else outcome.revision
    return 0


async def _declare_holds(bundles: Sequence[Bundle], line: Line) -> Sequence[Bundle]:
    names = reservations_to_read(bundles)
    if not names:
        return bundles
    texts = await line.call("MGET", *(keys.level(namespace, name) for namespace, name in names))
    held: dict[tuple[str, ReservationName], Reservation] = {}
    for (namespace, name), text in zip(names, cast("list[bytes | None]", texts), strict=True):
        # One that someone else has written cannot be read: the script says so of its own mutation alone.
        with contextlib.suppress(ValueError):
            if text is not None:
                held[namespace, name] = cast("Reservation", decode_level(name, text.decode()))
    return declare_holds(bundles, held)
