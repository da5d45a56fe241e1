"""The judge of the load programs finds each way in which a program can fail. Their retry policy is README's."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tallykeeper_client._channel import SERVICE_CONFIG
from tests.conformance.clients.verdict import Report, ReportedError, Truth, problems

_REPORT = Report(
    calls=9, increments=3, copies=2, retried=None, watched_revision=5, watched_entries=5, resumed=1, errors=()
)
_TRUTH = Truth(counter=3, on_hand=2, revision=5, differences=())


def test_a_program_passes_if_the_server_has_the_acknowledged_changes() -> None:
    assert problems(_REPORT, _TRUTH) == []


@pytest.mark.parametrize(
    ("report", "truth", "problem"),
    [
        ({"errors": [ReportedError("CANCELLED", "gone", 2)]}, {}, "2 times CANCELLED: gone"),
        ({}, {"counter": 4, "revision": 5}, "the counter's value is 4, expected 3"),
        ({}, {"on_hand": 1}, "the copies on hand is 1, expected 2"),
        ({"watched_revision": 4}, {}, "the watch's last revision is 4, expected 5"),
        ({"watched_entries": 6}, {}, "the number of entries watched is 6, expected 5"),
        ({}, {"differences": ["counter calls: 3, not 4"]}, "the ledger does not agree: counter calls: 3, not 4"),
    ],
)
def test_each_failure_is_found(report: dict[str, Any], truth: dict[str, Any], problem: str) -> None:
    assert problems(replace(_REPORT, **report), replace(_TRUTH, **truth)) == [problem]


def test_a_program_that_was_never_answered_has_failed() -> None:
    nothing = replace(_REPORT, increments=0, copies=0, watched_revision=0, watched_entries=0)
    assert problems(nothing, Truth(counter=0, on_hand=0, revision=0, differences=())) == ["no change was acknowledged"]


def test_a_report_is_read_from_its_line() -> None:
    line = json.dumps(
        {
            "calls": 9,
            "increments": 3,
            "copies": 2,
            "retried": 1,
            "resumed": 0,
            "watched_revision": 5,
            "watched_entries": 5,
            "errors": [{"code": "CANCELLED", "message": "gone", "count": 2}],
        }
    )
    report = Report.from_json(line)
    assert (report.calls, report.retried, report.errors) == (9, 1, (ReportedError("CANCELLED", "gone", 2),))


@pytest.mark.parametrize("line", ["", "ready", "[]", "{}", '{"calls": 1, "errors": []}'])
def test_an_invalid_report_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"not a report|Expecting value"):
        Report.from_json(line)


def test_the_programs_have_the_retry_policy_that_readme_gives() -> None:
    readme = Path(__file__).parents[3] / "README.md"
    block = readme.read_text().split("```json\n")[1].split("```")[0]
    assert block == SERVICE_CONFIG
