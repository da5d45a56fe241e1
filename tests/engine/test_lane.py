"""Lanes: the calls that share a batch, those that wait, and those that are sent again after a loss."""

import asyncio

import pytest

from tallykeeper_server.domain.errors import (
    DeadlineExceededError,
    OutcomeUnknownError,
    OverloadedError,
    StoreUnavailableError,
)
from tallykeeper_server.engine.lane import Lane, LaneLimits
from tallykeeper_server.engine.lane_call import LaneCall
from tests.engine.fake_store import FakeStore
from tests.engine.turns import let_lanes_send

LIMITS = LaneLimits(batch_items_max=8, waiting_items_max=20, pause_seconds=0.0, second_batch_min=100)


def ten_times() -> FakeStore[int, int]:
    """Return a store that answers a number by ten times the number."""
    return FakeStore(lambda item: 10 * item)


def soon(seconds: float = 10.0) -> float:
    return asyncio.get_running_loop().time() + seconds


def submit(lane: Lane[int, int], *items: int, may_resend: bool = False) -> list[LaneCall[int, int]]:
    return [lane.submit(item, deadline=soon(), may_resend=may_resend) for item in items]


async def test_a_caller_alone_is_sent_at_once() -> None:
    store = ten_times()
    lane = Lane(store.send, LIMITS)

    assert await asyncio.gather(*submit(lane, 1)) == [10]
    assert store.batches == [[1]]


async def test_calls_that_wait_together_share_the_next_batch_in_order() -> None:
    store = ten_times()
    store.hold()
    lane = Lane(store.send, LIMITS)
    futures = submit(lane, 1)
    await let_lanes_send()
    futures += submit(lane, 2, 3, 4)

    store.release()

    assert await asyncio.gather(*futures) == [10, 20, 30, 40]
    assert store.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_no_more_items_than_its_limit() -> None:
    store = ten_times()
    store.hold()
    lane = Lane(store.send, LIMITS)
    futures = submit(lane, 0)
    await let_lanes_send()
    futures += submit(lane, *range(1, 20))
    store.release()

    await asyncio.gather(*futures)

    assert [len(batch) for batch in store.batches] == [1, 8, 8, 3]


async def test_callers_who_call_again_are_waited_for_and_served_together() -> None:
    store = ten_times()
    lane = Lane(store.send, LaneLimits(batch_items_max=8, waiting_items_max=20, pause_seconds=0.1))

    async def call_often(item: int) -> None:
        for _ in range(5):
            await asyncio.gather(*submit(lane, item))

    await asyncio.gather(*(call_often(item) for item in range(4)))

    assert [sorted(batch) for batch in store.batches].count([0, 1, 2, 3]) >= 4


async def test_a_second_batch_is_under_way_as_soon_as_enough_wait_for_it() -> None:
    store = ten_times()
    store.hold()
    limits = LaneLimits(batch_items_max=8, waiting_items_max=20, pause_seconds=0.0, second_batch_min=3)
    lane = Lane(store.send, limits)
    futures = submit(lane, 0)
    await let_lanes_send()
    futures += submit(lane, 1, 2)
    await let_lanes_send()
    assert store.batches == [[0]]

    futures += submit(lane, 3)
    await let_lanes_send()
    futures += submit(lane, *range(4, 11))
    await let_lanes_send()
    assert store.batches == [[0], [1, 2, 3]]  # and no third that is not full

    store.release()
    assert await asyncio.gather(*futures) == [10 * item for item in range(11)]
    assert [len(batch) for batch in store.batches] == [1, 3, 5, 2]  # half of the calls in flight and waiting


async def test_full_batches_are_under_way_beside_others_up_to_four() -> None:
    store = ten_times()
    store.hold()
    limits = LaneLimits(batch_items_max=4, waiting_items_max=40, pause_seconds=0.0, second_batch_min=2)
    lane = Lane(store.send, limits)
    futures = submit(lane, 0)
    await let_lanes_send()
    futures += submit(lane, *range(1, 20))
    await let_lanes_send()

    assert [len(batch) for batch in store.batches] == [1, 2, 4, 4]

    store.release()
    assert await asyncio.gather(*futures) == [10 * item for item in range(20)]
    assert [len(batch) for batch in store.batches] == [1, 2, 4, 4, 4, 4, 1]


