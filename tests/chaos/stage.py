"""The common part of all scenarios: a server, callers, faults one after another, and at the end the judge."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, TypedDict, Unpack

from tallykeeper.v1.ledger_pb2 import Entry
from tests.chaos.history import History
from tests.chaos.judge import Violation, judge
from tests.chaos.report import Outcome
from tests.chaos.workload import Callers
from tests.support.client import Caller, Failure
from tests.support.ledger import entries_of
from tests.support.server import ServerProcess

RECOVERY_SECONDS_MAX: Final = 5.0
_PATIENCE_SECONDS: Final = 30.0
_GIVE_UP_SECONDS: Final = 12.0
_POLL_SECONDS: Final = 0.005
_ROUND_SECONDS: Final = 20.0
LOSSES: Final = frozenset(
    {
        "acknowledged, but not in the ledger",
        "answered with another change",
        "precedes a change that had ended before it began",
        "an answer that was never right",
        "applied under another's request id",
        "refused, but applied",
    }
)
"""The kinds of violation that can follow from the loss of acknowledged changes or recorded refusals. If the record of a
request was lost, a later duplicate, or another request under its id, is the first again."""


class How(TypedDict, total=False):
    """The parameters of `judge` for a round."""

    calm: bool
    dirty: bool
    clock_slack_seconds: float


@dataclass(slots=True)
class Stage:
    """One run of a scenario."""

    outcome: Outcome
    random: Random
    directory: Path
    seconds: float
    """The time in seconds for which faults are injected."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The environment variables of its servers, in addition to this process's."""
    history: History = field(init=False)
    callers: Callers = field(init=False)
    _rounds: int = 0
    _ends_at: float = 0.0

    @asynccontextmanager
    async def server(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> AsyncIterator[ServerProcess]:
        """Run a server with short limits in time for its store."""
        quick = ("--store-timeout-seconds", "1", "--store-check-seconds", "0.1", "--log-level", "debug")
        surroundings = {**os.environ, **self.environment, **(environment or {})}
        server = ServerProcess(*quick, *arguments, workers=2, environment=surroundings)
        try:
            yield await asyncio.to_thread(server.__enter__)
        finally:
            await asyncio.to_thread(server.stop)

    def fault(self, name: str, count: int = 1) -> None:
        """Record a fault."""
        self.outcome.faults[name] += count

    @property
    def goes_on(self) -> bool:
        """True if there is time for another fault in this round."""
        return time.monotonic() < self._ends_at

    async def rounds(self) -> AsyncIterator[None]:
        """Yield once for each round, until the time is up. Each round is judged before the next one begins."""
        began_at = time.monotonic()
        while (left := began_at + self.seconds - time.monotonic()) > 0:
            self._ends_at = time.monotonic() + min(left, _ROUND_SECONDS)
            yield
        self.outcome.seconds += time.monotonic() - began_at

    @asynccontextmanager
    async def round(self, target: str, *, may_lose: bool = False, **how: Unpack[How]) -> AsyncIterator[None]:
        """Run callers in a new namespace during the block, and judge the namespace at the end.

        ``may_lose``: changes that were acknowledged and lost are counted, and are no violations.
        """
        self._rounds += 1
        seed = self.random.getrandbits(32)
        self.history = History(f"round-{self._rounds}-{seed:x}")
        self.callers = callers = Callers(target, self.history, seed)
        try:
            yield
        finally:
            await callers.stop()
        try:
            entries, differences = await asyncio.to_thread(_read_back, target, self.history.namespace)
        except Failure as failure:
            self.outcome.violations.append(Violation("the ledger cannot be read", str(failure)))
            return
        verdict = await asyncio.to_thread(judge, self.history, entries, **how)
        verdict.violations += [Violation("the ledger and the levels differ", text) for text in differences]
        if may_lose:
            self.outcome.lost += sum(violation.kind in LOSSES for violation in verdict.violations)
            verdict.violations = [each for each in verdict.violations if each.kind not in LOSSES]
        self.outcome.note(verdict)
        self.outcome.calls += self.history.calls

    async def pause(self, shortest: float, longest: float) -> None:
        """Let callers go on for a while between two faults."""
        await asyncio.sleep(self.random.uniform(shortest, longest))

    async def healed(self) -> None:
        """Record the time until a change is acknowledged again."""
        healed_at = time.monotonic()
        while self.history.last_applied_at < healed_at:
            await asyncio.sleep(_POLL_SECONDS)
            if time.monotonic() > healed_at + _GIVE_UP_SECONDS:
                break
        recovery = time.monotonic() - healed_at
        self.outcome.recoveries.append(round(recovery, 3))
        if recovery > RECOVERY_SECONDS_MAX:
            self.outcome.violations.append(Violation("no service after a heal", f"{recovery:.1f} s"))


def _read_back(target: str, namespace: str) -> tuple[Sequence[Entry], list[str]]:
    """Return the whole ledger of a namespace, and its differences from the levels."""
    call = Caller(target)
    try:
        entries = entries_of(call, namespace)
        report = call.verify(namespace, timeout=_PATIENCE_SECONDS)
        return entries, [f"{difference}" for difference in report.differences]
    finally:
        call.close()
