"""Tests of the reading of other suites' reports."""

import pytest

from tests.conformance.reports import failed_connect_cases, h2spec_cases

_H2SPEC = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="6.5. SETTINGS" package="http2/6.5" id="6.5" tests="3" skipped="0" failures="1" errors="1">
    <testcase package="http2/6.5" classname="Sends &#34;ACK&#34; with a payload" time="0.0012"></testcase>
    <testcase package="http2/6.5" classname="Sends a stream id" time="2.0001">
      <failure>GOAWAY Frame (Error Code: PROTOCOL_ERROR)&#xA;
Error: <nil> & \x00</failure>
    </testcase>
    <testcase package="http2/6.5" classname="Sends a short frame" time="0.0100">
      <error>read tcp <127.0.0.1>: reset</error>
    </testcase>
  </testsuite>
</testsuites>
"""
_CONNECT = """FAILED: Timeouts/HTTPVersion:1/Protocol:PROTOCOL_CONNECT/TLS:false/unary:
\tconnect error JSON: unexpected end of JSON input

INFO: Unexpected Requests/HTTPVersion:1/TLS:true/unexpected-content-type failed (as expected):
\tconnect error JSON: unexpected end of JSON input

Total cases: 1036
1034 passed, 1 failed
"""


def test_h2spec_cases_do_not_depend_on_the_details_of_failures() -> None:
    failed = {("http2/6.5", "Sends a stream id"), ("http2/6.5", "Sends a short frame")}

    assert h2spec_cases(_H2SPEC) == (3, failed)


def test_connect_cases_that_are_known_to_fail_are_not_named() -> None:
    assert failed_connect_cases(_CONNECT) == ["Timeouts/HTTPVersion:1/Protocol:PROTOCOL_CONNECT/TLS:false/unary"]


@pytest.mark.parametrize(
    "more",
    [
        "FAILED: Basic/TLS:false/unary was expected to fail but did not",
        "Another 12 could not be run due to client timing out or exiting prematurely.",
    ],
)
def test_no_connect_case_runs_again_if_another_kind_of_failure_came_with_it(more: str) -> None:
    failures = 2 if more.startswith("FAILED") else 1
    output = _CONNECT.replace("1034 passed, 1 failed", f"1034 passed, {failures} failed\n{more}")

    assert failed_connect_cases(output) == []
