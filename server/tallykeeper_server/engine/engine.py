"""The engine: takes mutations and queries and gives their outcomes, sharing store calls among callers."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from tallykeeper_server.domain.errors import DefectError
from tallykeeper_server.domain.mutations import Applied, Bundle, Failed, Mutation, Outcome, Refused, fingerprint_of
from tallykeeper_server.domain.queries import Query
from tallykeeper_server.domain.refusals import refusal, refusal_of
from tallykeeper_server.engine.batches import Batch, after_steps, bundles_of
from tallykeeper_server.engine.lane import Backlog, Lane, LaneLimits, Lanes
from tallykeeper_server.engine.lane_call import LaneCall
from tallykeeper_server.engine.pending import Pending
from tallykeeper_server.metrics.meters import LaneMeter
from tallykeeper_server.metrics.registry import Metrics

Answer = TypeVar("Answer")


class Store(Protocol):
    """What the engine needs of a store.

    Its coroutines raise StoreUnavailableError if nothing happened, and OutcomeUnknownError if it may have.
    """

    def lane_of(self, bundle: Bundle) -> Hashable:
        """Return what is the same for all bundles that may be applied in one step."""

    def query_lane_of(self, query: Query[Any]) -> Hashable:
        """Return what is the same for all queries that may wait for each other's answers."""

    async def apply(self, bundles: Sequence[Bundle]) -> Sequence[Sequence[Outcome] | Exception]:
        """Apply bundles of one lane in order and in one atomic step; return the outcomes of each one's mutations.

        In their place stands an error if they were applied, and something else is wrong.
        """

    async def read(self, queries: Sequence[Query[Any]]) -> Sequence[object]:
        """Return each query's answer, or what to raise."""


class Engine:
    """Group commit for mutations, and a lane apart for queries, which never wait behind a pause."""

    def __init__(
        self, store: Store, *, mutation_limits: LaneLimits, query_limits: LaneLimits, metrics: Metrics | None = None
    ) -> None:
        """Make the lanes; the event loop must be running."""
        metrics = metrics or Metrics()
        meter, query_meter = LaneMeter(metrics, "mutations"), LaneMeter(metrics, "queries")

        def lane(_: Hashable, backlog: Backlog) -> Lane[Bundle, Sequence[Outcome]]:
            return Lane(store.apply, mutation_limits, weigh=_weight_of, meter=meter, backlog=backlog)

        def query_lane(_: Hashable, backlog: Backlog) -> Lane[Query[Any], object]:
            return Lane(store.read, query_limits, meter=query_meter, backlog=backlog)

        self._bundles = Lanes(store.lane_of, lane, waiting_items_max=mutation_limits.waiting_items_max)
        self._queries = Lanes(store.query_lane_of, query_lane, waiting_items_max=query_limits.waiting_items_max)

    @property
    def mutations(self) -> Backlog:
        """The mutations that wait, in all lanes."""
        return self._bundles.backlog

    @property
    def queries(self) -> Backlog:
        """The queries that wait, in all lanes."""
        return self._queries.backlog

    def apply(
        self,
        namespace: str,
        mutation: Mutation,
        answer: Callable[[Applied], Answer],
        *,
        request_id: str,
        deadline: float,
        identity: str = "",
    ) -> Pending[Answer]:
        """Apply one mutation, and make its answer once it is applied.

        With a request id it is sent again, within the deadline, if the store is lost. The caller's ``identity`` goes
        into the ledger. The result raises RefusedError if the script refused the mutation, so that nothing changed, or
        else the TallyError of what happened.

        :raises OverloadedError: as many mutations wait as may.
        """
        mutations = (mutation,)
        fingerprint = fingerprint_of(mutations) if request_id else b""
        bundle = Bundle(namespace, mutations, request_id, False, identity, fingerprint)  # noqa: FBT003  # not atomic
        call = self._bundles.submit(bundle, deadline=deadline, may_resend=bool(request_id))
        return Pending(call, partial(_answered, mutation, answer))

    async def apply_batch(self, batch: Batch, *, deadline: float) -> Sequence[Outcome]:
        """Apply a batch, in several steps if it is independent and large; return an outcome for each mutation.

        :raises RefusedError: its request id came before with another body.
        :raises TallyError: as the errors module says of each; what earlier steps applied stays.
        """
        outcomes: list[Outcome] = []
        for bundle in bundles_of(batch):
            with after_steps(outcomes, is_safe_to_repeat=bool(batch.request_id)):
                done = await self._bundles.submit(
                    bundle, deadline=deadline, may_resend=bool(bundle.request_id), is_begun=bundle.part > 0
                )
                if isinstance(done[0], Failed):
                    raise _defect_of(bundle.mutations[0], done[0])
                outcomes += done
        first = outcomes[0]
        if isinstance(first, Refused) and first.reason == "REQUEST_ID_REUSED":
            raise refusal(first.reason, {})
        return outcomes

    def ask(self, query: Query[Answer], *, deadline: float) -> LaneCall[Query[Any], Answer]:
        """Answer a query. The result raises a TallyError, as the errors module says of each.

        :raises OverloadedError: as many queries wait as may.
        """
        call = self._queries.submit(query, deadline=deadline, may_resend=True)
        return cast("LaneCall[Query[Any], Answer]", call)


def _answered(mutation: Mutation, answer: Callable[[Applied], Answer], outcomes: Sequence[Outcome]) -> Answer:
    """Return the answer to a mutation that was applied.

    :raises RefusedError: it was refused.
    :raises DefectError: its operation failed.
    """
    (outcome,) = outcomes
    if isinstance(outcome, Applied):
        return answer(outcome)
    if isinstance(outcome, Failed):
        raise _defect_of(mutation, outcome)
    raise refusal_of(mutation, cast("Refused", outcome))


def _weight_of(bundle: Bundle) -> int:
    """Return for how many mutations a bundle counts: one for each level that it names."""
    mutations = bundle.mutations
    return len(mutations[0].levels) if len(mutations) == 1 else sum([len(mutation.levels) for mutation in mutations])


def _defect_of(mutation: Mutation, failed: Failed) -> DefectError:
    return DefectError(f"operation {mutation.operation} failed: {failed.error}")
