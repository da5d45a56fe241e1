"""The suites: their checks, and the outcome of checks that fail, cannot run, or find a language in use."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.build_tools import only_user_of
from tests.conformance.cases import registry as runners
from tests.sdks import __main__ as command
from tests.sdks.examples import LINES, ROOT, Example, compare, example
from tests.sdks.registry import SUITES
from tests.sdks.suites import Check, CheckFailedError, CheckSkipped, Command, Outcome, Suite, generate, run
from tests.support.server import wait_until

_LOCKS = Path("/proc/locks")
_PASSES = Check("passes", lambda: "3 tests")


def _shell(text: str, folder: Path = ROOT) -> Command:
    return Command(["sh", "-c", text], folder)


def _raising(error: Exception) -> Check:
    def fail() -> str:
        raise error

    return Check("raises", fail)


def _without_seconds(suite: Suite) -> list[tuple[str, str, str | None, str | None]]:
    return [(each.check, each.detail, each.failure, each.skipped) for each in run(suite)]


def test_each_sdk_and_each_example_has_a_suite() -> None:
    names = [suite.name for suite in SUITES]
    sdks = {path.parent.name for path in (ROOT / "client").glob("*/README.md")}
    examples = {path.name for path in (ROOT / "examples").iterdir() if path.is_dir()}
    with_example = {suite.name for suite in SUITES if any(check.name == "example" for check in suite.checks)}

    assert len(names) == len(set(names))
    assert sdks == {"go", "java", "rust", "typescript"}
    assert sdks <= set(names)
    assert examples == with_example


def test_each_built_runner_shares_the_name_of_a_suite_so_that_both_never_build_at_once() -> None:
    built = {language.name for language in runners.languages() if language.build_commands}

    assert built <= {suite.name for suite in SUITES}


def test_checks_run_after_the_build_and_say_what_they_found(tmp_path: Path) -> None:
    suite = Suite(
        "one", [Check("reads", _shell("cat built", tmp_path).output)], builds=[_shell("echo x > built", tmp_path)]
    )

    assert _without_seconds(suite) == [("build", "", None, None), ("reads", "x\n", None, None)]


@pytest.mark.parametrize(
    ("error", "failure", "skipped"),
    [
        (CheckFailedError("it is wrong"), "it is wrong", None),
        (CheckSkipped("it needs a port"), None, "it needs a port"),
        (KeyError("http"), "KeyError: 'http'", None),
    ],
)
def test_a_check_that_raises_ends_no_other(error: Exception, failure: str | None, skipped: str | None) -> None:
    found = _without_seconds(Suite("one", [_raising(error), _PASSES]))

    assert found == [("raises", "", failure, skipped), ("passes", "3 tests", None, None)]


@pytest.mark.parametrize(
    ("suite", "reason"),
    [
        (Suite("one", [_PASSES], tools=("sh", "no-such-tool")), "no-such-tool not on PATH"),
        (
            Suite("one", [_PASSES], versions={"python3": 99}, tools=("python3",)),
            "python3 99 or newer is needed, and this is",
        ),
        (
            Suite("one", [_PASSES], builds=[_shell("echo 'dial tcp: i/o timeout' >&2; exit 1")]),
            "its packages cannot be had: dial tcp: i/o timeout",
        ),
        (Suite("one", [Check("passes", _PASSES.run, tools=("no-such-tool",))]), "no-such-tool not on PATH"),
    ],
    ids=["tool", "version", "packages", "tool of a check"],
)
def test_checks_that_cannot_run_are_skipped_with_the_reason(suite: Suite, reason: str) -> None:
    (outcome,) = run(suite)

    assert outcome.failure is None
    assert outcome.skipped is not None
    assert outcome.skipped.startswith(reason)


def test_a_build_that_fails_is_a_failure_and_no_check_runs(capfd: pytest.CaptureFixture[str]) -> None:
    (outcome,) = run(Suite("one", [_PASSES], builds=[_shell("echo wrong >&2; exit 1")]))

    assert outcome.check == "build"
    assert outcome.failure is not None
    assert "wrong" in capfd.readouterr().err


def test_code_is_generated_by_the_commands_of_a_suite(tmp_path: Path) -> None:
    suite = Suite("one", [], generates=[_shell("echo code > generated", tmp_path)])

    assert generate(suite).failure is None
    assert (tmp_path / "generated").read_text() == "code\n"
    assert generate(replace(suite, tools=("no-such-tool",))).skipped == "no-such-tool not on PATH"


def test_each_language_with_committed_code_can_generate_it() -> None:
    assert {suite.name for suite in SUITES if suite.generates} == {"go", "rust", "typescript"}


def test_a_command_that_fails_shows_its_output() -> None:
    with pytest.raises(CheckFailedError, match=r"(?s)sh -c .* ended with 3:\nout\nerr"):
        _shell("echo out; echo err >&2; exit 3").output()


@pytest.mark.parametrize(
    "lines",
    [LINES[:4], (*LINES, "more"), (*LINES[:3], "sold out: , 0 available", LINES[4]), ()],
    ids=["fewer", "more", "other", "none"],
)
def test_an_example_that_prints_other_lines_fails(lines: Sequence[str]) -> None:
    with pytest.raises(CheckFailedError, match="other lines"):
        compare("\n".join(lines))


def test_an_example_whose_command_builds_first_may_print_more() -> None:
    compare("\n".join(["built", *LINES, ""]), prints_more=True)

    with pytest.raises(CheckFailedError, match="other lines"):
        compare("\n".join([*LINES, "built"]), prints_more=True)


_COUNTS_TWICE = """
import os
from tallykeeper_client import Client, fresh_request_id
with Client(os.environ["TALLYKEEPER_ADDRESS"], namespace="example-1") as client:
    for _ in range(6):
        client.increment("orders")
