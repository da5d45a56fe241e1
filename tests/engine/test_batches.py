"""Batches: the steps of each, and the meaning of an error in the middle of them."""

import pytest

from tallykeeper_server.domain.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    StoreUnavailableError,
    TallyError,
)
from tallykeeper_server.domain.levels import CounterName
from tallykeeper_server.domain.limits import BATCH_PART_OPERATIONS
from tallykeeper_server.domain.mutations import Applied, Mutation
from tallykeeper_server.engine.batches import Batch, after_steps, bundles_of

DONE = [Applied(revision=1, commit_time_ms=1, replayed=False, levels=())] * 3


def batch_of(count: int, *, atomic: bool) -> Batch:
    mutations = tuple(
        Mutation(operation="counter_increment", levels=(CounterName(f"c{number}"),), arguments=(1,))
        for number in range(count)
    )
    return Batch(namespace="shop", mutations=mutations, request_id="once", atomic=atomic)


def test_an_atomic_batch_is_one_step() -> None:
    (bundle,) = bundles_of(batch_of(1_000, atomic=True))

    assert (bundle.part, bundle.total, len(bundle.mutations), bundle.atomic) == (0, 1_000, 1_000, True)


def test_an_independent_batch_is_a_step_for_each_part() -> None:
    batch = batch_of(2 * BATCH_PART_OPERATIONS + 1, atomic=False)
    bundles = list(bundles_of(batch))

    assert [bundle.part for bundle in bundles] == [0, 1, 2]
    assert [len(bundle.mutations) for bundle in bundles] == [BATCH_PART_OPERATIONS, BATCH_PART_OPERATIONS, 1]
    assert sum((bundle.mutations for bundle in bundles), ()) == batch.mutations
    assert {bundle.fingerprint for bundle in bundles} == {bundles[0].fingerprint}


def test_an_atomic_batch_is_another_body_than_an_independent_one() -> None:
    fingerprints = {next(bundles_of(batch_of(3, atomic=atomic))).fingerprint for atomic in (True, False)}

    assert len(fingerprints) == 2


def test_an_error_of_the_first_step_is_reported_unchanged() -> None:
    error = StoreUnavailableError("the store is away")

    with pytest.raises(StoreUnavailableError) as raised, after_steps([], is_safe_to_repeat=True):
        raise error

    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "told_as", "ending"),
    [
        (StoreUnavailableError("it is away"), OutcomeUnknownError, "; send the batch again"),
        (DeadlineExceededError("it is away"), DeadlineExceededError, ""),
    ],
)
def test_an_error_of_a_later_step_says_how_far_the_batch_came(
    error: TallyError, told_as: type[TallyError], ending: str
) -> None:
    with pytest.raises(told_as) as raised, after_steps(DONE, is_safe_to_repeat=True):
        raise error

    assert raised.value.message.startswith(f"the first 3 operations have their results, and then: it is away{ending}")


def test_a_defect_after_a_step_stays_one() -> None:
    error = TallyError("broken")

    with pytest.raises(TallyError) as raised, after_steps(DONE, is_safe_to_repeat=True):
        raise error

    assert raised.value is error


def test_a_batch_without_a_request_id_that_was_cut_short_is_not_to_be_repeated() -> None:
    error = StoreUnavailableError("it is away")

    with pytest.raises(OutcomeUnknownError) as raised, after_steps(DONE, is_safe_to_repeat=False):
        raise error

    assert not raised.value.is_safe_to_repeat
    assert raised.value.message.endswith("it has no request id, so a repeat would apply the first operations twice")