async def test_a_batch_is_half_of_what_was_lately_waiting_or_under_way() -> None:
    store = ten_times()
    limits = LaneLimits(batch_items_max=20, waiting_items_max=40, pause_seconds=0.0, second_batch_min=2)
    lane = Lane(store.send, limits)
    store.hold()
    futures = submit(lane, 0)
    await let_lanes_send()
    futures += submit(lane, *range(1, 8))
    await let_lanes_send()
    assert [len(batch) for batch in store.batches] == [1, 2]

    store.release()
    await asyncio.gather(*futures)

    assert [len(batch) for batch in store.batches] == [1, 2, 4, 1]


async def test_the_pause_ends_though_nobody_comes() -> None:
    store = ten_times()
    lane = Lane(store.send, LaneLimits(batch_items_max=8, waiting_items_max=20, pause_seconds=0.005))
    store.hold()
    futures = submit(lane, 1)
    await let_lanes_send()
    futures += submit(lane, 2)
    store.release()

    assert await asyncio.gather(*futures) == [10, 20]


async def test_a_full_lane_refuses() -> None:
    store = ten_times()
    store.hold()
    lane = Lane(store.send, LIMITS)
    futures = submit(lane, 0)
    await let_lanes_send()
    futures += submit(lane, *range(20))

    with pytest.raises(OverloadedError):
        submit(lane, 99)

    store.release()
    await asyncio.gather(*futures)
    assert [99] not in store.batches


async def test_a_call_whose_deadline_has_passed_is_not_sent() -> None:
    store = ten_times()
    store.hold()
    lane = Lane(store.send, LIMITS)
    (first,) = submit(lane, 1)
    await let_lanes_send()
    late = lane.submit(2, deadline=soon(0.0), may_resend=True)
    store.release()

    assert await first == 10
    with pytest.raises(DeadlineExceededError):
        await late
    assert store.batches == [[1]]


async def test_a_caller_that_leaves_withdraws_what_was_not_sent_and_nothing_else() -> None:
    store = ten_times()
    store.hold()
    lane = Lane(store.send, LIMITS)
    sent, also_sent = submit(lane, 1, 2)
    await let_lanes_send()
    waiting, stays = submit(lane, 3, 4)
    also_sent.cancel()
    waiting.cancel()
    store.release()

    assert await sent == 10
    assert await stays == 40
    assert [item for batch in store.batches for item in batch if item == 3] == []


async def test_only_what_may_be_sent_again_is_sent_again() -> None:
    store = ten_times()
    store.failures = [OutcomeUnknownError("lost"), StoreUnavailableError("away")]
    lane = Lane(store.send, LIMITS)
    store.hold()
    (protected,) = submit(lane, 1, may_resend=True)
    await let_lanes_send()
    store.release()

    assert await protected == 10
    assert store.batches == [[1], [1], [1]]

    store.failures = [StoreUnavailableError("away")]
    with pytest.raises(StoreUnavailableError):
        await asyncio.gather(*submit(lane, 2))


async def test_an_outcome_that_was_once_unknown_stays_so() -> None:
    store = ten_times()
    store.failures = [OutcomeUnknownError("lost"), *(StoreUnavailableError("away") for _ in range(50))]
    lane = Lane(store.send, LIMITS)

    with pytest.raises(OutcomeUnknownError):
        await lane.submit(1, deadline=soon(0.3), may_resend=True)


@pytest.mark.parametrize(("may_resend", "remedy"), [(True, "with the same request id"), (False, "has no request id")])
async def test_an_unknown_outcome_says_whether_a_repeat_is_safe(*, may_resend: bool, remedy: str) -> None:
    store = ten_times()
    store.failures = [OutcomeUnknownError("lost") for _ in range(50)]
    lane = Lane(store.send, LIMITS)

    with pytest.raises(OutcomeUnknownError) as raised:
        await lane.submit(1, deadline=soon(0.1), may_resend=may_resend)

    assert raised.value.is_safe_to_repeat is may_resend
    assert remedy in raised.value.message


async def test_an_unexpected_error_reaches_every_caller_of_the_batch() -> None:
    store = ten_times()
    store.failures = [ZeroDivisionError()]
    lane = Lane(store.send, LIMITS)
    store.hold()
    futures = submit(lane, 1, 2)
    store.release()

    results = await asyncio.gather(*futures, return_exceptions=True)

    assert all(isinstance(result, ZeroDivisionError) or result == 20 for result in results)
    assert any(isinstance(result, ZeroDivisionError) for result in results)
    assert await asyncio.gather(*submit(lane, 3)) == [30]
