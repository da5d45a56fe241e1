"""The engine: takes one mutation or one query and gives its outcome, sharing store calls among callers."""

from collections.abc import Sequence
from typing import Protocol, cast

from tallykeeper_server.domain.errors import DefectError
from tallykeeper_server.domain.levels import Level, LevelName
from tallykeeper_server.domain.mutations import Applied, Mutation, Outcome, Refused
from tallykeeper_server.domain.queries import GetLevels, ListNames, Query
from tallykeeper_server.domain.refusals import refusal
from tallykeeper_server.engine.lane import Lane, LaneLimits


class Store(Protocol):
    """What the engine needs of a store.

    Both calls raise StoreUnavailableError if nothing happened, and OutcomeUnknownError if it may have.
    """

    async def apply(self, mutations: Sequence[Mutation]) -> Sequence[Outcome]:
        """Apply mutations in order and in one atomic step; return an outcome for each."""

    async def read(self, queries: Sequence[Query]) -> Sequence[object]:
        """Answer queries: levels, or None, for each GetLevels, names for each ListNames, or what to raise."""


class Engine:
    """Group commit for mutations, and a lane of their own for queries, which never wait behind a pause."""

    def __init__(self, store: Store, *, mutation_limits: LaneLimits, query_limits: LaneLimits) -> None:
        """Make the lanes; the event loop must be running."""
        self._mutations = Lane[Mutation, Outcome](store.apply, mutation_limits)
        self._queries = Lane[Query, object](store.read, query_limits)

    async def apply(self, mutation: Mutation, *, deadline: float) -> Applied:
        """Apply one mutation. With a request id it is sent again, within the deadline, if the store is lost.

        :raises RefusedError: the script refused it, and nothing changed.
        :raises TallyError: as the errors module says of each.
        """
        outcome = await self._mutations.submit(mutation, deadline=deadline, may_resend=bool(mutation.request_id))
        if isinstance(outcome, Applied):
            return outcome
        if isinstance(outcome, Refused):
            facts: dict[str, str] = {}
            for level in mutation.levels:
                facts |= level.facts
            facts |= outcome.facts
            raise refusal(outcome.reason, facts)
        message = f"operation {mutation.operation} failed: {outcome.error}"
        raise DefectError(message)

    async def get_levels(self, query: GetLevels, *, deadline: float) -> list[Level | None]:
        """Read levels as they are at one moment, in the order of their names; None where there is none."""
        if not query.names:
            return []
        answer = await self._queries.submit(query, deadline=deadline, may_resend=True)
        return cast("list[Level | None]", answer)

    async def list_names(self, query: ListNames, *, deadline: float) -> list[LevelName]:
        """List names in order. A counter that has expired may still be among them for a while."""
        answer = await self._queries.submit(query, deadline=deadline, may_resend=True)
        return cast("list[LevelName]", answer)
