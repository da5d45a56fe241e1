"""The harness with the Python runners: right expectations pass, and planted wrong ones fail."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cases import __main__ as command
from tests.conformance.cases import registry
from tests.conformance.cases.__main__ import Result, report, run
from tests.conformance.cases.case_file import read
from tests.conformance.cases.player import play
from tests.conformance.cases.registry import Language, Runner
from tests.conformance.cases.runner_process import RunnerProcess
from tests.conformance.cases.servers import Servers
from tests.conformance.cases.steps import Case

_INCREMENT = {"call": "CounterService.Increment", "request": {"counter": "visitors"}}
_RIGHT = {"counter": {"counter": "visitors", "value": 1}, "revision": 1, "commit_time": "<any>"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        made = Servers(tmp_path_factory.mktemp("servers"))
        stack.callback(made.close)
        yield made


@pytest.fixture(scope="module")
def runners() -> Iterator[dict[str, RunnerProcess]]:
    with ExitStack() as stack:
        yield {
            runner.name: stack.enter_context(RunnerProcess(runner))
            for language in registry.languages()
            if language.name == "python"
            for runner in language.runners
        }


def _case(*steps: dict[str, Any]) -> Case:
    (case,) = read([{"name": "one", "about": "It works.", "steps": list(steps)}])
    return case


def test_a_right_expectation_passes(servers: Servers, runners: dict[str, RunnerProcess]) -> None:
    assert play(_case({**_INCREMENT, "ok": _RIGHT}), runners, servers) == {}


_WATCH: Sequence[dict[str, Any]] = ({**_INCREMENT, "ok": _RIGHT}, {"watch": {"after_revision": 0}})
_ERROR = {"code": "NOT_FOUND", "reason": "COUNTER_NOT_FOUND", "values": {"counter": "visitors"}}
_GET = {"call": "CounterService.GetCounter", "request": {"counter": "visitors"}}


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([{**_INCREMENT, "ok": {**_RIGHT, "revision": 2}}], r"step 1 .*: revision: expected 2, got '1'"),
        ([{**_INCREMENT, "ok": {**_RIGHT, "commit_time": "<absent>"}}], "commit_time: expected nothing"),
        ([{**_INCREMENT, "error": _ERROR}], "expected an error, got"),
        ([{**_GET, "ok": {"<rest>": "any"}}], "expected a response, got"),
        ([{**_GET, "error": {**_ERROR, "code": "ABORTED"}}], "code: expected 'ABORTED', got 'NOT_FOUND'"),
        ([{**_GET, "error": {**_ERROR, "values": {"counter": "x"}}}], r"values\.counter: expected 'x'"),
        ([{**_GET, "error": {**_ERROR, "values": {}}}], r"values\.counter: expected nothing"),
        ([{**_GET, "error": {**_ERROR, "shortages": []}}], "shortages: expected a list of 0, got None"),
        ([{**_GET, "at_once": 2, "outcomes": {"OK": 2}}], "expected the outcomes {'OK': 2}, got"),
        ([*_WATCH, {"entries": [{"<rest>": "any", "revision": 2}]}], r"step 3 .*: revision: expected 2, got '1'"),
        ([{"watch": {"after_revision": 9}}, {"entries": [{"<rest>": "any"}]}], "expected an entry, got"),
        (
            [{"watch": {"after_revision": 9}}, {"ended": "watch", "error": {"code": "ABORTED"}}],
            "code: expected 'ABORTED', got 'OUT_OF_RANGE'",
        ),
    ],
)
def test_a_planted_wrong_expectation_fails(
    servers: Servers, runners: dict[str, RunnerProcess], *, steps: list[dict[str, Any]], problem: str
) -> None:
    failures = play(_case(*steps), runners, servers)

    assert failures.keys() == runners.keys()
    for failure in failures.values():
        assert re.search(problem, failure), failure


def test_a_runner_that_fails_does_not_fail_others(servers: Servers, runners: dict[str, RunnerProcess]) -> None:
    with RunnerProcess(_runner("import sys; sys.exit(3)")) as broken:
        failures = play(_case({**_INCREMENT, "ok": _RIGHT}), {**runners, "broken": broken}, servers)

    assert failures.keys() == {"broken"}


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("import sys; print('no reply', file=sys.stderr); sys.exit(3)", r"has ended(?s:.*)no reply"),
        ("print('hello', flush=True); input(); input()", "what is no reply: 'hello"),
        ("print('{\"ok\": {}}', flush=True); input(); input()", "what is no reply"),
    ],
    ids=["ends", "prints text", "prints no id"],
)
def test_a_runner_that_breaks_the_protocol_fails(servers: Servers, *, program: str, problem: str) -> None:
    with RunnerProcess(_runner(program)) as process:
        failures = play(_case({**_INCREMENT, "ok": _RIGHT}), {"broken": process}, servers)

    assert re.search(problem, failures["broken"]), failures


def test_the_report_counts_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    results = [
        Result("go", "a"),
        Result("go", "b", failure="step 1: no"),
        Result("rust", "a", skipped="cargo not on PATH"),
        Result("rust", "b", skipped="cargo not on PATH"),
    ]

    assert report(results) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "FAILED go: b: step 1: no"
    assert [line.split() for line in lines[2:4]] == [
        ["go", "1", "1", "0"],
        ["rust", "0", "0", "2", "cargo", "not", "on", "PATH"],
    ]
    assert lines[-1] == "1 passed, 1 failed, 2 skipped"
    assert report(results[2:]) == 0


def test_a_language_without_its_tools_is_skipped_with_the_reason() -> None:
    case = _case({**_INCREMENT, "ok": _RIGHT})

    assert run([case], [_language(tools=["no-such-tool"])]) == [
        Result("broken", "one", skipped="no-such-tool not on PATH")
    ]


def test_a_language_without_packages_is_skipped_and_one_that_cannot_be_built_fails(
    capfd: pytest.CaptureFixture[str],
) -> None:
    case = _case({**_INCREMENT, "ok": _RIGHT})
    no_network = ["sh", "-c", "echo 'dial tcp: i/o timeout' >&2; exit 1"]

    (skipped,) = run([case], [_language(build=[no_network])])
    (failed,) = run([case], [_language(build=[["sh", "-c", "echo wrong >&2; exit 1"]])])

    assert skipped.skipped == "its packages are not available: dial tcp: i/o timeout"
    assert failed.failure is not None
    assert "wrong" in capfd.readouterr().err


def test_a_runner_that_cannot_be_started_fails() -> None:
    runner = replace(_runner(""), run=["no-such-program"])

    (failed,) = run([_case({**_INCREMENT, "ok": _RIGHT})], [replace(_language(), runners=[runner])])

    assert "no-such-program" in str(failed.failure)


@pytest.mark.parametrize("fails_always", [True, False])
def test_a_failed_case_is_played_once_more(
    fails_always: bool,  # noqa: FBT001  # a parameter
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    failures = iter(["first", "second" if fails_always else None])
    monkeypatch.setattr(command, "_played", lambda *_: [Result("broken", "one", failure=next(failures))])
    runner = replace(_runner(""), run=[sys.executable, "-c", ""])

    (result,) = run([_case({**_INCREMENT, "ok": _RIGHT})], [replace(_language(), runners=[runner])])

    assert result.failure == ("second" if fails_always else None)
    assert capsys.readouterr().out == "again: broken: one: first\n"


def test_a_pattern_of_skipped_cases_has_its_reason() -> None:
    runner = replace(_runner(""), skip={"o*": "it cannot"})
    case = _case({**_INCREMENT, "ok": _RIGHT})

    assert run([case], [replace(_language(), runners=[runner])]) == [Result("broken", "one", skipped="it cannot")]


def test_cases_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list", "--case", "counter-increment-*"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("counter-increment-creates-it: An increment")
    assert all(line.startswith("counter-increment-") for line in lines)


def test_an_unknown_runner_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"there is no runner cobol; there are .*python"):
        command.main(["--runner", "cobol"])


def _runner(program: str) -> Runner:
    return Runner("broken", Path.cwd(), [sys.executable, "-c", program], {}, {})


def _language(*, tools: Sequence[str] = (), build: Sequence[Sequence[str]] = ()) -> Language:
    return Language("broken", Path.cwd(), tools, build, {}, [_runner("")])
