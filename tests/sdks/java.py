"""The Java SDK: its tests, which build it from the protos, and the example."""

from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from tests.sdks.examples import ROOT, Example, example
from tests.sdks.readmes import Readme, maven_environment, readme
from tests.sdks.suites import Check, CheckFailedError, Command, Suite

SDK: Final = ROOT / "client" / "java"
_REPORTS: Final = SDK / "target" / "surefire-reports"
_EXAMPLE_WITH_SDK: Final = Path(__file__).parent / "java_example"
_MAVEN: Final = ("mvn", "--batch-mode", "--quiet", "-Dstyle.color=never")
_LIST_LIBRARIES: Final = (
    "org.apache.maven.plugins:maven-dependency-plugin:3.11.0:build-classpath",
    "-Dmdep.outputFile=target/classpath.txt",
    "-Dmdep.includeScope=runtime",
)
# The first compiler alone: a program that runs for a second would only wait for the second one.
_RUN: Final = 'exec java -XX:TieredStopAtLevel=1 -cp "target/classes:$(cat target/classpath.txt)" FirstAct "$@"'


def _tests() -> str:
    for report in _REPORTS.glob("*.xml"):
        report.unlink()
    Command([*_MAVEN, "test"], SDK).output()
    suites = [ET.parse(report).getroot() for report in _REPORTS.glob("TEST-*.xml")]  # noqa: S314  # Maven's own files
    tests, skipped = (sum(int(suite.attrib[name]) for suite in suites) for name in ("tests", "skipped"))
    if skipped or not tests:
        message = f"{skipped} of {tests} tests were skipped although there is a server"
        raise CheckFailedError(message)
    return f"{tests} tests"


SUITE: Final = Suite(
    "java",
    [
        Check("tests", _tests),
        readme(Readme(SDK / "README.md", environment=maven_environment)),
        example(Example(["sh", "-c", _RUN, "sh"], ROOT / "examples" / "java", argument=("{address}",))),
    ],
    tools=("java", "mvn"),
    builds=[Command([*_MAVEN, "compile", *_LIST_LIBRARIES], _EXAMPLE_WITH_SDK)],
)
