"""Statuses: causes each status that the head of a Lua file lists, and compares the two lists."""

import re
import time

import pytest

import tallykeeper_lua
from tallykeeper_server.domain.levels import ReservationName
from tallykeeper_server.domain.mutations import Applied, Failed, Mutation, Refused
from tallykeeper_server.domain.refusals import refusal
from tallykeeper_server.rpc.statuses import CODES
from tests.lua.conftest import LEVELS, RETENTION, Apply, ApplyAll, bundle, mutation

MAX = 2**53 - 1
STOCKED = ("stock_set", 5, "-")
HELD = ("reservation_reserve", 60_000, "", 2)
ANOTHER_HELD = mutation("reservation_reserve", 60_000, "", MAX, levels=(ReservationName("another"), *LEVELS["stock"]))

# operation, status -> the calls before, the call, and the facts of a refusal
CASES: dict[tuple[str, str], tuple[list[tuple[object, ...] | Mutation], tuple[object, ...], dict[str, str]]] = {
    ("counter_increment", "OK"): ([], (5,), {}),
    ("counter_increment", "COUNTER_BOUND_EXCEEDED"): (
        [("counter_configure", "=", 3, "=")],
        (4, "-", 9, "-"),
        {"value": "0", "max": "3", "delta": "4"},
    ),
    ("counter_increment", "VALUE_OVERFLOW"): (
        [("counter_set", MAX, "-")],
        (1,),
        {"value": str(MAX), "delta": "1"},
    ),
    ("counter_set", "OK"): ([], (7, 0), {}),
    ("counter_set", "VALUE_CHANGED"): ([("counter_set", 7, "-")], (8, 6), {"actual": "7", "expected": "6"}),
    ("counter_set", "COUNTER_BOUND_EXCEEDED"): (
        [("counter_configure", -2, 2, "=")],
        (-3, "-"),
        {"value": "-3", "min": "-2", "max": "2"},
    ),
    ("counter_configure", "OK"): ([], (-1, 1, 1_000), {}),
    ("counter_configure", "COUNTER_BOUND_EXCEEDED"): (
        [("counter_set", 9, "-")],
        ("=", 8, "="),
        {"value": "9", "max": "8"},
    ),
    ("counter_delete", "OK"): ([("counter_set", 9, "-")], (), {}),
    ("counter_delete", "COUNTER_NOT_FOUND"): ([], (), {}),
    ("stock_decrement", "OK"): ([("stock_set", 3, "-")], (2, 0), {}),
    ("stock_decrement", "ITEM_NOT_FOUND"): ([], (1, 1), {}),
    ("stock_decrement", "INSUFFICIENT_STOCK"): (
        [("stock_set", 3, "-"), ("stock_configure", 2, 1, "=")],
        (3, 0),
        {"requested": "3", "available": "1", "backorder_limit": "1"},
    ),
    ("stock_increment", "OK"): ([], (MAX,), {}),
    ("stock_increment", "VALUE_OVERFLOW"): (
        [("stock_set", MAX, "-")],
        (1,),
        {"on_hand": str(MAX), "copies": "1"},
    ),
    ("stock_set", "OK"): ([], (3, 0), {}),
    ("stock_set", "VALUE_CHANGED"): ([], (3, 1), {"actual": "0", "expected": "1"}),
    ("stock_set", "STOCK_BELOW_RESERVED"): (
        [STOCKED, HELD],
        (1, "-"),
        {"on_hand": "1", "reserved": "2", "backorder_limit": "0"},
    ),
    ("stock_set", "VALUE_OVERFLOW"): (
        [STOCKED, ("stock_configure", "=", 9, "="), HELD, ("stock_configure", MAX, "=", "=")],
        (0, "-"),
        {"on_hand": "0", "reserved": "2", "safety_stock": str(MAX)},
    ),
    ("stock_move", "OK"): ([STOCKED], (5,), {}),
    ("stock_move", "ITEM_NOT_FOUND"): ([], (1,), {"line": "1"}),
    ("stock_move", "INSUFFICIENT_STOCK"): (
        [STOCKED, HELD],
        (4,),
        {"line": "1", "requested": "4", "available": "3", "backorder_limit": "0"},
    ),
    ("stock_move", "VALUE_OVERFLOW"): (
        [("stock_set", MAX, "-"), ("stock_move", MAX), STOCKED],
        (1,),
        {"line": "2", "on_hand": str(MAX), "copies": "1"},
    ),
    ("reservation_reserve", "VALUE_OVERFLOW"): (
        [("stock_set", MAX, "-"), ("stock_configure", "=", MAX, "="), ANOTHER_HELD],
        (60_000, "", 1),
        {"line": "2", "reserved": str(MAX), "copies": "1"},
    ),
    ("reservation_reserve", "OK"): ([STOCKED], (1_000, "kim", 5), {}),
    ("reservation_reserve", "RESERVATION_EXISTS"): ([STOCKED, HELD], (1_000, "", 1), {}),
    ("reservation_reserve", "INSUFFICIENT_STOCK"): (
        [STOCKED],
        (1_000, "", 6),
        {"line": "2", "requested": "6", "available": "5", "backorder_limit": "0"},
    ),
    ("reservation_commit", "OK"): ([STOCKED, HELD], (1,), {}),
    ("reservation_commit", "RESERVATION_NOT_FOUND"): ([], (1,), {}),
    ("reservation_commit", "COMMIT_EXCEEDS_RESERVED"): (
        [STOCKED, HELD],
        (3,),
        {"line": "2", "requested": "3", "reserved": "2"},
    ),
    ("reservation_release", "OK"): ([STOCKED, HELD], (), {}),
    ("reservation_release", "RESERVATION_NOT_FOUND"): ([], (), {}),
    ("reservation_expire", "OK"): ([STOCKED, ("reservation_reserve", -1, "", 2)], (), {}),
    ("reservation_expire", "NOT_DUE"): ([STOCKED, HELD], (), {}),
    ("reservation_extend", "OK"): ([STOCKED, HELD], (120_000,), {}),
    ("reservation_extend", "RESERVATION_NOT_FOUND"): ([], (1,), {}),
    ("reservation_extend", "RESERVATION_LIFETIME_EXCEEDED"): (
        [STOCKED, HELD],
        (RETENTION.reservation_lifetime_ms + 1,),
        {
            "lifetime_ms": str(RETENTION.reservation_lifetime_ms + 1),
            "lifetime_ms_max": str(RETENTION.reservation_lifetime_ms),
        },
    ),
    ("stock_configure", "OK"): ([], (1, 2, 3), {}),
    ("stock_configure", "VALUE_OVERFLOW"): (
        [("stock_set", 0, "-"), ("stock_configure", "=", 1, "="), ("stock_decrement", 1, 0)],
        (MAX, "=", "="),
        {"on_hand": "-1", "reserved": "0", "safety_stock": str(MAX)},
    ),
    ("stock_delete", "OK"): ([("stock_set", 0, "-")], (), {}),
    ("stock_delete", "ITEM_NOT_FOUND"): ([], (), {}),
    ("stock_delete", "STOCK_NOT_EMPTY"): ([("stock_set", 1, "-")], (), {"on_hand": "1", "reserved": "0"}),
}


