"""The rule by which request records are forgotten, in a small model whose runs are all tried.

Time goes in steps. A span is two steps and the retention four. Two processes make calls at any moment and are restarted
at any moment. The model has no clock that shows a time, because the rule asks none: a process counts, by a clock that
never jumps, from the age that it found at a call in the same generation.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from tallykeeper_server.store import keys

SPAN: Final = 2
RETENTION: Final = 2 * SPAN
STEPS: Final = 9


class State(NamedTuple):
    """A moment of a run."""

    now: int = 0
    found: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    """The generation that each process has found, 0 for none, and the age that it has counted."""
    generation: int = 1
    age: int = 0
    began_at: int = 0
    recorded_at: int | None = None
    """The time at which the one request of the model was recorded."""
    bucket: int | None = None
    """The bucket of its record; None if there is no record."""


def called(state: State, process: int, buckets: int, *, records: bool) -> State:
    """Return the state after a call of a process, which may be the call that records the request."""
    generation, age, bucket, began_at = state.generation, state.age, state.bucket, state.began_at
    found, counted = state.found[process]
    if found == generation:
        age = max(age, counted)
    if age >= SPAN:
        generation, age, began_at = generation + 1, 0, state.now
        bucket = None if bucket == generation % buckets else bucket
    now_found = (generation, age)
    both = (now_found, state.found[1]) if process == 0 else (state.found[0], now_found)
    recorded_at = state.now if records else state.recorded_at
    return State(state.now, both, generation, age, began_at, recorded_at, generation % buckets if records else bucket)


def following(state: State, buckets: int) -> Iterator[State]:
    """Yield all states that may come next."""
    (first, first_age), (second, second_age) = state.found
    yield state._replace(now=state.now + 1, found=((first, first_age + 1), (second, second_age + 1)))
    yield state._replace(found=((0, 0), state.found[1]))
    yield state._replace(found=(state.found[0], (0, 0)))
    for process in range(2):
        yield called(state, process, buckets, records=False)
        if state.recorded_at is None:
            yield called(state, process, buckets, records=True)


def runs(buckets: int) -> Iterator[State]:
    """Yield every state that any run reaches."""
    seen, waiting = {State()}, [State()]
    while waiting:
        state = waiting.pop()
        yield state
        for after in following(state, buckets):
            if after.now <= STEPS and after not in seen:
                seen.add(after)
                waiting.append(after)


def is_forgotten_early(state: State) -> bool:
    """Return whether the record is gone within its retention."""
    return state.recorded_at is not None and state.bucket is None and state.now < state.recorded_at + RETENTION


def test_a_record_is_found_for_its_retention_in_every_run() -> None:
    assert not any(is_forgotten_early(state) for state in runs(keys.REQUEST_BUCKETS))


def test_a_record_is_forgotten_in_some_run() -> None:
    assert any(state.recorded_at is not None and state.bucket is None for state in runs(keys.REQUEST_BUCKETS))


def test_with_a_bucket_fewer_a_record_would_be_forgotten_early() -> None:
    assert any(map(is_forgotten_early, runs(keys.REQUEST_BUCKETS - 1)))


def test_a_generation_is_never_older_than_it_is() -> None:
    assert all(state.age <= state.now - state.began_at for state in runs(keys.REQUEST_BUCKETS))
