"""What callers asked for and what they were told: every attempt, with the times at which it began and ended."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from tests.support.client import Failure

NOTHING_HAPPENED: Final = frozenset({"STORE_UNAVAILABLE", "OVERLOADED", "STORE_OUT_OF_MEMORY"})
"""With these the server says that the attempt changed nothing."""
NOT_KNOWN: Final = frozenset({"OUTCOME_UNKNOWN", "NOT_DURABLE_YET", "DEADLINE_EXCEEDED", "SHUTTING_DOWN", ""})
"""With these, or without a reason of the server's, it may have changed something, or will not last."""


class Told(Enum):
    """What a caller was told of an attempt."""

    APPLIED = "applied"
    REFUSED = "refused"
    NOTHING = "nothing happened"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call, from before it was sent until its answer was there, in seconds of the harness's own clock."""

    began_at: float
    ended_at: float
    told: Told
    answer: Any = None
    """The response, or the failure."""
    patient: bool = True
    """The caller waited as long as it takes where nothing is wrong."""


@dataclass(slots=True)
class Wish:
    """A change that a caller wants, however often it sends it: all attempts are the same request."""

    number: int
    request: Any
    theft: bool = False
    """Its request id was that of another wish, which had been answered before."""
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def reference(self) -> str:
        """What is in the ledger with it."""
        return f"wish-{self.number}"

    @property
    def began_at(self) -> float:
        """When it was first sent."""
        return min(attempt.began_at for attempt in self.attempts)

    def told(self, kind: Told) -> list[Attempt]:
        """Return the attempts that were told so."""
        return [attempt for attempt in self.attempts if attempt.told is kind]


@dataclass(frozen=True, slots=True)
class Read:
    """A read that was answered: a request, its answer, and when."""

    request: Any
    began_at: float
    ended_at: float
    answer: Any


@dataclass(slots=True)
class History:
    """All that was asked of one namespace."""

    namespace: str
    wishes: list[Wish] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    calls: int = 0
    defects: list[str] = field(default_factory=list)
    """Answers that nobody may get, such as INTERNAL."""
    last_applied_at: float = 0.0
    wall_time: float = field(default_factory=time.time)
    """When it began, in seconds since 1970."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def wish(self, request: Any, *, theft: bool = False) -> Wish:  # noqa: ANN401  # any mutation
        """Note what a caller is going to send, under a reference of its own."""
        wish = Wish(next(self._numbers), request, theft)
        request.namespace, request.reference = self.namespace, wish.reference
        self.wishes.append(wish)
        return wish

    async def attempt(
        self,
        wish: Wish,
        call: Any,  # noqa: ANN401  # a caller
        *,
        timeout: float,  # noqa: ASYNC109  # the caller's, who tells it to gRPC
        patient: bool = True,
    ) -> None:
        """Send a wish once and note what is told of it; a caller that is cancelled was told nothing."""
        self.calls += 1
        began_at = time.monotonic()
        told, answer = Told.UNKNOWN, None
        try:
            answer = await call(wish.request, timeout=timeout)
            told = Told.APPLIED
            self.last_applied_at = time.monotonic()
        except Failure as failure:
            answer, told = failure, self._told_by(failure)
        finally:
            wish.attempts.append(Attempt(began_at, time.monotonic(), told, answer, patient))

    async def read(self, request: Any, call: Any, *, timeout: float) -> None:  # noqa: ANN401, ASYNC109  # as above
        """Read, and note the answer, if there is one."""
        self.calls += 1
        request.namespace = self.namespace
        began_at = time.monotonic()
        try:
            answer: Message | Failure = await call(request, timeout=timeout)
        except Failure as failure:
            if self._told_by(failure) is not Told.REFUSED:
                return
            answer = failure
        self.reads.append(Read(request, began_at, time.monotonic(), answer))

    def _told_by(self, failure: Failure) -> Told:
        if failure.reason in NOTHING_HAPPENED:
            return Told.NOTHING
        if failure.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN} and failure.reason == "INTERNAL":
            self.defects.append(f"{failure}")
        return Told.UNKNOWN if failure.reason in NOT_KNOWN or failure.reason == "INTERNAL" else Told.REFUSED


async def pause(seconds: float) -> None:
    """Let others go on for so long: a caller's own rest, not a wait for something."""
    await asyncio.sleep(seconds)