def listed_statuses(text: str) -> set[str]:
    """Return the statuses that the head of a Lua file lists."""
    listing = text.partition("-- statuses")[2].partition("\noperations.")[0]
    matches = (re.match(r"(?:--)? +([A-Z_]{2,})\b", line) for line in listing.splitlines())
    return {match[1] for match in matches if match}


@pytest.mark.parametrize(("operation", "status"), CASES)
def test_operation_gives_the_status(apply_all: ApplyAll, namespace: str, operation: str, status: str) -> None:
    before, arguments, facts = CASES[operation, status]
    calls = [each if isinstance(each, Mutation) else mutation(str(each[0]), *each[1:]) for each in before]

    *earlier_outcomes, outcome = apply_all(
        [bundle(namespace, each) for each in (*calls, mutation(operation, *arguments))]
    )

    assert all(isinstance(each, Applied) for each in earlier_outcomes)

    if status == "OK":
        assert isinstance(outcome, Applied)
        assert outcome.revision == len(before) + 1
    else:
        assert isinstance(outcome, Refused)
        assert (outcome.reason, outcome.facts, outcome.replayed) == (status, facts, False)


def test_every_status_that_a_file_lists_has_a_case() -> None:
    listed = {
        (fragment.operation, status)
        for fragment in tallykeeper_lua.fragments()
        if fragment.operation
        for status in listed_statuses(fragment.text)
    }
    assert {(operation, status) for operation, status in listed if status != "READ_AGAIN"} == set(CASES)


@pytest.mark.parametrize("operation", ["reservation_commit", "reservation_release", "reservation_expire"])
def test_what_a_reservation_holds_must_be_declared(apply_all: ApplyAll, namespace: str, operation: str) -> None:
    undeclared = mutation(operation, levels=LEVELS["reservation"])._replace(resolves=False)
    calls = [mutation(*STOCKED), mutation("reservation_reserve", -1 if operation.endswith("expire") else 60_000, "", 2)]

    outcome = apply_all([bundle(namespace, each) for each in (*calls, undeclared)])[-1]

    assert isinstance(outcome, Failed)
    assert "changed each time it was read" in outcome.error


def test_every_refusal_has_a_sentence_and_a_code() -> None:
    for (_, status), (_, _, facts) in CASES.items():
        if status not in {"OK", "NOT_DUE"}:
            names = {"counter": "visits", "item": "dune", "location": "main", "reservation_id": "basket"}
            assert refusal(status, names | facts).message
            assert status in CODES


def test_driver_refuses_a_request_id_with_another_body(apply: Apply) -> None:
    apply("counter_increment", 1, request_id="r1")

    outcome = apply("counter_increment", 2, request_id="r1")

    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.facts, outcome.replayed) == ("REQUEST_ID_REUSED", {}, False)


def test_driver_reports_an_operation_that_fails_and_changes_nothing(apply: Apply) -> None:
    apply("counter_increment", 1)

    outcome = apply("counter_increment", "nan", request_id="r1")
    again = apply("counter_increment", 1, request_id="r1")

    assert isinstance(outcome, Failed)
    assert "not an integer within 2^53-1: nan" in outcome.error
    assert isinstance(again, Applied)
    assert again.revision == 2


@pytest.mark.parametrize("text", ["0x10", "1e3", " 1", "1 ", "", "-", "+1", "1.0", "inf", str(2**53), f"-{2**53}"])
def test_text_that_is_no_integer_is_never_taken_for_one(apply: Apply, text: str) -> None:
    assert isinstance(apply("counter_increment", text), Failed)


def test_commit_time_is_the_stores_in_milliseconds(apply: Apply) -> None:
    before_ms = time.time_ns() // 1_000_000
    outcome = apply("counter_increment", 1)
    after_ms = time.time_ns() // 1_000_000

    assert isinstance(outcome, Applied)
    assert before_ms - 1 <= outcome.commit_time_ms <= after_ms + 1
