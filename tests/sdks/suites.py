"""Suites of checks: what a suite is, how it runs, and the outcome of each of its checks.

The suites themselves are in `registry`.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.conformance.build_tools import NoPackagesError, build, only_user_of

COMMAND_SECONDS_MAX: Final = 900
"""The time that a command of a check may take: the first build of a language, on a busy machine, takes minutes."""

_MAJOR_VERSION: Final = re.compile(r"\d+")


class CheckSkipped(Exception):  # noqa: N818  # it is no error
    """A check cannot run here. The message is the reason."""


class CheckFailedError(Exception):
    """A check has failed. The message is the finding, such as the output of a command."""


@dataclass(frozen=True, slots=True)
class Check:
    """A check of an SDK or an example.

    ``run`` returns a summary of its success, such as the number of tests. It raises `CheckFailedError`,
    `CheckSkipped`, or the errors of `tests.conformance.build_tools.build`.
    """

    name: str
    run: Callable[[], str]
    tools: Sequence[str] = ()
    """The programs that must be on PATH, in addition to those of the suite."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The checks of one language. They run one after another, because they share folders of build output."""

    name: str
    checks: Sequence[Check]
    tools: Sequence[str] = ()
    """The programs that must be on PATH."""
    builds: Sequence["Command"] = ()
    """The commands that fetch packages and build what all checks need."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """The lowest major version of a tool, as its ``--version`` says it."""
    generates: Sequence["Command"] = ()
    """The commands that write the generated code from the protos."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command in a folder."""

    words: Sequence[str | Path]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def output(self) -> str:
        """Run the command, and return what it printed on both streams.

        :raises CheckFailedError: it failed, or did not end in time.
        """
        try:
            ran = subprocess.run(
                self.words,
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                text=True,
                timeout=COMMAND_SECONDS_MAX,
            )
        except subprocess.TimeoutExpired as error:
            message = f"{self} did not end within {COMMAND_SECONDS_MAX} s"
            raise CheckFailedError(message) from error
        if ran.returncode:
            message = f"{self} ended with {ran.returncode}:\n{ran.stdout}"
            raise CheckFailedError(message)
        return ran.stdout

    def build(self) -> None:
        """Run the command, which fetches packages; see `tests.conformance.build_tools.build` for its errors."""
        build([str(word) for word in self.words], folder=self.folder, environment=self.environment)

    def __str__(self) -> str:
        return " ".join(map(str, self.words))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a check. It passed if it has neither a failure nor a reason why it was skipped."""

    suite: str
    check: str
    detail: str = ""
    failure: str | None = None
    skipped: str | None = None
    seconds: float = 0.0


def missing(tools: Sequence[str]) -> str | None:
    """Return why programs cannot be used; None if all are on PATH."""
    absent = [tool for tool in tools if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not on PATH" if absent else None


def run(suite: Suite) -> Iterator[Outcome]:
    """Build what a suite needs, and run its checks; give each outcome as soon as it is there.

    No other process of this checkout builds or tests the language at the same time.
    """
    if reason := missing(suite.tools) or _too_old(suite.versions):
        yield from _all_skipped(suite, reason)
        return
    with only_user_of(suite.name):
        if suite.builds:
            built = _built(suite, "build", suite.builds)
            if built.skipped is not None:
                yield from _all_skipped(suite, built.skipped)
                return
            yield built
            if built.failure is not None:
                return
        for check in suite.checks:
            yield _outcome(suite, check)


def generate(suite: Suite) -> Outcome:
    """Write the generated code of a suite from the protos."""
    if reason := missing(suite.tools) or _too_old(suite.versions):
        return Outcome(suite.name, "generated code", skipped=reason)
    with only_user_of(suite.name):
        return _built(suite, "generated code", suite.generates)


def _built(suite: Suite, name: str, commands: Sequence[Command]) -> Outcome:
    """Run commands that may fetch packages."""
    began = time.monotonic()
    failure, skipped = None, None
    try:
        for command in commands:
            command.build()
    except NoPackagesError as error:
        skipped = f"its packages cannot be had: {error}"
    except (subprocess.SubprocessError, OSError) as error:
        failure = str(error)
    return Outcome(suite.name, name, "", failure, skipped, time.monotonic() - began)


def _outcome(suite: Suite, check: Check) -> Outcome:
    if reason := missing(check.tools):
        return Outcome(suite.name, check.name, skipped=reason)
    began = time.monotonic()
    detail, failure, skipped = "", None, None
    try:
        detail = check.run()
    except CheckSkipped as error:
        skipped = str(error)
    except NoPackagesError as error:
        skipped = f"its packages cannot be had: {error}"
    except CheckFailedError as error:
        failure = str(error)
    except Exception as error:  # noqa: BLE001  # a check that cannot be made fails alone
        failure = f"{type(error).__name__}: {error}"
    return Outcome(suite.name, check.name, detail, failure, skipped, time.monotonic() - began)


def _too_old(versions: Mapping[str, int]) -> str | None:
    for tool, lowest in versions.items():
        shown = subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout.strip()
        found = _MAJOR_VERSION.search(shown)
        if found is None or int(found[0]) < lowest:
            return f"{tool} {lowest} or newer is needed, and this is {shown}"
    return None


def _all_skipped(suite: Suite, reason: str) -> Iterator[Outcome]:
    for check in suite.checks:
        yield Outcome(suite.name, check.name, skipped=reason)
