"""The command line of `make sdks`."""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.sdks.registry import SUITES
from tests.sdks.suites import Outcome, Suite, generate, run

_JOBS: Final = 2
"""The number of suites that run at the same time, as many as CI has cores."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suites of some languages or of all, print the outcome of each check, and return 1 if anything failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    names = [suite.name for suite in SUITES]
    if unknown := [name for name in options.language if name not in names]:
        parser.error(f"no suite is called {', '.join(unknown)}; there are {', '.join(names)}")
    chosen = [suite for suite in SUITES if not options.language or suite.name in options.language]
    if options.generate:
        return report([_printed(generate(suite)) for suite in chosen if suite.generates])
    with ThreadPoolExecutor(options.jobs) as executor:
        outcomes = [outcome for outcomes in executor.map(_run, chosen) for outcome in outcomes]
    return report(outcomes)


def report(outcomes: Sequence[Outcome]) -> int:
    """Print failures with their output, a line for each suite, and the totals; return 1 if anything failed."""
    for outcome in outcomes:
        if outcome.failure is not None:
            print(f"\nFAILED {outcome.suite}: {outcome.check}: {outcome.failure}", flush=True)
    print(f"\n{'suite':<18} {'passed':>7} {'failed':>7} {'skipped':>8}  why skipped")
    for suite in dict.fromkeys(outcome.suite for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.suite == suite]
        reasons = "; ".join(dict.fromkeys(outcome.skipped for outcome in own if outcome.skipped is not None))
        passed, failed, skipped = _counts(own)
        print(f"{suite:<18} {passed:>7} {failed:>7} {skipped:>8}  {reasons}".rstrip())
    passed, failed, skipped = _counts(outcomes)
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return int(bool(failed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.sdks", description=__doc__)
    parser.add_argument("language", nargs="*", metavar="LANGUAGE", help="the suite of one language; all unless named")
    parser.add_argument("--generate", action="store_true", help="write the generated code from the protos, and end")
    parser.add_argument("--jobs", type=int, default=_JOBS, metavar="N", help="the number of suites at the same time")
    return parser


def _run(suite: Suite) -> list[Outcome]:
    """Run a suite, and print each outcome when it is there."""
    return [_printed(outcome) for outcome in run(suite)]


def _printed(outcome: Outcome) -> Outcome:
    print(line(outcome), flush=True)
    return outcome


def line(outcome: Outcome) -> str:
    """Return one line about an outcome."""
    name = f"{outcome.suite}: {outcome.check}"
    if outcome.skipped is not None:
        return f"{name:<32} skipped: {outcome.skipped}"
    result = "passed" if outcome.failure is None else "FAILED"
    return f"{name:<32} {result} in {outcome.seconds:.1f} s  {outcome.detail}".rstrip()


def _counts(outcomes: Sequence[Outcome]) -> tuple[int, int, int]:
    failed = sum(outcome.failure is not None for outcome in outcomes)
    skipped = sum(outcome.skipped is not None for outcome in outcomes)
    return len(outcomes) - failed - skipped, failed, skipped


if __name__ == "__main__":
    sys.exit(main())
