"""Comparison: each matcher accepts only its own values, and an unexpected value differs."""

from typing import Any

import pytest

from tests.conformance.cases import contract
from tests.conformance.cases.case_file import read
from tests.conformance.cases.match import Comparison, UnknownVariableError, filled

_REPLY = {
    "counter": {"counter": "a", "value": "7", "min": 0},
    "revision": 3,
    "commitTime": "2026-01-01T00:00:00Z",
}
_TIME = "2026-01-01T00:00:00Z"


def _compared(expected: dict[str, Any], reply: dict[str, Any] | None = None) -> Comparison:
    """Compare as a step of a case does."""
    step = {"call": "CounterService.Increment", "ok": expected}
    (case,) = read([{"name": "one", "about": "It works.", "steps": [step]}])
    actual = contract.reply_of("CounterService.Increment", _REPLY if reply is None else reply)
    comparison = Comparison()
    comparison.message(case.steps[0].options["ok"], actual.full, actual.given)
    return comparison


@pytest.mark.parametrize(
    "expected",
    [
        {"counter": {"counter": "a", "value": 7, "min": 0}, "revision": 3, "commit_time": _TIME},
        {"counter": {"counter": "a", "value": "7", "min": 0}, "revision": "3", "commit_time": "<any>"},
        {"counter": "<any>", "revision": "<1 to 3>", "commit_time": "<like 2026-.*>", "replayed": False},
        {"counter": {"<rest>": "any", "value": 7, "max": "<absent>"}, "<rest>": "any"},
    ],
)
def test_what_is_expected_is_accepted(expected: dict[str, Any]) -> None:
    assert _compared(expected).differences == []


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        ({"<rest>": "any", "revision": 4}, "revision: expected 4, got '3'"),
        ({"<rest>": "any", "revision": "<4 to 9>"}, "revision: expected 4 to 9, got '3'"),
        ({"<rest>": "any", "replayed": True}, "replayed: expected True, got False"),
        ({"<rest>": "any", "commit_time": "<absent>"}, f"commit_time: expected nothing, got '{_TIME}'"),
        (
            {"<rest>": "any", "commit_time": "<like 2025-.*>"},
            "commit_time: expected a text like '2025-.*', got",
        ),
        ({"<rest>": "any", "counter": {"counter": "a", "value": 7}}, "counter.min: expected nothing, got '0'"),
        ({"<rest>": "any", "counter": {"<rest>": "any", "max": "<any>"}}, "counter.max: expected any value, got None"),
        ({"<rest>": "any", "counter": {"<rest>": "any", "max": 0}}, "counter.max: expected 0, got None"),
    ],
)
def test_what_is_not_expected_differs(expected: dict[str, Any], difference: str) -> None:
    (found,) = _compared(expected).differences

    assert found.startswith(difference)


def test_a_field_that_is_set_and_not_expected_differs() -> None:
    assert len(_compared({}).differences) == 3


def test_a_default_value_may_be_named() -> None:
    assert _compared({"counter": "<absent>", "revision": 0, "replayed": False}, {}).differences == []


def test_lists_have_the_same_length_and_order() -> None:
    listing = contract.reply_of("CounterService.ListCounters", {"counters": [{"counter": "a"}, {"counter": "b"}]})

    def differs(*names: str) -> bool:
        comparison = Comparison()
        expected = {"counters": [{"counter": name, "value": 0} for name in names]}
        comparison.message(expected, listing.full, listing.given)
        return bool(comparison.differences)

    assert [differs("a", "b"), differs("b", "a"), differs("a"), differs("a", "b", "c")] == [False, True, True, True]


def test_values_are_saved_and_used() -> None:
    saved = _compared({"<rest>": "any", "revision": "<save made>"}).saved

    assert saved == {"made": "3"}
    assert filled({"min_revision": "$made", "counter": "x-${made}-y"}, saved) == {
        "min_revision": "3",
        "counter": "x-3-y",
    }
    with pytest.raises(UnknownVariableError, match=r"\$other"):
        filled("$other", saved)


def test_what_is_not_there_is_not_saved() -> None:
    assert _compared({"<rest>": "any", "counter": {"<rest>": "any", "max": "<save most>"}}).differences == [
        "counter.max: expected a value to be saved, got None"
    ]
