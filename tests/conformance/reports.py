"""Reads the reports of connectconformance and h2spec."""

import re
from typing import Final
from xml.etree import ElementTree as ET

_FAILED: Final = re.compile(r"^FAILED: (.+):$", re.MULTILINE)
_TOTAL: Final = re.compile(r"^\d+ passed, (\d+) failed$", re.MULTILINE)
_NOT_RUN: Final = "could not be run"
_DETAILS: Final = re.compile(rb"(<(failure|error)>).*?(</\2>)", re.DOTALL)


def failed_connect_cases(output: str) -> list[str]:
    """Return the names of the cases that failed unexpectedly, from the output of connectconformance.

    Return an empty list if another run of these cases would not show that all is well: if cases did not run, or passed
    although they are known to fail.
    """
    failed: list[str] = _FAILED.findall(output)
    total = _TOTAL.search(output)
    is_complete = total is not None and len(failed) == int(total[1]) and _NOT_RUN not in output
    return failed if is_complete else []


def h2spec_cases(report: bytes) -> tuple[int, set[tuple[str, str]]]:
    """Return the number of cases of a JUnit report of h2spec, and the package and the name of each failed case.

    h2spec writes the details of a failure without escaping them, so that the report is not XML until they are removed.

    Raises:
        xml.etree.ElementTree.ParseError: The report is not complete.

    """
    suites = ET.fromstring(_DETAILS.sub(rb"\1\3", report))  # noqa: S314  # h2spec has just written it
    cases = list(suites.iter("testcase"))
    failed = [case for case in cases if case.find("error") is not None or case.find("failure") is not None]
    return len(cases), {(case.attrib["package"], case.attrib["classname"]) for case in failed}
