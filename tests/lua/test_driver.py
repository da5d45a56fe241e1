"""The driver: batches, replays, the ledger, expiry, indexes and the keys that it writes."""

from dataclasses import replace
from typing import cast

import pytest
import redis

import tallykeeper_lua
from tallykeeper_server.domain.levels import CounterName, LevelName, StockName
from tallykeeper_server.domain.mutations import Applied, Bundle, Failed, Refused
from tallykeeper_server.store.agreed_clock import ScriptTimes
from tallykeeper_server.store.script_codec import CallTerms, outcomes_of, script_call
from tests.lua.conftest import RETENTION, Apply, ApplyAll, bundle, mutation

DUNE = StockName("dune", "main")


def single(
    namespace: str, operation: str, level: LevelName, *arguments: object, request_id: str = "", reason: str = ""
) -> Bundle:
    """Return a bundle of one mutation of one level."""
    return bundle(namespace, mutation(operation, *arguments, levels=(level,), reason=reason), request_id=request_id)


def stream(raw_store: redis.Redis, namespace: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return the stream entries of a namespace's ledger."""
    return cast("list[tuple[bytes, dict[bytes, bytes]]]", raw_store.xrange(f"tk:{{{namespace}}}:ledger"))


def contents(raw_store: redis.Redis, namespace: str) -> dict[bytes | str, bytes | None]:
    """Return all keys and values of a namespace in the store."""
    return {key: raw_store.dump(key) for key in raw_store.keys(f"tk:{{{namespace}}}:*")}


def test_each_mutation_of_a_batch_sees_those_before_it(apply_all: ApplyAll, namespace: str) -> None:
    outcomes = apply_all(
        [
            single(namespace, "stock_increment", DUNE, 2),
            single(namespace, "stock_decrement", DUNE, 2, 0),
            single(namespace, "stock_decrement", DUNE, 1, 0),
            single(namespace, "stock_delete", DUNE),
            single(namespace, "stock_decrement", DUNE, 1, 0),
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [Applied, Applied, Refused, Applied, Refused]
    assert [outcome.revision for outcome in outcomes if isinstance(outcome, Applied)] == [1, 2, 3]


def test_an_operation_that_fails_leaves_the_rest_of_its_batch_alone(apply_all: ApplyAll, namespace: str) -> None:
    outcomes = apply_all(
        [
            single(namespace, "stock_increment", DUNE, 2),
            single(namespace, "no_such_operation", DUNE),
            single(namespace, "stock_increment", DUNE, 3),
        ]
    )

    assert isinstance(outcomes[1], Failed)
    assert isinstance(outcomes[2], Applied)
    assert outcomes[2].revision == 2
    assert outcomes[2].levels[0].on_hand == 5  # type: ignore[union-attr]  # a stock level, as its name is one


def test_a_batch_over_namespaces_keeps_a_revision_and_a_ledger_for_each(
    apply_all: ApplyAll, namespace: str, raw_store: redis.Redis
) -> None:
    other = f"{namespace}.other"

    outcomes = apply_all(
        [single(name, "stock_increment", DUNE, 1, request_id="same") for name in (namespace, other, namespace)]
    )

    assert [getattr(outcome, "replayed", None) for outcome in outcomes] == [False, False, True]
    for name in (namespace, other):
        assert raw_store.get(f"tk:{{{name}}}:revision") == b"1"
        assert raw_store.xlen(f"tk:{{{name}}}:ledger") == 1


def test_a_duplicate_within_one_batch_is_a_replay(apply_all: ApplyAll, namespace: str) -> None:
    first, second, third = apply_all(
        [
            single(namespace, "counter_increment", CounterName("v"), 1, request_id="r"),
            single(namespace, "counter_increment", CounterName("v"), 1, request_id="r"),
            single(namespace, "counter_increment", CounterName("v"), 1),
        ]
    )

    assert isinstance(first, Applied)
    assert isinstance(second, Applied)
    assert (second.revision, second.levels, second.replayed) == (first.revision, first.levels, True)
    assert isinstance(third, Applied)
    assert third.revision == 2


def test_a_refusal_is_replayed_after_a_restock(apply: Apply) -> None:
    apply("stock_set", 0, "-")
    refused = apply("stock_decrement", 1, 0, request_id="r")
    apply("stock_increment", 10)

    again = apply("stock_decrement", 1, 0, request_id="r")

    assert isinstance(refused, Refused)
    assert again == replace(refused, replayed=True)


def test_the_ledger_holds_every_mutation_of_a_batch_in_one_stream_entry(
    apply_all: ApplyAll, namespace: str, raw_store: redis.Redis
) -> None:
    applied, _ = apply_all(
        [
            single(namespace, "stock_increment", DUNE, 5, request_id="r1", reason="delivery"),
            single(namespace, "stock_configure", DUNE, 1, 2, 3),
        ]
    )

    ((entry_id, fields),) = stream(raw_store, namespace)

    assert isinstance(applied, Applied)
    assert entry_id == b"0-2"
    assert fields == {
        b"time": b"%d" % applied.commit_time_ms,
        b"1": b"stock_increment\tr1\tdelivery\t\t\tstock:main:dune\t5\t5",
        b"2": b"stock_configure\t\t\t\t\tstock:main:dune\t0\t5 0 1 2 3",
    }


def test_the_ledger_is_trimmed_to_about_its_length(apply_all: ApplyAll, namespace: str, raw_store: redis.Redis) -> None:
    for _ in range(4):
        apply_all([single(namespace, "counter_increment", CounterName("v"), 1) for _ in range(500)])
    for _ in range(300):  # Redis frees whole nodes of a stream, of 100 entries each
        apply_all([single(namespace, "counter_increment", CounterName("v"), 1)])

    fields_of_entries = [fields for _, fields in stream(raw_store, namespace)]
    revisions = [int(field) for fields in fields_of_entries for field in fields if field != b"time"]
    assert revisions == list(range(revisions[0], 2_301))
    assert len(revisions) >= RETENTION.ledger_revisions
    assert revisions[0] > 1


def test_large_numbers_are_stored_digit_by_digit(apply: Apply, raw_store: redis.Redis, namespace: str) -> None:
    apply("counter_increment", 2**53 - 2)
    apply("counter_increment", 1)

    assert raw_store.get(f"tk:{{{namespace}}}:counter:visits") == b"9007199254740991"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (2**53 - 1, -(2**53 - 1)),
        (-(2**53 - 1), 2**53 - 2),
        (9_000_000_099_999_999, -1_000_000_000_000_000),
        (-9_007_199_200_000_000, 1_000_000_000_000_000),
        (-9_007_199_199_999_999, 9_000_000_000_000_001),
        (2**53 - 1, -1),
        (2**53 - 1, 0),
    ],
)
def test_the_ledger_tells_every_change_to_the_last_digit(
    apply: Apply, raw_store: redis.Redis, namespace: str, before: int, after: int
) -> None:
    apply("counter_set", before, "-")
    apply("counter_set", after, "-")

    fields = [text for _, fields in stream(raw_store, namespace) for text in fields.values()]
    assert int(fields[3].split(b"\t")[6]) == after - before


def test_a_plain_level_is_one_number_and_a_configured_one_is_five(
    apply: Apply, raw_store: redis.Redis, namespace: str
) -> None:
    apply("stock_set", 7, "-")
    plain = raw_store.get(f"tk:{{{namespace}}}:stock:main:dune")
    apply("stock_configure", 1, 2, 3)
    configured = raw_store.get(f"tk:{{{namespace}}}:stock:main:dune")

    assert (plain, configured) == (b"7", b"7 0 1 2 3")


def test_a_change_does_not_prolong_a_counter_that_expires(apply: Apply, raw_store: redis.Redis, namespace: str) -> None:
    expiry = f"tk:{{{namespace}}}:expiry:counter"
    apply("counter_configure", "=", "=", 60_000)
    expire_at = raw_store.zscore(expiry, "visits")

    apply("counter_increment", 1)

    assert expire_at is not None
    assert raw_store.zscore(expiry, "visits") == expire_at


def test_redis_forgets_nothing_by_its_own_clock(apply: Apply, raw_store: redis.Redis, namespace: str) -> None:
    apply("counter_configure", "=", "=", 60_000, request_id="r")
    apply("stock_set", 3, "-", request_id="s")
    apply("reservation_reserve", 60_000, "", 1, request_id="t")
    apply("reservation_release", request_id="u")

    lives = {key: raw_store.pttl(key) for key in raw_store.keys(f"tk:{{{namespace}}}:*")}

    assert set(lives.values()) == {-1}


def test_a_counter_whose_expiry_is_cleared_stays(apply: Apply, raw_store: redis.Redis, namespace: str) -> None:
    apply("counter_configure", "=", "=", 60_000)
    apply("counter_configure", "=", "=", "-")

    assert raw_store.get(f"tk:{{{namespace}}}:counter:visits") == b"0"
    assert not raw_store.exists(f"tk:{{{namespace}}}:expiry:counter")


def test_a_deleted_level_leaves_its_index(apply: Apply, raw_store: redis.Redis, namespace: str) -> None:
    apply("stock_set", 0, "-")
    listed = raw_store.zrange(f"tk:{{{namespace}}}:index:stock", 0, -1)
    apply("stock_delete")

    assert listed == [b"dune\x00main"]
    assert not raw_store.exists(f"tk:{{{namespace}}}:index:stock", f"tk:{{{namespace}}}:stock:main:dune")


def test_a_refusal_writes_only_its_request_record_and_the_time(
    apply: Apply, raw_store: redis.Redis, namespace: str
) -> None:
    apply("stock_decrement", 1, 0)
    without_id = raw_store.keys(f"tk:{{{namespace}}}:*")
    apply("stock_decrement", 1, 0, request_id="r")
    with_id = raw_store.keys(f"tk:{{{namespace}}}:*")

    assert without_id == []
    assert sorted(with_id) == [f"tk:{{{namespace}}}:{name}".encode() for name in ("clock", "requests:1")]


@pytest.mark.parametrize("item", ["a:b", "{x}", "}:{", "tk:{other}:revision", "ünï", "a b"])
def test_an_items_name_cannot_move_its_key(
    apply_all: ApplyAll, namespace: str, raw_store: redis.Redis, item: str
) -> None:
    apply_all([single(namespace, "stock_increment", StockName(item, "loc-1"), 4)])

    assert raw_store.get(f"tk:{{{namespace}}}:stock:loc-1:{item}") == b"4"
    assert raw_store.zrange(f"tk:{{{namespace}}}:index:stock", 0, -1) == [f"{item}\0loc-1".encode()]


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        (("SET", "revision", "x"), "the revision is x"),
        (("DEL", "revision"), "the ledger does not take revision 1: ERR The ID"),
        (("SET", "ledger", "x"), "the ledger does not take revision 2: WRONGTYPE"),
    ],
)
def test_a_namespace_that_someone_else_broke_fails_alone_and_is_left_as_it_is(
    apply_all: ApplyAll, namespace: str, raw_store: redis.Redis, breakage: tuple[str, ...], message: str
) -> None:
    other = f"{namespace}.other"
    apply_all([single(name, "stock_increment", DUNE, 1) for name in (namespace, other)])
    command, key, *values = breakage
    raw_store.execute_command(command, f"tk:{{{namespace}}}:{key}", *values)  # type: ignore[no-untyped-call]  # redis-py gives it no types

    broken, whole = apply_all([single(name, "stock_increment", DUNE, 1) for name in (namespace, other)])

    assert isinstance(broken, Failed)
    assert message in broken.error
    assert isinstance(whole, Applied)
    assert raw_store.get(f"tk:{{{namespace}}}:stock:main:dune") == b"1"


