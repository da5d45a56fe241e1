"""Each status that the head of a Lua file lists, brought about; and a test that holds the two lists together."""

import re
import time

import pytest

import tallykeeper_lua
from tallykeeper_server.domain.mutations import Applied, Failed, Refused
from tallykeeper_server.domain.refusals import refusal
from tallykeeper_server.rpc.statuses import CODES
from tests.lua.conftest import Apply

MAX = 2**53 - 1

# operation, status -> the calls before, the call, and the facts of a refusal
CASES: dict[tuple[str, str], tuple[list[tuple[object, ...]], tuple[object, ...], dict[str, str]]] = {
    ("counter_increment", "OK"): ([], (5,), {}),
    ("counter_increment", "COUNTER_BOUND_EXCEEDED"): (
        [("counter_configure", "=", 3, "=")],
        (4,),
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
    ("stock_configure", "OK"): ([], (1, 2, 3), {}),
    ("stock_configure", "VALUE_OVERFLOW"): (
        [("stock_set", 0, "-"), ("stock_configure", "=", 1, "="), ("stock_decrement", 1, 0)],
        (MAX, "=", "="),
        {"on_hand": "-1", "safety_stock": str(MAX)},
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
def test_operation_gives_the_status(apply: Apply, operation: str, status: str) -> None:
    before, arguments, facts = CASES[operation, status]
    for earlier, *earlier_arguments in before:
        assert isinstance(apply(str(earlier), *earlier_arguments), Applied)

    outcome = apply(operation, *arguments)

    if status == "OK":
        assert isinstance(outcome, Applied)
        assert outcome.revision == len(before) + 1
    else:
        assert outcome == Refused(status, facts, replayed=False)


def test_every_status_that_a_file_lists_has_a_case() -> None:
    listed = {
        (fragment.name.removesuffix(".lua"), status)
        for fragment in tallykeeper_lua.fragments()
        if fragment.name.removesuffix(".lua") in tallykeeper_lua.operation_names()
        for status in listed_statuses(fragment.text)
    }
    assert listed == set(CASES)


def test_every_refusal_has_a_sentence_and_a_code() -> None:
    for (_, status), (_, _, facts) in CASES.items():
        if status != "OK":
            names = {"counter": "visits", "item": "dune", "location": "main"}
            assert refusal(status, names | facts).message
            assert status in CODES


def test_driver_refuses_a_request_id_with_another_body(apply: Apply) -> None:
    apply("counter_increment", 1, request_id="r1")

    outcome = apply("counter_increment", 2, request_id="r1")

    assert outcome == Refused("REQUEST_ID_REUSED", {}, replayed=False)


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
