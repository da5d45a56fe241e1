"""The history of callers: the requests, and every attempt with its answer, its start and its end."""

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
"""The codes with which the server says that the attempt changed nothing."""
NOT_KNOWN: Final = frozenset({"OUTCOME_UNKNOWN", "NOT_DURABLE_YET", "DEADLINE_EXCEEDED", "SHUTTING_DOWN", ""})
"""The codes that leave the outcome open. The same is true of a failure without a reason of the server's."""


class AttemptResult(Enum):
    """The result of an attempt, as its caller knows it."""

    APPLIED = "applied"
    REFUSED = "refused"
    NOTHING = "nothing happened"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call, from before it was sent until its answer arrived, in seconds of the harness's clock."""

    began_at: float
    ended_at: float
    result: AttemptResult
    answer: Any = None
    """The response, or the failure."""
    patient: bool = True
    """True if the caller waited as long as a server without faults may take."""


@dataclass(slots=True)
class Intent:
    """A change that a caller wants. All attempts send the same request."""

    number: int
    request: Any
    stolen_request_id: bool = False
    """True if its request id was that of another intent, which had been answered before."""
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def reference(self) -> str:
        """The reference that the ledger keeps with the change."""
        return f"intent-{self.number}"

    @property
    def began_at(self) -> float:
        """The time at which it was first sent."""
        return min(attempt.began_at for attempt in self.attempts)

    def attempts_with(self, result: AttemptResult) -> list[Attempt]:
        """Return the attempts with this result."""
        return [attempt for attempt in self.attempts if attempt.result is result]


@dataclass(frozen=True, slots=True)
class Read:
    """A read that was answered: the request, the answer, its start and its end."""

    request: Any
    began_at: float
    ended_at: float
    answer: Any


@dataclass(slots=True)
class History:
    """All requests to one namespace, and their answers."""

    namespace: str
    intents: list[Intent] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    calls: int = 0
    defects: list[str] = field(default_factory=list)
    """Answers that no caller must ever get, such as INTERNAL."""
    last_applied_at: float = 0.0
    wall_time: float = field(default_factory=time.time)
    """The start of the history, in seconds since 1970."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def intent(self, request: Any, *, stolen_request_id: bool = False) -> Intent:  # noqa: ANN401  # any mutation
        """Record an intent before it is sent, under its own reference."""
        intent = Intent(next(self._numbers), request, stolen_request_id)
        request.namespace, request.reference = self.namespace, intent.reference
        self.intents.append(intent)
        return intent

    async def attempt(
        self,
        intent: Intent,
        call: Any,  # noqa: ANN401  # a caller
        *,
        timeout: float,  # noqa: ASYNC109  # gRPC's own timeout
        patient: bool = True,
    ) -> None:
        """Send an intent once and record the result. The result of a cancelled caller is unknown."""
        self.calls += 1
        began_at = time.monotonic()
        result, answer = AttemptResult.UNKNOWN, None
        try:
            answer = await call(intent.request, timeout=timeout)
            result = AttemptResult.APPLIED
            self.last_applied_at = time.monotonic()
        except Failure as failure:
            answer, result = failure, self._result_of(failure)
        finally:
            intent.attempts.append(Attempt(began_at, time.monotonic(), result, answer, patient))

    async def read(self, request: Any, call: Any, *, timeout: float) -> None:  # noqa: ANN401, ASYNC109  # gRPC's own
        """Read, and record the answer, if there is one."""
        self.calls += 1
        request.namespace = self.namespace
        began_at = time.monotonic()
        try:
            answer: Message | Failure = await call(request, timeout=timeout)
        except Failure as failure:
            if self._result_of(failure) is not AttemptResult.REFUSED:
                return
            answer = failure
        self.reads.append(Read(request, began_at, time.monotonic(), answer))

    def _result_of(self, failure: Failure) -> AttemptResult:
        if failure.reason in NOTHING_HAPPENED:
            return AttemptResult.NOTHING
        if failure.code in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN} and failure.reason == "INTERNAL":
            self.defects.append(f"{failure}")
        is_known = failure.reason not in NOT_KNOWN and failure.reason != "INTERNAL"
        return AttemptResult.REFUSED if is_known else AttemptResult.UNKNOWN


async def pause(seconds: float) -> None:
    """Pause a caller for some seconds. This is part of the load, not a wait for a condition."""
    await asyncio.sleep(seconds)
