"""The short form of `make chaos`: each scenario for a few seconds, and some of the planted bugs."""

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.judge import Violation
from tests.chaos.planted_bugs import Bug, bugs, hunt, plant
from tests.chaos.report import Outcome, load, save, table
from tests.chaos.scenario_run import run
from tests.chaos.scenarios import NEEDS_COMPILER, SCENARIOS
from tests.chaos.stores import compiler

SECONDS = 4.0
SEED = 1
HUNTED = ("items-read-in-two-steps", "lost-replies-sent-again", "numbers-as-doubles", "oversold")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_answer_is_wrong(scenario: str) -> None:
    if scenario in NEEDS_COMPILER and compiler() is None:
        pytest.skip("a library plays the bad disk, and there is no C compiler")

    outcome = run(scenario, seed=SEED, seconds=SECONDS)

    assert outcome.violations == []
    assert outcome.applied > 0
    assert outcome.faults or scenario == "calm"


@pytest.mark.parametrize("bug", list(bugs()), ids=lambda bug: bug.name)
def test_a_bug_can_still_be_planted(bug: Bug, tmp_path: Path) -> None:
    assert bug.scenario in SCENARIOS

    plant(bug, tmp_path)


@pytest.mark.parametrize("bug", [bug for bug in bugs() if bug.name in HUNTED], ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    assert hunt(bug, seed=SEED).violations


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    outcome = Outcome("kills", [1], faults=Counter({"store killed": 2}), violations=[Violation("a kind", "a detail")])

    save([outcome], tmp_path / "report.json")

    assert load(tmp_path / "report.json") == [outcome]
    assert "store killed" in table([outcome])
