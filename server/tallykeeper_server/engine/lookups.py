"""Finds the outcome of a request id, from the records of its steps."""

import asyncio
from dataclasses import dataclass
from enum import Enum

from tallykeeper_server.domain.mutations import parts_of
from tallykeeper_server.domain.queries import LookupRequest, RecordedOutcome
from tallykeeper_server.engine.engine import Engine


class RequestFate(Enum):
    """The outcome of a request."""

    UNKNOWN = "unknown"
    APPLIED = "applied"
    REFUSED = "refused"
    INCOMPLETE = "incomplete"
    """A batch of which some steps were applied or refused and others were not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRequest:
    """The records of a request id, put together."""

    fate: RequestFate = RequestFate.UNKNOWN
    revision: int
    """The namespace's revision at which the answer is true."""
    applied_revision: int = 0
    """The last revision that the request made; 0 if it made none."""
    commit_time_ms: int | None = None
    refusal_reason: str = ""
    """The reason of the first mutation that was refused."""
    applied_count: int = 0
    refused_count: int = 0


async def look_up_request(engine: Engine, namespace: str, request_id: str, *, deadline: float) -> FoundRequest:
    """Return the outcome of a request id.

    :raises TallyError: the store cannot be asked, as Engine.ask says.
    """
    first = await engine.ask(LookupRequest(namespace, request_id, 0), deadline=deadline)
    if first.record is None:
        return FoundRequest(revision=first.revision)
    outcomes, total = list(first.record.outcomes), first.record.total
    parts = range(1, parts_of(total) if total > len(outcomes) else 1)
    queries = [LookupRequest(namespace, request_id, part) for part in parts]
    others = await asyncio.gather(*(engine.ask(query, deadline=deadline) for query in queries))
    for other in others:
        outcomes += other.record.outcomes if other.record else ()
    revision = max(found.revision for found in (first, *others))
    return _found(revision, outcomes, complete=len(outcomes) >= total)


def _found(revision: int, outcomes: list[RecordedOutcome], *, complete: bool) -> FoundRequest:
    applied = [outcome for outcome in outcomes if outcome.status == "OK"]
    refused = [outcome for outcome in outcomes if outcome.status not in {"OK", "NOT_APPLIED"}]
    fate = RequestFate.APPLIED if applied else RequestFate.REFUSED
    return FoundRequest(
        fate=fate if complete else RequestFate.INCOMPLETE,
        revision=revision,
        applied_revision=applied[-1].revision if applied else 0,
        commit_time_ms=outcomes[-1].commit_time_ms,
        refusal_reason=refused[0].status if refused else "",
        applied_count=len(applied),
        refused_count=len(refused),
    )
