"""The command line of the conformance cases."""

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.conformance.build_tools import NoPackagesError, only_user_of
from tests.conformance.cases import case_file, registry
from tests.conformance.cases.player import play
from tests.conformance.cases.registry import Language, Runner
from tests.conformance.cases.runner_process import RunnerProcess
from tests.conformance.cases.servers import Servers
from tests.conformance.cases.steps import Case

_JOBS: Final = 8


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a case with a runner: the failure, or the reason to skip it. Both are None if the case passed."""

    runner: str
    case: str
    seconds: float = 0.0
    failure: str | None = None
    skipped: str | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run cases with runners, print the results, and return 1 if a case failed."""
    options = _parser().parse_args(arguments)
    cases = [case for case in case_file.load() if any(fnmatchcase(case.name, one) for one in options.case or ["*"])]
    if options.list:
        for case in cases:
            print(f"{case.name}: {case.about}")
        return 0
    results = run(cases, _chosen(options), jobs=options.jobs, is_verbose=options.verbose)
    return report(results)


def run(
    cases: Sequence[Case], languages: Sequence[Language], *, jobs: int = _JOBS, is_verbose: bool = False
) -> list[Result]:
    """Build the runners, and play each case with each of them. Cases with faults take longest and come first."""
    results: list[Result] = []
    built: list[Runner] = []
    with TemporaryDirectory(prefix="tallykeeper-cases-") as folder, ExitStack() as stack:
        for language in languages:
            if language.build_commands:
                stack.enter_context(only_user_of(language.name))
            found = _built(language, cases)
            results += found
            built += [] if found else language.runners
        processes, failures = _started(built, stack, is_verbose=is_verbose)
        results += failures
        ready = [runner for runner in built if runner.name in processes]
        servers = Servers(Path(folder))
        stack.callback(servers.close)
        executor = stack.enter_context(ThreadPoolExecutor(jobs))
        played = [
            executor.submit(_played, case, group, processes, servers)
            for case in sorted(cases, key=lambda case: not case.has_fault)
            for group in ([ready] if case.has_fault else [[runner] for runner in ready])
        ]
        all_played = [result for each in played for result in each.result()]
        return results + [_again_if_failed(result, cases, ready, processes, servers) for result in all_played]


def _again_if_failed(
    result: Result,
    cases: Sequence[Case],
    runners: Sequence[Runner],
    processes: Mapping[str, RunnerProcess],
    servers: Servers,
) -> Result:
    """Play a failed case once more when the others are over. A machine that is too busy for its time limits causes one.

    Return the second result, and print the first failure.
    """
    if not result.failure:
        return result
    print(f"again: {result.runner}: {result.case}: {result.failure}", flush=True)
    (case,) = (each for each in cases if each.name == result.case)
    (again,) = _played(case, [each for each in runners if each.name == result.runner], processes, servers)
    return again


def _started(
    runners: Sequence[Runner], stack: ExitStack, *, is_verbose: bool
) -> tuple[Mapping[str, RunnerProcess], list[Result]]:
    """Start runners. Return their processes by name, and a result for each runner that cannot be started."""
    processes: dict[str, RunnerProcess] = {}
    failures: list[Result] = []
    for runner in runners:
        try:
            processes[runner.name] = stack.enter_context(RunnerProcess(runner, is_verbose=is_verbose))
        except OSError as error:
            failures.append(Result(runner.name, "start", failure=str(error)))
    return processes, failures


def report(results: Sequence[Result]) -> int:
    """Print failures, a line for each runner and the totals. Return 1 if a case failed."""
    for result in results:
        if result.failure:
            print(f"FAILED {result.runner}: {result.case}: {result.failure}", flush=True)
    print(f"{'runner':<16} {'passed':>7} {'failed':>7} {'skipped':>8}  why skipped")
    for runner in dict.fromkeys(result.runner for result in results):
        own = [result for result in results if result.runner == runner]
        reasons = "; ".join(dict.fromkeys(result.skipped for result in own if result.skipped))
        print(f"{runner:<16} {_passed(own):>7} {_failed(own):>7} {_skipped(own):>8}  {reasons}".rstrip())
    print(f"{_passed(results)} passed, {_failed(results)} failed, {_skipped(results)} skipped", flush=True)
    return int(bool(_failed(results)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.cases", description=__doc__)
    parser.add_argument("--runner", action="append", metavar="NAME", help="a runner or a language; may be repeated")
    parser.add_argument("--case", action="append", metavar="GLOB", help="a pattern of case names; may be repeated")
    parser.add_argument(
        "--runners",
        action="append",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="an additional folder with runners; may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="print the cases without running them")
    parser.add_argument("--jobs", type=int, default=_JOBS, metavar="N", help="the number of cases at the same time")
    parser.add_argument("-v", "--verbose", action="store_true", help="print all messages to and from the runners")
    return parser


def _chosen(options: argparse.Namespace) -> list[Language]:
    """Return the selected languages, each with its selected runners."""
    found = registry.languages([registry.RUNNERS, *(folder.resolve() for folder in options.runners)])
    if not options.runner:
        return found
    known = {name for language in found for name in (language.name, *(one.name for one in language.runners))}
    unknown = [name for name in options.runner if name not in known]
    if unknown:
        sys.exit(f"there is no runner {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return [chosen for language in found if (chosen := language.only(options.runner)).runners]


def _built(language: Language, cases: Sequence[Case]) -> list[Result]:
    """Build the runners of a language. If the build fails, return the results of all its cases."""
    missing = language.missing()
    if missing:
        return _all(language, cases, skipped=f"{' and '.join(missing)} not on PATH")
    if language.build_commands:
        print(f"cases: building the runner of {language.name} …", flush=True)
    try:
        language.build()
    except NoPackagesError as error:
        return _all(language, cases, skipped=f"its packages are not available: {error}")
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        return [Result(runner.name, "build", failure=str(error)) for runner in language.runners]
    return []


def _all(language: Language, cases: Sequence[Case], *, skipped: str) -> list[Result]:
    return [Result(runner.name, case.name, skipped=skipped) for runner in language.runners for case in cases]


def _played(
    case: Case, runners: Sequence[Runner], processes: Mapping[str, RunnerProcess], servers: Servers
) -> list[Result]:
    skipped = {runner.name: runner.reason_to_skip(case.name) for runner in runners}
    chosen = {name: processes[name] for name, reason in skipped.items() if reason is None}
    began = time.monotonic()
    failures: Mapping[str, str] = {}
    try:
        if chosen:
            failures = play(case, chosen, servers)
    except Exception as error:  # noqa: BLE001  # a fault that did not come about fails its case alone
        failures = dict.fromkeys(chosen, f"the harness failed: {type(error).__name__}: {error}")
    seconds = time.monotonic() - began
    return [
        Result(name, case.name, skipped=reason) if reason else Result(name, case.name, seconds, failures.get(name))
        for name, reason in skipped.items()
    ]


def _passed(results: Sequence[Result]) -> int:
    return sum(not result.failure and not result.skipped for result in results)


def _failed(results: Sequence[Result]) -> int:
    return sum(bool(result.failure) for result in results)


def _skipped(results: Sequence[Result]) -> int:
    return sum(bool(result.skipped) for result in results)


if __name__ == "__main__":
    sys.exit(main())