"""


def test_an_example_that_prints_the_lines_and_counts_twice_fails() -> None:
    program = _COUNTS_TWICE + f"print({chr(10).join(LINES)!r})"
    (outcome,) = run(Suite("one", [example(Example([sys.executable, "-c", program], ROOT))]))

    assert outcome.failure is not None
    assert outcome.failure.startswith("the example made 6 changes")


@pytest.mark.skipif(not _LOCKS.exists(), reason=f"this system has no {_LOCKS}, which shows who waits")
def test_a_second_user_of_a_language_waits_for_the_first(tmp_path: Path) -> None:
    """An arrow marks a waiting process in the kernel's table of locks."""
    program = (
        "import sys; from pathlib import Path; from tests.conformance.build_tools import only_user_of\n"
        "with only_user_of('go', locks=Path(sys.argv[1])): print('alone')"
    )
    with only_user_of("go", locks=tmp_path):
        second = subprocess.Popen(
            [sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        waiting = f" {second.pid} "
        wait_until(
            lambda: any("->" in line and waiting in line for line in _LOCKS.read_text().splitlines()),
            what="the second process waits for the lock",
        )
        assert second.poll() is None

    assert second.communicate(timeout=30)[0] == "alone\n"


def test_the_report_counts_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [
        Outcome("go", "tests", "42 tests", seconds=1.25),
        Outcome("go", "vet", failure="it is wrong"),
        Outcome("php", "example", skipped="php not on PATH"),
    ]

    assert [command.line(outcome) for outcome in outcomes] == [
        "go: tests                        passed in 1.2 s  42 tests",
        "go: vet                          FAILED in 0.0 s",
        "php: example                     skipped: php not on PATH",
    ]
    assert command.report(outcomes) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "FAILED go: vet: it is wrong"
    assert [each.split() for each in lines[-3:-1]] == [
        ["go", "1", "1", "0"],
        ["php", "0", "0", "1", "php", "not", "on", "PATH"],
    ]
    assert lines[-1] == "1 passed, 1 failed, 1 skipped"
    assert command.report([outcomes[0], outcomes[2]]) == 0


def test_an_unknown_language_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["cobol"])

    assert "no suite is called cobol; there are rust, java, " in capsys.readouterr().err