@pytest.mark.parametrize("breakage", [("DEL", "revision"), ("SET", "revision", "1"), ("SET", "ledger", "x")])
def test_nothing_is_changed_or_recorded_where_the_ledger_takes_no_more(
    apply_all: ApplyAll, namespace: str, raw_store: redis.Redis, breakage: tuple[str, ...]
) -> None:
    visits = CounterName("visits")
    known = single(namespace, "counter_increment", visits, 1, request_id="known")
    apply_all([known, single(namespace, "stock_set", DUNE, 0, "-")])
    command, key, *values = breakage
    broken = f"tk:{{{namespace}}}:{key}"
    whole = raw_store.dump(broken)
    raw_store.execute_command(command, broken, *values)  # type: ignore[no-untyped-call]  # redis-py gives it no types
    before = contents(raw_store, namespace)
    new = single(namespace, "counter_increment", visits, 1, request_id="new")

    outcomes = apply_all(
        [
            new,
            single(namespace, "stock_increment", StockName("emma", "main"), 1),
            single(namespace, "stock_delete", DUNE),
            single(namespace, "counter_configure", CounterName("brief"), "=", "=", 60_000),
            known,
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [Failed] * 5
    assert contents(raw_store, namespace) == before
    raw_store.restore(broken, 0, cast("bytes", whole), replace=True)
    (again,) = apply_all([new])
    assert isinstance(again, Applied)
    assert (again.replayed, again.revision) == (False, 3)


def test_request_records_of_another_type_fail_their_namespace_alone(
    apply: Apply, raw_store: redis.Redis, namespace: str
) -> None:
    apply("counter_increment", 1, request_id="r")
    (bucket,) = raw_store.keys(f"tk:{{{namespace}}}:requests:*")
    raw_store.delete(bucket)
    raw_store.set(bucket, "x")

    outcome = apply("counter_increment", 1, request_id="s")

    assert isinstance(outcome, Failed)
    assert "the request records cannot be read" in outcome.error
    assert raw_store.get(f"tk:{{{namespace}}}:counter:visits") == b"1"


def commit_times(raw_store: redis.Redis, held_ms: dict[str, int]) -> list[int]:
    """Change each namespace with one script call of a caller that has reached these times. Return the commit times."""
    bundles = [single(name, "stock_increment", DUNE, 1) for name in held_ms]
    times = ScriptTimes(0, [number for each in held_ms.values() for number in (each, 0, 0)])
    keys, arguments = script_call(bundles, CallTerms(home="", times=times, retention=RETENTION))
    _, *replies = cast("list[bytes]", raw_store.eval(tallykeeper_lua.source(), len(keys), *keys, *arguments))
    outcomes = [cast("list[Applied]", outcomes_of(*each)) for each in zip(bundles, replies, strict=True)]
    return [outcome.commit_time_ms for (outcome,) in outcomes]


def test_each_namespace_of_a_batch_has_its_own_time(namespace: str, raw_store: redis.Redis) -> None:
    other = f"{namespace}.other"
    ahead_ms = [4_000_000_000_000, 5_000_000_000_000]

    first = commit_times(raw_store, {namespace: ahead_ms[0], other: ahead_ms[1]})
    second = commit_times(raw_store, {namespace: 1, other: 2})

    assert first == ahead_ms
    assert second == ahead_ms


def test_an_atomic_bundle_that_is_undone_leaves_the_changes_of_the_bundle_before_it(
    apply_all: ApplyAll, namespace: str, raw_store: redis.Redis
) -> None:
    apply_all(
        [
            single(namespace, "stock_increment", DUNE, 2),
            bundle(
                namespace,
                mutation("stock_increment", 5, levels=(DUNE,)),
                mutation("stock_decrement", 9, 0, levels=(DUNE,)),
                atomic=True,
            ),
        ]
    )

    assert raw_store.get(f"tk:{{{namespace}}}:stock:main:dune") == b"2"
