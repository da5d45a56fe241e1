"""Clocks that are wrong: no id is forgotten, nothing that has ended comes back, and time goes on."""

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Final, cast

import pytest
import redis

from tallykeeper_server.domain.levels import Counter, CounterName, Reservation, ReservationName, ReservationState
from tallykeeper_server.domain.mutations import Applied, Bundle, Outcome, Refused
from tallykeeper_server.domain.queries import FoundRecord, GetLevels, LookupRequest, ReadLevels, RequestRecord
from tallykeeper_server.store.embedded.valkey import find_binary
from tests.lua.clocks import BOUNDARY_MS, ClockedStore, Clocks
from tests.lua.conftest import RETENTION, bundle, mutation
from tests.support.server import store_process

DAY_MS: Final = 86_400_000
VISITS, BASKET = CounterName("visits"), ReservationName("basket")
STEPS_MS: Final = [sign * step for step in (10, 50, 31_000, 3_600_000, DAY_MS, 40 * DAY_MS) for sign in (-1, 1)]

Start = Callable[[], ClockedStore]


@pytest.fixture(scope="module")
def quiet_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a store that no server with the true time uses."""
    with store_process(find_binary(None), tmp_path_factory.mktemp("store"), "--save", "") as url:
        yield url


@pytest.fixture(scope="module")
def raw_store(quiet_store: str) -> Iterator[redis.Redis]:
    """A plain connection to that store, to look at what is in it."""
    with redis.Redis.from_url(quiet_store) as connection:
        yield connection


@pytest.fixture
def clocks(raw_store: redis.Redis, namespace: str) -> Iterator[Clocks]:
    """Clocks that agree, at a moment at which a day begins."""
    key = f"clock-of-{namespace}"
    yield Clocks(raw_store, key)
    raw_store.delete(key)


@pytest.fixture
def start(quiet_store: str, clocks: Clocks) -> Iterator[Start]:
    """Start another process on the store."""
    with asyncio.Runner() as runner:
        started: list[ClockedStore] = []

        def start_one() -> ClockedStore:
            started.append(ClockedStore(quiet_store, clocks, runner))
            return started[-1]

        yield start_one
        for each in started:
            each.close()


def increment(namespace: str, request_id: str = "") -> Bundle:
    """Return an increment of the counter."""
    return bundle(namespace, mutation("counter_increment", 1), request_id=request_id)


def reserve(namespace: str, *, ttl_ms: int) -> tuple[Bundle, Bundle]:
    """Return a reservation of one copy, and before it a level that has three."""
    mutations = mutation("stock_set", 3, "-"), mutation("reservation_reserve", ttl_ms, "", 1)
    return bundle(namespace, mutations[0]), bundle(namespace, mutations[1])


def replayed(outcome: Outcome) -> bool:
    """Return whether an outcome is that of an earlier call."""
    assert isinstance(outcome, Applied)
    return outcome.replayed


def value_of(store: ClockedStore, namespace: str) -> int | None:
    """Return the value of the counter, None if there is none."""
    levels = cast("ReadLevels", store.ask(GetLevels(namespace, (VISITS,)))[0]).levels
    (counter,) = cast("list[Counter | None]", levels)
    return None if counter is None else counter.value


def state_of(store: ClockedStore, namespace: str) -> ReservationState:
    """Return the state of the reservation."""
    levels = cast("ReadLevels", store.ask(GetLevels(namespace, (BASKET,)))[0]).levels
    (reservation,) = cast("list[Reservation]", levels)
    return reservation.state


@pytest.mark.parametrize("step_ms", STEPS_MS)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_request_id_is_found_after_any_step_of_the_stores_clock(
    start: Start, clocks: Clocks, namespace: str, step_ms: int, *, restarted: bool
) -> None:
    store = start()
    clocks.set(store_ms=BOUNDARY_MS + 710)
    store.apply(increment(namespace, "r"))
    clocks.set(store_ms=BOUNDARY_MS + 710 + step_ms)
    store = start() if restarted else store

    (again,) = store.apply(increment(namespace, "r"))

    assert replayed(again)
    assert value_of(store, namespace) == 1


@pytest.mark.parametrize("step_ms", STEPS_MS)
def test_a_request_id_is_found_after_any_step_of_both_clocks(
    start: Start, clocks: Clocks, namespace: str, step_ms: int
) -> None:
    store = start()
    store.apply(increment(namespace, "r"))
    for _ in range(6):  # for any number of lookups while they are wrong
        clocks.set(store_ms=clocks.store_ms + step_ms, wall_ms=clocks.wall_ms + step_ms)
        store.sweep()
        assert all(map(replayed, store.apply(increment(namespace, "r"))))

    assert value_of(store, namespace) == 1


@pytest.mark.long
def test_random_steps_of_all_clocks_forget_no_id_within_its_retention(
    start: Start, clocks: Clocks, namespace: str
) -> None:
    chance = random.Random(1)  # noqa: S311  # no secret
    processes = [start() for _ in range(3)]
    made: dict[str, int] = {}
    true_ms = 0
    for number in range(1_500):
        action = chance.randrange(6)
        if action == 0:
            clocks.set(store_ms=BOUNDARY_MS + true_ms + chance.choice([0, *STEPS_MS]))
        elif action == 1:
            clocks.set(wall_ms=BOUNDARY_MS + true_ms + chance.choice([0, *STEPS_MS]))
        elif action == 2:
            by_ms = chance.choice([1, 100, 5_000, RETENTION.request_ms // 4])
            true_ms += by_ms
            clocks.go_on(by_ms)
        elif action == 3:
            chance.choice(processes).sweep()
        elif action == 4:
            made[f"r{number}"] = true_ms
            assert not any(map(replayed, chance.choice(processes).apply(increment(namespace, f"r{number}"))))
        known = [name for name, at_ms in made.items() if true_ms - at_ms < RETENTION.request_ms]
        if known:
            assert all(map(replayed, chance.choice(processes).apply(increment(namespace, chance.choice(known)))))

    assert value_of(processes[0], namespace) == len(made)


@pytest.mark.parametrize("behind", ["store_ms", "wall_ms"])
def test_a_process_with_right_clocks_forgets_nothing_of_one_that_was_behind(
    start: Start, clocks: Clocks, namespace: str, behind: str
) -> None:
    clocks.set(**{behind: BOUNDARY_MS - 40 * DAY_MS})
    store = start()
    for number in range(7):
        store.apply(increment(namespace, f"r{number}"))
        clocks.go_on(RETENTION.request_ms // 2)
    clocks.set(store_ms=max(clocks.store_ms, clocks.wall_ms), wall_ms=max(clocks.store_ms, clocks.wall_ms))

    again = [start().apply(increment(namespace, f"r{number}"))[0] for number in (6, 5)]

    assert all(map(replayed, again))


def test_both_clocks_ahead_for_a_moment_do_not_let_a_later_process_forget(
    start: Start, clocks: Clocks, namespace: str
) -> None:
    store = start()
    store.apply(increment(namespace, "r"))
    with clocks.at(store_ms=BOUNDARY_MS + 40 * DAY_MS, wall_ms=BOUNDARY_MS + 40 * DAY_MS):
        store.apply(increment(namespace))
    for _ in range(4):
        store = start()
        assert all(map(replayed, store.apply(increment(namespace, "r"))))
        clocks.go_on(RETENTION.request_ms // 5)


def test_records_are_forgotten_when_their_retention_is_over(
    start: Start, clocks: Clocks, namespace: str, raw_store: redis.Redis
) -> None:
    store = start()
    store.apply(increment(namespace, "r"))
    for _ in range(5):
        clocks.go_on(RETENTION.request_ms * 6 // 10)
        store.sweep()

    assert not raw_store.keys(f"tk:{{{namespace}}}:requests:*")
    assert str(raw_store.get(f"tk:{{{namespace}}}:clock")).endswith(" -'")
    assert raw_store.zscore("tk:agenda", namespace) is None
    (again,) = store.apply(increment(namespace, "r"))
    assert not replayed(again)


def test_time_goes_on_while_a_clock_that_was_set_back_is_behind(start: Start, clocks: Clocks, namespace: str) -> None:
    store = start()
    store.apply(*reserve(namespace, ttl_ms=60_000))
    clocks.set(store_ms=BOUNDARY_MS - 40 * DAY_MS)
    clocks.go_on(70_000)

    expired = store.sweep()

    assert expired == 1
    assert state_of(store, namespace) is ReservationState.EXPIRED


def test_time_goes_on_for_a_process_that_starts_while_the_stores_clock_is_behind(
    start: Start, clocks: Clocks, namespace: str
) -> None:
    start().apply(*reserve(namespace, ttl_ms=60_000))
    clocks.set(store_ms=BOUNDARY_MS - 40 * DAY_MS)
    store = start()
    store.apply(increment(namespace))
    clocks.go_on(70_000)

    assert store.sweep() == 1


def test_time_goes_on_in_a_namespace_that_both_clocks_were_ahead_of(
    start: Start, clocks: Clocks, namespace: str
) -> None:
    with clocks.at(store_ms=BOUNDARY_MS + 40 * DAY_MS, wall_ms=BOUNDARY_MS + 40 * DAY_MS):
        start().apply(*reserve(namespace, ttl_ms=60_000))
    store = start()
    store.apply(increment(namespace))
    clocks.go_on(70_000)

    assert store.sweep() == 1


@pytest.mark.parametrize("ahead", ["store_ms", "wall_ms"])
def test_one_clock_that_runs_ahead_ends_nothing(
    start: Start, clocks: Clocks, namespace: str, raw_store: redis.Redis, ahead: str
) -> None:
    store = start()
    store.apply(*reserve(namespace, ttl_ms=60_000))
    store.apply(bundle(namespace, mutation("counter_configure", "=", "=", 60_000)), increment(namespace, "r"))

    clocks.set(**{ahead: BOUNDARY_MS + 40 * DAY_MS})
    store.sweep()

    assert state_of(store, namespace) is ReservationState.ACTIVE
    assert value_of(store, namespace) == 1
    assert raw_store.exists(f"tk:{{{namespace}}}:counter:visits")


@pytest.mark.parametrize("restarted", [False, True])
def test_a_reservation_that_was_shown_as_expired_stays_so(
    start: Start, clocks: Clocks, namespace: str, *, restarted: bool
) -> None:
    store = start()
    store.apply(*reserve(namespace, ttl_ms=60_000))
    with clocks.at(store_ms=BOUNDARY_MS + DAY_MS, wall_ms=BOUNDARY_MS + DAY_MS):
        shown = state_of(store, namespace)
    store = start() if restarted else store

    (committed,) = store.apply(bundle(namespace, mutation("reservation_commit")))

    assert shown is ReservationState.EXPIRED
    assert state_of(store, namespace) is ReservationState.EXPIRED
    assert isinstance(committed, Refused)
    assert committed.reason == "RESERVATION_EXPIRED"


def test_a_refusal_for_time_that_is_up_holds_for_every_process(start: Start, clocks: Clocks, namespace: str) -> None:
    start().apply(*reserve(namespace, ttl_ms=60_000))
    extend = bundle(namespace, mutation("reservation_extend", 60_000))
    with clocks.at(store_ms=BOUNDARY_MS + DAY_MS, wall_ms=BOUNDARY_MS + DAY_MS):
        (refused,) = start().apply(extend)

    (again,) = start().apply(extend)

    assert isinstance(refused, Refused)
    assert isinstance(again, Refused)
    assert again.reason == refused.reason == "RESERVATION_EXPIRED"


def test_an_expired_counter_begins_at_zero_for_every_process(start: Start, clocks: Clocks, namespace: str) -> None:
    store = start()
    store.apply(increment(namespace), bundle(namespace, mutation("counter_configure", "=", "=", 60_000)))
    with clocks.at(store_ms=BOUNDARY_MS + DAY_MS, wall_ms=BOUNDARY_MS + DAY_MS):
        gone = value_of(store, namespace)

    (first,) = start().apply(increment(namespace))

    assert gone is None
    assert isinstance(first, Applied)
    assert cast("Counter", first.levels[0]).value == 1


def test_commit_times_never_decrease(start: Start, clocks: Clocks, namespace: str) -> None:
    times = []
    for number, step_ms in enumerate([0, *STEPS_MS, 0]):
        clocks.set(store_ms=BOUNDARY_MS + step_ms, wall_ms=BOUNDARY_MS + STEPS_MS[number % len(STEPS_MS)])
        (outcome,) = start().apply(increment(namespace))
        assert isinstance(outcome, Applied)
        times.append(outcome.commit_time_ms)

    assert times == sorted(times)


def test_what_was_recorded_is_looked_up_whatever_the_clocks_say(start: Start, clocks: Clocks, namespace: str) -> None:
    start().apply(increment(namespace, "r"))
    clocks.set(store_ms=BOUNDARY_MS - 40 * DAY_MS, wall_ms=BOUNDARY_MS + 40 * DAY_MS)

    record = cast("FoundRecord", start().ask(LookupRequest(namespace, "r", 0))[0]).record

    assert isinstance(record, RequestRecord)


@pytest.mark.parametrize(
    "damage",
    [
        ("SET", "expiry", "x"),
        ("SET", "expiry:counter", "x"),
        ("SET", "clock", "x"),
        ("ZADD", "expiry:counter", 1, b"\xff"),
        ("ZADD", "expiry:reservation", 1, "no state"),
    ],
    ids=lambda damage: f"{damage[0]} {damage[1]}",
)
def test_a_namespace_that_someone_else_has_written_keeps_no_other_from_being_swept(
    start: Start, clocks: Clocks, namespace: str, raw_store: redis.Redis, damage: tuple[str, ...]
) -> None:
    store, other = start(), f"{namespace}.other"
    store.apply(*reserve(other, ttl_ms=60_000))
    store.apply(increment(namespace))
    command, key, *values = damage
    raw_store.execute_command(command, f"tk:{{{namespace}}}:{key}", *values)  # type: ignore[no-untyped-call]
    for broken in (namespace.encode(), b"\xff"):
        raw_store.execute_command("ZADD", "tk:agenda", 0, broken)  # type: ignore[no-untyped-call]
    clocks.go_on(70_000)

    store.sweep()

    assert not raw_store.zcard(f"tk:{{{other}}}:expiry")
    raw_store.zrem("tk:agenda", namespace.encode(), b"\xff")


def test_the_parts_of_a_request_are_forgotten_together(start: Start, clocks: Clocks, namespace: str) -> None:
    store = start()
    half = RETENTION.request_ms // 2

    def part(number: int) -> Bundle:
        several = [mutation("counter_increment", 1)] * 250
        return bundle(namespace, *several, request_id="r")._replace(part=number, total=750)

    store.apply(part(0), part(1))
    clocks.go_on(half + 1_000)
    store.apply(increment(namespace, "other"))
    clocks.go_on(half - 2_000)
    again = store.apply(part(0))  # the retry, just within the retention; it is interrupted after its first part
    for _ in range(3):
        clocks.go_on(half // 2)
        store.apply(increment(namespace, "other"))
    late = store.apply(part(0), part(1), part(2))

    assert all(map(replayed, again))
    assert [replayed(outcome) for outcome in late] == [True] * 500 + [False] * 250
