"""The case file is complete and right, and the faults of a case are found before it runs."""

from typing import Any

import pytest

from tests.conformance.cases import case_file
from tests.conformance.cases.case_file import CaseFileError
from tests.conformance.cases.contract import METHODS
from tests.conformance.cases.steps import FAULTS, SERVERS

CASES_MIN = 160
CASES_WITH_FAULT_MIN = 12
_FAULT_KINDS = {"stop-server", "kill-server", "kill-workers", "stop-store", "freeze-store", "expire-key"}


def test_there_are_enough_cases_and_enough_with_a_failure_in_the_middle() -> None:
    cases = case_file.load()

    assert len(cases) >= CASES_MIN
    assert sum(case.has_fault for case in cases) >= CASES_WITH_FAULT_MIN
    assert {step.value for case in cases for step in case.steps if step.kind == "fault"} >= _FAULT_KINDS


def test_every_unary_method_is_called() -> None:
    steps = [step for case in case_file.load() for step in case.steps]
    called = {step.value for step in steps if step.kind == "call"}

    unary = {name for name, method in METHODS.items() if not method.server_streaming}
    assert unary - called == set()
    assert any(step.kind == "watch" for step in steps)


def test_every_fault_of_a_server_is_known() -> None:
    assert {fault for faults in SERVERS.values() for fault in faults} == FAULTS.keys()


def test_each_case_says_in_a_sentence_what_it_is_about() -> None:
    for case in case_file.load():
        assert case.about[0].isupper(), case.name
        assert case.about.endswith("."), case.name


def _case(*steps: dict[str, Any], **fields: object) -> list[dict[str, Any]]:
    return [{"name": "one", "about": "It works.", "steps": list(steps), **fields}]


_CALL = {"call": "CounterService.GetCounter", "request": {"counter": "a"}, "ok": {"<rest>": "any"}}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (_case(_CALL) * 2, "names of several cases: one"),
        (_case(_CALL, when="now"), "not when"),
        (_case(_CALL, server="cloud"), "there is no server 'cloud'"),
        (_case({"dance": 1}), "has no kind"),
        (_case({**_CALL, "retries": 1}), "unknown options: retries"),
        (_case({**_CALL, "call": "CounterService.Decrement"}), "there is no method 'CounterService.Decrement'"),
        (_case({**_CALL, "call": "LedgerService.Watch", "request": {}}), "answers with a stream"),
        (_case({**_CALL, "request": {"count": "a"}}), 'no field named "count"'),
        (_case({**_CALL, "request": {"counter": 5}}), "counter"),
        (_case({**_CALL, "ok": {"counter": {"name": "a"}}}), "Counter has no field 'name'"),
        (_case({**_CALL, "ok": {"counter": 5}}), "a Counter is a mapping"),
        (_case({**_CALL, "error": {"code": "OK"}}), "one of ok, error and outcomes"),
        (_case({**_CALL, "at_once": 2}), "at_once goes together with outcomes"),
        (_case({"call": _CALL["call"], "error": {"reason": "X"}}), "an expected error has a code"),
        (_case({"call": _CALL["call"], "error": {"code": "X", "why": 1}}), "no member 'why'"),
        (_case({**_CALL, "request": {"counter": "$name"}}), r"no step has saved \$name"),
        (_case({**_CALL, "ok": {"revision": "<some>"}}), "there is no matcher <some>"),
        (_case({"fault": "stop-server"}), "the server plain allows no fault 'stop-server'"),
        (_case({"batch": [{"increase": {}}], "mode": "atomic", "ok": {}}), 'no field named "increase"'),
        (_case({"batch": [], "mode": "all", "ok": {}}), "a batch has a mode"),
        (_case({"watch": {"item": "a"}}), 'no field named "item"'),
        (_case({"entries": [{"version": 1}]}), "Entry has no field 'version'"),
        (_case({"levels": {"items": []}}), "WatchResponse has no field 'items'"),
    ],
)
def test_what_is_wrong_in_a_case_is_found(values: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(CaseFileError, match=problem):
        case_file.read(values)
