"""The engine: takes mutations and queries and returns their outcomes, with store calls that callers share."""

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
from tallykeeper_server.engine.pending_result import Pending
from tallykeeper_server.metrics.meters import LaneMeter
from tallykeeper_server.metrics.registry import Metrics

Answer = TypeVar("Answer")


class Store(Protocol):
    """The store as the engine uses it.

    Its coroutines raise StoreUnavailableError if nothing happened, and OutcomeUnknownError if something may have.
    """

    def lane_of(self, bundle: Bundle) -> Hashable:
        """Return the lane of a bundle. Bundles of one lane may be applied in one step."""

    def query_lane_of(self, query: Query[Any]) -> Hashable:
        """Return the lane of a query. Queries of one lane wait for each other's answers."""

    async def apply(self, bundles: Sequence[Bundle]) -> Sequence[Sequence[Outcome] | Exception]:
        """Apply bundles of one lane in order and in one atomic step. Return the outcomes of each bundle's mutations.

        An error stands in place of a bundle's outcomes if the bundle was applied and something else is wrong.
        """

    async def read(self, queries: Sequence[Query[Any]]) -> Sequence[object]:
        """Return each query's answer, or the exception to raise to its caller."""


class Engine:
    """Group commit for mutations, and separate lanes for queries, so that no query waits behind a pause."""

    def __init__(
        self,
        store: Store,
        *,
        mutation_limits: LaneLimits,
        query_limits: LaneLimits,
        metrics: Metrics | None = None,
        make_lane: Callable[..., Lane[Any, Any]] = Lane,
    ) -> None:
        """Make the lanes with ``make_lane``, which takes the arguments of Lane. The event loop must be running."""
        metrics = metrics or Metrics()
        meter, query_meter = LaneMeter(metrics, "mutations"), LaneMeter(metrics, "queries")

        def lane(_: Hashable, backlog: Backlog) -> Lane[Bundle, Sequence[Outcome]]:
            return make_lane(store.apply, mutation_limits, weigh=_weight_of, meter=meter, backlog=backlog)

        def query_lane(_: Hashable, backlog: Backlog) -> Lane[Query[Any], object]:
            return make_lane(store.read, query_limits, meter=query_meter, backlog=backlog)

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
        """Apply one mutation, and make its answer with ``answer`` once it is applied.

        With a request id, the mutation is sent again within the deadline if the store is lost. The caller's
        ``identity`` goes into the ledger. The result raises RefusedError if the script refused the mutation, so that
        nothing changed, and another TallyError for any other failure.

        :raises OverloadedError: no more mutations may wait.
        """
        mutations = (mutation,)
        fingerprint = fingerprint_of(mutations) if request_id else b""
        bundle = Bundle(namespace, mutations, request_id, False, identity, fingerprint)  # noqa: FBT003  # not atomic
        call = self._bundles.submit(bundle, deadline=deadline, may_resend=bool(request_id))
        return Pending(call, partial(_answered, mutation, answer))

    async def apply_batch(self, batch: Batch, *, deadline: float) -> Sequence[Outcome]:
        """Apply a batch, in several steps if it is independent and large. Return an outcome for each mutation.

        :raises RefusedError: an earlier request had the same request id and another body.
        :raises TallyError: the batch failed, as the errors module says of each. Steps that were applied before stay
            applied.
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

        :raises OverloadedError: no more queries may wait.
        """
        call = self._queries.submit(query, deadline=deadline, may_resend=True)
        return cast("LaneCall[Query[Any], Answer]", call)


def _answered(mutation: Mutation, answer: Callable[[Applied], Answer], outcomes: Sequence[Outcome]) -> Answer:
    """Return the answer to a mutation that was applied.

    :raises RefusedError: the mutation was refused.
    :raises DefectError: its operation failed.
    """
    (outcome,) = outcomes
    if isinstance(outcome, Applied):
        return answer(outcome)
    if isinstance(outcome, Failed):
        raise _defect_of(mutation, outcome)
    raise refusal_of(mutation, cast("Refused", outcome))


def _weight_of(bundle: Bundle) -> int:
    """Return the weight of a bundle in mutations: one for each level that the bundle names."""
    mutations = bundle.mutations
    return len(mutations[0].levels) if len(mutations) == 1 else sum([len(mutation.levels) for mutation in mutations])


def _defect_of(mutation: Mutation, failed: Failed) -> DefectError:
    return DefectError(f"operation {mutation.operation} failed: {failed.error}")
