"""The Rust SDK: its tests, one of which compares the generated code with the protos, its lints, and the example."""

import re
from typing import Final

from tests.conformance.build_tools import CARGO
from tests.sdks.examples import ROOT, Example, example
from tests.sdks.readmes import Readme, readme
from tests.sdks.suites import Check, CheckFailedError, Command, Suite

SDK: Final = ROOT / "client" / "rust"
EXAMPLE: Final = ROOT / "examples" / "rust"
RUNNER: Final = ROOT / "tests" / "conformance" / "runners" / "rust"
_GENERATE: Final = ("cargo", "run", "--quiet", "--locked", "--package", "xtask")
# The features are those with which the conformance runner has built tokio, and everything that needs tokio.
_RUN_EXAMPLE: Final = ("cargo", "run", "--quiet", "--locked", "--features", "tokio/io-std,tokio/io-util,tokio/sync")
_RAN: Final = re.compile(r"^test result: ok\. (\d+) passed; 0 failed; (\d+) ignored", re.MULTILINE)


def _tests() -> str:
    output = Command(["cargo", "test", "--quiet", "--workspace", "--locked", "--", "--nocapture"], SDK, CARGO).output()
    passed = sum(int(found[0]) for found in _RAN.findall(output))
    if not passed or "skipped: there is no" in output:
        message = f"no test ran, or one was skipped although there is a server:\n{output}"
        raise CheckFailedError(message)
    return f"{passed} tests"


def _clippy() -> str:
    options = ("--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings")
    Command(["cargo", "clippy", *options], SDK, CARGO).output()
    return ""


def _format() -> str:
    for folder in (SDK, EXAMPLE, RUNNER):
        Command(["cargo", "fmt", "--all", "--check"], folder).output()
    return ""


SUITE: Final = Suite(
    "rust",
    [
        Check("tests", _tests),
        Check("clippy", _clippy, tools=("cargo-clippy",)),
        Check("rustfmt", _format, tools=("cargo-fmt",)),
        readme(Readme(SDK / "README.md", environment=lambda _: CARGO)),
        example(Example(_RUN_EXAMPLE, EXAMPLE, ("--", "{address}"), environment=CARGO)),
    ],
    tools=("cargo",),
    builds=[Command(["cargo", "test", "--quiet", "--workspace", "--locked", "--no-run"], SDK, CARGO)],
    generates=[Command(_GENERATE, SDK, CARGO)],
)
